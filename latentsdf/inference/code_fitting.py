"""Fitting codes to targets with the decoder frozen: what is fitted to, and two ways down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..core.optimize import OnStep, Step, Stop
from ..core.pose import Pose, PoseFreedom, active_freedoms
from ..decoder.base import Decoder
from .adam import adam
from .initial_guesses import candidate_fields_of_codes, initial_guesses
from .levenberg_marquardt import FitResult, in_pairs, levenberg_marquardt
from .objective import CodeObjective, Guess
from .residuals import Residuals


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How the code of an unseen shape is found."""

    method: Literal["second-order", "adam"] = "second-order"
    """`second-order`: damped Gauss-Newton steps. `adam`: DeepSDF's way, many more and cheaper steps."""
    pose: PoseFreedom = "free"
    """What of the shape's frame is found with its code. `known`: nothing. `placed`: scale and place, near those that
    fill the unit sphere. `free`: the rotation too, near one of the 24 that set the shape on the axes; held-out shapes
    come out closer."""
    steps: int | None = None
    """Steps; None takes 40 of second order, 400 of Adam (DeepSDF: 800). Larger fits closer, up to a point."""
    points: int = 1024
    """Samples a step (second order: from a quarter to twice as many; Adam: twice as many, DeepSDF 8000). Larger is
    smoother and slower."""
    rate: float = 2e-2
    """Learning rate at the start. Larger moves further from the starting code and may overshoot."""
    prior: float = 1e-4
    """Weight of the mean squared code. Larger stays nearer the codes of the space and fits the data less."""
    place: float = 1e-2
    """Weight of the squared change of scale (its logarithm) and place. Larger keeps the shape in its unit sphere."""
    truncation: float = 0.03
    """Distances are compared within about this. Larger pulls from farther away, smaller cares for the surface."""
    candidates: int = 256
    """Stored codes tried as the start, beside the mean code. Larger starts nearer and costs time."""
    starts: int = 24
    """Second order: best ones of them that are fitted; most are given up early. Larger misses fewer shapes, slower."""
    nested: tuple[int, ...] = ()
    """Code lengths that the code is to be readable at too; `encode` takes those of the space. A quarter of the steps
    are theirs."""
    samples: int = 60_000
    """Signed samples taken of a mesh. Larger sees thinner parts and costs preparation time."""
    seed: int = 0
    """Seed of the samples and of the points drawn each step."""

    def __post_init__(self):
        if self.method not in ("second-order", "adam"):
            raise ValueError(f"method must be second-order or adam, got {self.method!r}")
        if min(self.count, self.points, self.samples, self.starts) < 1 or self.candidates < 0:
            raise ValueError("steps, points, samples and starts must be at least 1, candidates at least 0")
        if self.pose not in ("known", "placed", "free"):
            raise ValueError(f"pose must be known, placed or free, got {self.pose!r}")
        if not self.rate > 0 or min(self.prior, self.place) < 0 or not self.truncation > 0:
            raise ValueError("rate and truncation must be positive, prior and place must be at least 0")

    @property
    def count(self) -> int:
        """Steps of the fit."""
        return self.steps if self.steps is not None else {"second-order": 40, "adam": 400}[self.method]


class SignedSamples(NamedTuple):
    """Signed samples that codes are fitted to, in the unit frame; a draw per step is taken.

    Attributes:
        points: (S, N, 3).
        distances: (S, N), signed.
    """

    points: Tensor
    distances: Tensor

    def to(self, device: torch.device) -> SignedSamples:
        """The same targets on a device."""
        return SignedSamples(self.points.to(device), self.distances.to(device))

    def sample(self, random: torch.Generator, count: int, times: int = 1) -> Residuals:
        """Some of the samples, the same rows of every shape, all shapes so many times over."""
        total = self.points.shape[1]
        rows = torch.randint(total, (min(total, count),), generator=random).to(self.points.device)
        return Residuals(self.points[:, rows].repeat(times, 1, 1), self.distances[:, rows].repeat(times, 1))


class InferredCodes(NamedTuple):
    """What was found for S shapes.

    Attributes:
        codes: (S, D).
        errors: (S,) mean truncated error of each at the end, in the frame of the targets.
        stop: why the loop ended.
        poses: that take the targets' frame to the one that the codes are read in; None where none may move.
    """

    codes: Tensor
    errors: Tensor
    stop: Stop
    poses: Pose | None = None


def infer_codes(
    decoder: Decoder,
    targets: SignedSamples,
    stored: Tensor,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> InferredCodes:
    """Fit codes to targets with the decoder frozen (maximum a posteriori: DeepSDF, section 4), all shapes at once.

    Each shape starts from those of the mean code and some stored codes that fit it best, each in the attitude in which
    it does; fits of second order follow several of them until one is ahead. Where the pose may move, it is fitted
    together with the code.

    Args:
        decoder: of the space.
        targets: what is known of the shapes.
        stored: (K, D) codes of the space; K may be 0.
        config: how.
        on_step: called after every step.

    Returns:
        Codes, errors, and the reason of the end.
    """
    config = config or EncodeConfig()
    random = torch.Generator().manual_seed(config.seed)
    device = next(decoder.parameters()).device
    targets = targets.to(device)
    size, free = decoder.code_size, None
    if config.pose != "known":
        free = torch.tensor([True] * size + active_freedoms(config.pose))
    problem, plain = (
        CodeObjective(decoder, config.prior / size, free, pose_weight=config.place),
        CodeObjective(decoder, 0.0),
    )
    stored = stored.to(device)
    candidates = candidate_fields_of_codes(plain, stored, config.candidates, random)
    if candidates is None:
        mean = stored.mean(0) if len(stored) else torch.zeros(size, device=device)
        start = Guess(mean.repeat(len(targets.points), 1))
        if config.pose != "known":
            start = start._replace(pose=Pose.identity(len(start.codes), mean))
    else:
        looks = targets.sample(random, 128), targets.sample(random, 1024)
        start = initial_guesses(plain, candidates, config.pose, looks, config.truncation)
    second = config.method == "second-order"
    start = start.select(torch.arange(len(targets.points) * (config.starts if second else 1))[: len(start.codes)])
    fit = _by_second_order if second else _by_adam
    found = fit(problem, targets, start, config, on_step)
    with torch.no_grad():
        errors = plain.losses(found.guess, [targets.sample(random, 2 * config.points)], config.truncation)
    return InferredCodes(found.guess.codes, errors, found.stop, found.guess.pose)


_WIDE = 0.2
"""Truncation that second-order fits begin with."""
PRUNED = ((0.1, 4), (0.3, 2), (0.5, 1))
"""How starts are given up: after which part of the stages, and how many are kept."""


def _narrowing(stage: int, stages: int, truncation: float) -> float:
    """Truncation of a stage: from wide to the one asked for, which it reaches at two thirds of the way."""
    wide = max(_WIDE, truncation)
    reach = min(1.0, 1.5 * stage / (stages - 1)) if stages > 1 else 1.0
    return wide * (truncation / wide) ** reach


def _by_adam(
    problem: CodeObjective, targets: SignedSamples, start: Guess, config: EncodeConfig, on_step: OnStep | None
) -> FitResult:
    random = torch.Generator().manual_seed(config.seed + 1)

    def draw(step: int) -> tuple[float, list[Residuals]]:
        kept = config.nested[(step // 4) % len(config.nested)] if config.nested and step % 4 == 3 else None
        return config.truncation, [targets.sample(random, 2 * config.points)._replace(kept=kept)]

    return adam(problem, draw, start, config.count, config.rate, on_step)


def _by_second_order(
    problem: CodeObjective, targets: SignedSamples, start: Guess, config: EncodeConfig, on_step: OnStep | None
) -> FitResult:
    """Two iterations a stage, each stage on fresh points: few and looked at from afar first, many and close last.

    Fresh points and a narrowing truncation do for these steps what noise does for Adam: with all points held fixed, or
    with the last truncation from the start, the error of held-out shapes is 3 to 5 % higher.
    """
    random = torch.Generator().manual_seed(config.seed + 1)
    stages, shapes = in_pairs(config.count), len(targets.points)
    most = max(1, len(stages) - 1)

    def draw(stage: int) -> tuple[float, list[Residuals]]:
        whole = targets.sample(
            random, max(1, round(config.points * 8.0 ** (stage / most) / 4.0)), times=len(start.codes) // shapes
        )
        some = max(1, whole.points.shape[1] // 4)
        shorter = [
            Residuals(whole.points[:, :some], whole.targets[:, :some], prefix=size, weight=0.25 / len(config.nested))
            for size in config.nested
        ]
        return _narrowing(stage, len(stages), config.truncation), [whole, *shorter]

    def fitted(first: int, last: int) -> FitResult:
        begun = sum(stages[:first])

        def report(step: Step) -> bool | None:
            assert on_step is not None
            return on_step(step._replace(number=begun + step.number, progress=(begun + step.number) / config.count))

        parts = stages[first:last]
        return levenberg_marquardt(
            problem, lambda stage: draw(first + stage), start, parts, report if on_step else None
        )

    first = 0
    for part, kept in PRUNED:
        last = round(part * len(stages))
        if len(start.codes) > kept * shapes and first < last < len(stages):
            found = fitted(first, last)
            start = _ahead(problem, found.guess, draw(last), kept, shapes)
            if found.stop is not Stop.FINISHED:
                return found._replace(guess=start.select(torch.arange(shapes)))
            first = last
    start = start.select(torch.arange(shapes))
    return fitted(first, len(stages))


def _ahead(
    problem: CodeObjective, guess: Guess, target: tuple[float, list[Residuals]], kept: int, shapes: int
) -> Guess:
    """The guesses (kept * S) of the lowest losses among fits of S shapes, several of each."""
    truncation, groups = target
    with torch.no_grad():
        losses = problem.losses(guess, groups, truncation).view(-1, shapes)
    ranks = losses.topk(kept, dim=0, largest=False).indices
    return guess.select((ranks * shapes + torch.arange(shapes, device=ranks.device)).flatten())
