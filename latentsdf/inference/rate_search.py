"""Residuals of shapes in the fewest bytes that reach a tolerance, or as close as a number of bytes allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..codec.rate_distortion import RateDescent, RatePoint, RateSamples
from ..codec.residual import Coefficients, Residual, nearest_step
from .surface_judge import SurfaceJudge

LARGEST, SMALLEST, RATIO = 1e-2, 3e-6, 3.0
"""Range of lambda, for as many samples as `SAMPLES`, and the ratio of neighbours in the search."""
SAMPLES = 33_000
_REFERENCE = 1e-3
_STEP = 0.02
"""Step of the coefficients at a lambda of `_REFERENCE`; it changes with the fourth root of lambda. A lambda of half or
twice as much at each step changed F by less than .005 at equal bytes."""
_HALVINGS = 2
"""Halvings of the last interval of lambda; where only bytes are asked for and none need be judged, twice as many."""
_STEEPEST = 0.12
"""The most that an F-score rises while the bytes of a residual double; of 12 held-out shapes it was .116 at most."""
_FINEST_BELOW = 3e-4
"""Lambda below which the lattice of 64 cells is used; above it hardly any coefficient of it paid."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """How close a shape must come to its mesh, and how many bytes it may take.

    With both, the shape takes the fewest bytes that reach the tolerance, and no more than allowed.

    Raises:
        ValueError: a number out of its range, or neither a tolerance nor a limit.
    """

    tolerance: float | None = None
    """Distance, in the unit frame, at which the F-score must reach `score`. Smaller is closer and takes more bytes."""
    max_bytes: int | None = None
    """Bytes that the packed code and the residual may take together. Larger comes closer."""
    score: float = 0.95
    """F-score that counts as reaching the tolerance. Larger takes more bytes."""
    levels: int = 4
    """Lattices, of 8, 16, 32 and 64 cells an axis. Fewer are faster and resolve less."""

    @property
    def distance(self) -> float:
        """Distance at which F-scores are taken: the tolerance, .01 without one."""
        return self.tolerance or 0.01

    def __post_init__(self) -> None:
        if self.tolerance is None and self.max_bytes is None:
            raise ValueError("a target needs a tolerance, a number of bytes, or both")
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise ValueError(f"the tolerance must lie between 0 and 1 in the unit frame, got {self.tolerance}")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, got {self.max_bytes}")
        if not 0 < self.score < 1:
            raise ValueError(f"score must lie between 0 and 1, got {self.score}")
        if not 1 <= self.levels <= 4:
            raise ValueError(f"levels must lie from 1 to 4, got {self.levels}")


class FittedResidual(NamedTuple):
    """Result of a search.

    Attributes:
        residual: None where the code alone is best.
        f_score: reached, at `Target.distance`.
    """

    residual: Residual | None
    f_score: float


class _Trial(NamedTuple):
    weight: float
    coefficients: Coefficients | None
    residual: Residual | None

    @property
    def nbytes(self) -> int:
        return 0 if self.residual is None else self.residual.nbytes


def search_residual(
    samples: RateSamples, judge: SurfaceJudge, target: Target, code_bytes: int, closest: bool = True
) -> FittedResidual:
    """Search over lambda, from large to small, for the residual that a target asks for.

    Args:
        samples: of the true distance and of the prior.
        judge: of residuals on that prior.
        target: what is wanted.
        code_bytes: bytes of the code, which count towards `Target.max_bytes`.
        closest: whether the closest residual is wanted where none reaches the tolerance within the limit; False ends
            the search, which then returns any, as soon as that is known.

    Returns:
        The residual of the fewest bytes found that reaches the tolerance within the limit; where none does, that of
        the highest F-score within the limit.
    """
    return _Search(samples, judge, target, code_bytes, closest).run()


def rate_point(weight: float, samples: int) -> tuple[RatePoint, int | None]:
    """Arguments of `RateDescent.solve` for a lambda stated for `SAMPLES` samples, where there are `samples`."""
    step = nearest_step(_STEP * (weight / _REFERENCE) ** 0.25)
    return RatePoint(weight * samples / SAMPLES, step), None if weight < _FINEST_BELOW else 3


class _Search:
    def __init__(self, samples: RateSamples, judge: SurfaceJudge, target: Target, code_bytes: int, closest: bool):
        self.judge, self.closest = judge, closest
        self.descent = RateDescent(samples, target.levels)
        self.target = target
        self.limit = None if target.max_bytes is None else max(0, target.max_bytes - code_bytes)
        self.scores: dict[float, float] = {}

    def run(self) -> FittedResidual:
        before = _Trial(LARGEST * RATIO, None, None)
        if self.reached(before):
            return FittedResidual(None, self.score(before))
        kept = [before]
        while before.weight > SMALLEST:
            after = self.solve(before.weight / RATIO)
            if self.hopeless(after):
                return FittedResidual(None, self.score(kept[0]))
            if not self.fits(after) or self.reached(after):
                kept += self.bisect(before, after)
                break
            kept.append(after)
            before = after
        fitting = [trial for trial in kept if self.fits(trial)]
        good = [trial for trial in fitting if self.reached(trial)]
        best = min(good, key=lambda trial: trial.nbytes) if good else max(fitting[-3:] + fitting[:1], key=self.score)
        return FittedResidual(best.residual, self.score(best))

    def bisect(self, before: _Trial, after: _Trial) -> list[_Trial]:
        """Trials between one that is not enough and one that is enough or too much, which is the last of them."""
        found = [after]
        for _ in range(_HALVINGS if self.target.tolerance is not None else 2 * _HALVINGS):
            if before.coefficients is not None:
                self.descent.restart(before.coefficients)
            middle = self.solve((before.weight * after.weight) ** 0.5)
            found.append(middle)
            if not self.fits(middle) or self.reached(middle):
                after = middle
            else:
                before = middle
        return found

    def solve(self, weight: float) -> _Trial:
        coefficients = self.descent.solve(*rate_point(weight, len(self.descent.samples.points)))
        return _Trial(weight, coefficients, Residual.of(coefficients))

    def fits(self, trial: _Trial) -> bool:
        return self.limit is None or trial.nbytes <= self.limit

    def reached(self, trial: _Trial) -> bool:
        return self.target.tolerance is not None and self.fits(trial) and self.score(trial) >= self.target.score

    def hopeless(self, trial: _Trial) -> bool:
        """Whether no residual within the limit can be close enough, where only such ones are wanted."""
        if self.closest or self.limit is None or not trial.nbytes:
            return False
        rise = max(0.0, _STEEPEST * float(np.log2(max(1, self.limit) / trial.nbytes)))
        return self.score(trial) + rise < self.target.score

    def score(self, trial: _Trial) -> float:
        key = trial.weight
        if key not in self.scores:
            enough = None if self.target.tolerance is None else self.target.score
            (self.scores[key],) = self.judge.f_scores(trial.residual, [self.target.distance], enough=enough)
        return self.scores[key]
