"""Fitting codes to targets with the decoder frozen: what is fitted to, where a fit starts, and two ways down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .code_problem import Guess, Problem
from .decoder import Decoder
from .first_order import adam_fit
from .optimize import Step, Stop
from .residuals import Residuals
from .second_order import Found, in_pairs, levenberg


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How the code of an unseen shape is found."""

    method: Literal["second-order", "adam"] = "second-order"
    """`second-order`: damped Gauss-Newton steps. `adam`: DeepSDF's way, many more and cheaper steps."""
    steps: int | None = None
    """Steps; None takes 24 of second order, 400 of Adam (DeepSDF: 800). Larger fits closer, up to a point."""
    points: int = 1024
    """Samples a step (second order: from a quarter to twice as many; Adam: twice as many, DeepSDF 8000). Larger is
    smoother and slower."""
    rate: float = 2e-2
    """Learning rate at the start. Larger moves further from the starting code and may overshoot."""
    prior: float = 1e-4
    """Weight of the mean squared code. Larger stays nearer the codes of the space and fits the data less."""
    truncation: float = 0.03
    """Distances are compared within about this. Larger pulls from farther away, smaller cares for the surface."""
    candidates: int = 256
    """Stored codes tried as the start, beside the mean code. Larger starts nearer and costs time."""
    starts: int = 8
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
        if not self.rate > 0 or self.prior < 0 or not self.truncation > 0:
            raise ValueError("rate and truncation must be positive, prior must be at least 0")

    @property
    def count(self) -> int:
        """Steps of the fit."""
        return self.steps if self.steps is not None else {"second-order": 24, "adam": 400}[self.method]


class Targets(NamedTuple):
    """Signed samples that codes are fitted to, in the unit frame; a draw per step is taken.

    Attributes:
        points: (S, N, 3).
        distances: (S, N), signed.
    """

    points: Tensor
    distances: Tensor

    def to(self, device: torch.device) -> Targets:
        """The same targets on a device."""
        return Targets(self.points.to(device), self.distances.to(device))

    def drawn(self, random: torch.Generator, count: int, times: int = 1) -> Residuals:
        """Some of the samples, the same rows of every shape, all shapes so many times over."""
        total = self.points.shape[1]
        rows = torch.randint(total, (min(total, count),), generator=random).to(self.points.device)
        return Residuals(self.points[:, rows].repeat(times, 1, 1), self.distances[:, rows].repeat(times, 1))


class InferredCodes(NamedTuple):
    """Codes found (S, D), the mean truncated error of each at the end (S,), and why the loop ended."""

    codes: Tensor
    errors: Tensor
    stop: Stop


def infer_codes(
    decoder: Decoder,
    targets: Targets,
    stored: Tensor,
    config: EncodeConfig | None = None,
    on_step: Callable[[Step], bool | None] | None = None,
) -> InferredCodes:
    """Fit codes to targets with the decoder frozen (maximum a posteriori: DeepSDF, section 4), all shapes at once.

    Each shape starts from those of the mean code and some stored codes that fit it best; fits of second order follow
    several of them until one is ahead.

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
    problem, plain = Problem(decoder, config.prior / decoder.code_size), Problem(decoder, 0.0)
    second = config.method == "second-order"
    start = _starts(plain, targets, stored.to(device), config, random)[: config.starts if second else 1]
    fit = _by_second_order if second else _by_adam
    found = fit(problem, targets, start, config, on_step)
    with torch.no_grad():
        errors = plain.losses(found.guess, [targets.drawn(random, 2 * config.points)], config.truncation)
    return InferredCodes(found.guess.codes, errors, found.stop)


_WIDE = 0.2
"""Truncation that second-order fits begin with."""
_AT_ONCE = 200_000
"""Field values held at a time."""
_FINAL = 16
"""Candidates for the start that are looked at more closely."""
PRUNED = ((1 / 6, 3), (1 / 2, 1))
"""How starts are given up: after which part of the stages, and how many are kept."""
OnStep = Callable[[Step], bool | None] | None


def _narrowing(stage: int, stages: int, truncation: float) -> float:
    """Truncation of a stage: from wide to the one asked for, which it reaches at two thirds of the way."""
    wide = max(_WIDE, truncation)
    reach = min(1.0, 1.5 * stage / (stages - 1)) if stages > 1 else 1.0
    return wide * (truncation / wide) ** reach


def _by_adam(problem: Problem, targets: Targets, starts: Tensor, config: EncodeConfig, on_step: OnStep) -> Found:
    random = torch.Generator().manual_seed(config.seed + 1)

    def draw(step: int) -> tuple[float, list[Residuals]]:
        kept = config.nested[(step // 4) % len(config.nested)] if config.nested and step % 4 == 3 else None
        return config.truncation, [targets.drawn(random, 2 * config.points)._replace(kept=kept)]

    return adam_fit(problem, draw, Guess(starts[0]), config.count, config.rate, on_step)


def _by_second_order(
    problem: Problem, targets: Targets, starts: Tensor, config: EncodeConfig, on_step: OnStep
) -> Found:
    """Two iterations a stage, each stage on fresh points: few and looked at from afar first, many and close last.

    Fresh points and a narrowing truncation do for these steps what noise does for Adam: with all points held fixed, or
    with the last truncation from the start, the error of held-out shapes is 3 to 5 % higher.
    """
    random = torch.Generator().manual_seed(config.seed + 1)
    stages = in_pairs(config.count)
    most = max(1, len(stages) - 1)

    def draw(stage: int) -> tuple[float, list[Residuals]]:
        whole = targets.drawn(random, max(1, round(config.points * 8.0 ** (stage / most) / 4.0)), times=len(starts))
        some = max(1, whole.points.shape[1] // 4)
        shorter = [
            Residuals(whole.points[:, :some], whole.targets[:, :some], kept=size, weight=0.25 / len(config.nested))
            for size in config.nested
        ]
        return _narrowing(stage, len(stages), config.truncation), [whole, *shorter]

    def fitted(first: int, last: int) -> Found:
        begun = sum(stages[:first])

        def report(step: Step) -> bool | None:
            assert on_step is not None
            return on_step(step._replace(number=begun + step.number, progress=(begun + step.number) / config.count))

        parts = stages[first:last]
        return levenberg(
            problem, lambda stage: draw(first + stage), Guess(starts.flatten(0, 1)), parts, report if on_step else None
        )

    first = 0
    for part, kept in PRUNED:
        last = round(part * len(stages))
        if len(starts) > kept and first < last < len(stages):
            found = fitted(first, last)
            starts = _ahead(problem, found.guess, draw(last), kept, starts.shape[1])
            if found.stop is not Stop.FINISHED:
                return found._replace(guess=Guess(starts[0]))
            first = last
    starts = starts[:1]
    return fitted(first, len(stages))


def _ahead(problem: Problem, guess: Guess, target: tuple[float, list[Residuals]], kept: int, shapes: int) -> Tensor:
    """The codes (kept, S, D) of the lowest losses among fits of S shapes, several of each."""
    truncation, groups = target
    with torch.no_grad():
        losses = problem.losses(guess, groups, truncation).view(-1, shapes)
    rows = losses.topk(kept, dim=0, largest=False).indices
    return guess.codes.view(-1, shapes, guess.codes.shape[1])[rows, torch.arange(shapes, device=rows.device)]


def _starts(
    problem: Problem, targets: Targets, stored: Tensor, config: EncodeConfig, random: torch.Generator
) -> Tensor:
    """Codes (K, S, D) to start from, the best one of each shape first."""
    shapes, size = len(targets.points), problem.decoder.code_size
    mean = stored.mean(0) if len(stored) else torch.zeros(size, device=targets.points.device)
    if config.candidates == 0 or len(stored) == 0:
        return mean.expand(1, shapes, -1)
    chosen = torch.randperm(len(stored), generator=random)[: config.candidates].to(stored.device)
    candidates = torch.cat([mean[None], stored[chosen]])
    rough = _errors_of_each(problem, candidates, targets.drawn(random, 128), config.truncation)
    best = candidates[rough.topk(min(_FINAL, len(candidates)), dim=0, largest=False).indices]
    group = targets.drawn(random, 1024)
    with torch.no_grad():
        close = torch.stack([problem.losses(Guess(codes), [group], config.truncation) for codes in best])
    return best[close.argsort(0), torch.arange(shapes, device=best.device)]


def _errors_of_each(problem: Problem, candidates: Tensor, group: Residuals, truncation: float) -> Tensor:
    """Errors (K, S) of candidates (K, D) for every shape; a candidate is prepared once for all shapes."""
    decoder, (shapes, count) = problem.decoder, group.targets.shape
    points, found = group.points.reshape(1, shapes * count, 3), []
    with torch.no_grad():
        for part in candidates.split(max(1, _AT_ONCE // (shapes * count))):
            values = decoder.query(decoder.prepare(part), points.expand(len(part), -1, -1), problem.branch)
            found.append(group.loss(values.view(len(part), shapes, count), truncation))
    return torch.cat(found)
