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
    points: int = 2048
    """Samples a step (second order: from a quarter to twice as many). Larger is smoother and slower (DeepSDF: 8000)."""
    rate: float = 2e-2
    """Learning rate at the start. Larger moves further from the starting code and may overshoot."""
    prior: float = 1e-4
    """Weight of the mean squared code. Larger stays nearer the codes of the space and fits the data less."""
    truncation: float = 0.03
    """Distances are compared within about this. Larger pulls from farther away, smaller cares for the surface."""
    candidates: int = 256
    """Stored codes tried as the start, beside the mean code. Larger starts nearer and costs time."""
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
        if min(self.count, self.points, self.samples) < 1 or self.candidates < 0:
            raise ValueError("steps, points and samples must be at least 1, candidates at least 0")
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

    def drawn(self, random: torch.Generator, count: int) -> Residuals:
        """Some of the samples, the same rows of every shape."""
        total = self.points.shape[1]
        rows = torch.randint(total, (min(total, count),), generator=random).to(self.points.device)
        return Residuals(self.points[:, rows], self.distances[:, rows])


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

    Each shape starts from whichever of the mean code and some stored codes fits it best.

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
    start = Guess(_starts(plain, targets, stored.to(device), config, random))
    fit = _by_second_order if config.method == "second-order" else _by_adam
    found = fit(problem, targets, start, config, on_step)
    with torch.no_grad():
        errors = plain.losses(found.guess, [targets.drawn(random, config.points)], config.truncation)
    return InferredCodes(found.guess.codes, errors, found.stop)


_WIDE = 0.2
"""Truncation that second-order fits begin with."""
_FINAL = 16
"""Candidates for the start that are looked at more closely."""
OnStep = Callable[[Step], bool | None] | None


def _narrowing(stage: int, stages: int, truncation: float) -> float:
    """Truncation of a stage: from wide to the one asked for, which it reaches at two thirds of the way."""
    wide = max(_WIDE, truncation)
    reach = min(1.0, 1.5 * stage / (stages - 1)) if stages > 1 else 1.0
    return wide * (truncation / wide) ** reach


def _by_adam(problem: Problem, targets: Targets, start: Guess, config: EncodeConfig, on_step: OnStep) -> Found:
    random = torch.Generator().manual_seed(config.seed + 1)

    def draw(step: int) -> tuple[float, list[Residuals]]:
        kept = config.nested[(step // 4) % len(config.nested)] if config.nested and step % 4 == 3 else None
        return config.truncation, [targets.drawn(random, config.points)._replace(kept=kept)]

    return adam_fit(problem, draw, start, config.count, config.rate, on_step)


def _by_second_order(problem: Problem, targets: Targets, start: Guess, config: EncodeConfig, on_step: OnStep) -> Found:
    """Two iterations a stage, each stage on fresh points: few and looked at from afar first, many and close last.

    Fresh points and a narrowing truncation do for these steps what noise does for Adam: with all points held fixed, or
    with the last truncation from the start, the error of held-out shapes is 3 to 5 % higher.
    """
    random = torch.Generator().manual_seed(config.seed + 1)
    stages = in_pairs(config.count)

    def draw(stage: int) -> tuple[float, list[Residuals]]:
        done = stage / max(1, len(stages) - 1)
        whole = targets.drawn(random, max(1, round(config.points * 8.0**done / 4.0)))
        some = max(1, whole.points.shape[1] // 4)
        shorter = [
            Residuals(whole.points[:, :some], whole.targets[:, :some], kept=size, weight=0.25 / len(config.nested))
            for size in config.nested
        ]
        return _narrowing(stage, len(stages), config.truncation), [whole, *shorter]

    return levenberg(problem, draw, start, stages, on_step)


def _starts(
    problem: Problem, targets: Targets, stored: Tensor, config: EncodeConfig, random: torch.Generator
) -> Tensor:
    shapes, size = len(targets.points), problem.decoder.code_size
    mean = stored.mean(0) if len(stored) else torch.zeros(size, device=targets.points.device)
    if config.candidates == 0 or len(stored) == 0:
        return mean.expand(shapes, -1)
    chosen = torch.randperm(len(stored), generator=random)[: config.candidates].to(stored.device)
    candidates = torch.cat([mean[None], stored[chosen]])
    group = targets.drawn(random, 128)
    errors = _tried(problem, candidates[:, None].expand(-1, shapes, -1), group, config)
    best = candidates[errors.topk(min(_FINAL, len(candidates)), dim=0, largest=False).indices]
    errors = _tried(problem, best, targets.drawn(random, 1024), config)
    return best[errors.argmin(0), torch.arange(shapes, device=best.device)]


def _tried(problem: Problem, candidates: Tensor, group: Residuals, config: EncodeConfig) -> Tensor:
    """Errors (K, S) of candidates (K, S, D)."""
    with torch.no_grad():
        return torch.stack([problem.losses(Guess(codes), [group], config.truncation) for codes in candidates])
