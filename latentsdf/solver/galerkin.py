"""A signed distance function from points with normals by one linear solve: an SSD-energy solver after NeuralSSD.

Energy (Calakli and Taubin, "SSD: smooth signed distance surface reconstruction", 2011), over sums of B-spline levels:

    sum_i w_i / N (position f(p_i)^2 / h^2 + |grad f(p_i) - n_i|^2) + bending h * integral |Hess f|^2

with h the width of the finest cells. What NeuralSSD (2025) learns beside it, the lattice's structure and its basis
functions, is not here; a learned reliability of the points is (`robust="learned"`).
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array
from ..core.field import SDF
from ..scan.scan import Scan
from .bending import bending_of
from .correction import Corrected
from .levels import Stack, build_stack
from .linear_system import Misfit, PointEvaluation, System
from .oriented_points import Cloud, checked_cloud
from .robust import Kernel, Weighting, isolation_weights, robust_scale, robust_weights
from .soft_constraints import Anchors, border_misfit, evaluate_prior, fixed_misfit
from .spline_field import SplineField

NORMAL_WEIGHT = 1.0
"""Pull of the normals on the gradient: the unit in which `SolveConfig.position` and `bending` are given."""
BORDER = 1.0
"""Without a prior: pull of the outermost cells towards their distance from the points. Without it (0) the sign of an
open scan's field spreads to the border of the cube."""
TOLERANCE = 2e-3
"""Relative residual of the finest level at which the iteration ends. Against 1e-3 the surface of clean and noisy scans
changes by less than 0.3 % in Chamfer distance and closed holes by 2 %, for a third less time (docs/benchmarks.md)."""
COARSE_TOLERANCE, ROBUST_TOLERANCE = 1e-2, 3e-3
"""The same of coarser levels, which only give an initial guess, and of those whose residuals also weigh the points."""
ITERATIONS = 500
"""The most iterations on each level."""
ROUNDS = 2
"""Reweighted solves of every level but the finest, which is solved once with the weights of the level before."""


class SolveStop(enum.Enum):
    """Why a solve ended; the value is the sentence shown to people."""

    DIRECT = "solved directly"
    CONVERGED = "the residual reached the tolerance"
    EXHAUSTED = "the iterations ran out"


@dataclass(frozen=True, kw_only=True)
class SolveConfig:
    """Resolution, weights of the energy and robustness of a solve.

    Raises:
        ValueError: a number out of its range.
    """

    resolution: int = 128
    """Cells an axis of the finest lattice, 8 times a power of two; twice as many resolve details half as large at four
    times the cost."""
    dense: int = 32
    """The finest lattice of at most this many cells covers the whole cube; larger resolves the field in empty space
    better, at eight times the cost for each doubling."""
    position: float = 1.0
    """Pull of the points on the surface, against a normal weight of 1; 10 suits scans without noise, 0.1 rough ones."""
    bending: float = 1e-3
    """Smoothness; larger rounds details and noise alike."""
    robust: Weighting = "none"
    """Weights against outliers. By residual: 'geman-mcclure' falls slowly, 'welsch' rejects distant points entirely.
    By the neighbourhood of each point, before the solve: 'learned' (`learned_weights`)."""
    anchor: float = 0.1
    """With a prior: how firmly the field is held to it away from the points; larger shortens the transition."""
    reach: float = 0.1
    """With a prior: distance from the points (unit frame) up to which the correction is free."""

    def __post_init__(self) -> None:
        for name in ("position", "bending", "anchor", "reach"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.dense < 8:
            raise ValueError(f"dense must be at least 8, got {self.dense}")
        if self.robust not in get_args(Weighting):
            raise ValueError(f"robust must be one of {', '.join(get_args(Weighting))}, got {self.robust!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Field, weights and statistics of a solve.

    Attributes:
        sdf: the field, in the unit frame of the points; the prior plus the correction where there was a prior.
        correction: the B-spline part of it alone.
        weights: (N,) weight of each point in the last solve, in the order of the points.
        normals: (N, 3) unit normals that were used.
        iterations: of conjugate gradients, by level from coarse to fine, robust rounds included.
        residual: relative residual of the last solve.
        unknowns: coefficients of the last solve.
        seconds: wall time.
        stop: why the last solve ended.
    """

    sdf: SDF
    correction: SplineField
    weights: Array
    normals: Array
    iterations: tuple[int, ...]
    residual: float
    unknowns: int
    seconds: float
    stop: SolveStop


def solve(
    points: Scan | ArrayLike,
    normals: ArrayLike | None = None,
    config: SolveConfig | None = None,
    *,
    weights: ArrayLike | None = None,
    prior: SDF | None = None,
    held: SDF | None = None,
    fixed: ArrayLike | None = None,
    on_level: Callable[[float], object] | None = None,
) -> Solution:
    """Fit a signed distance function to points, from coarse to fine lattices, by conjugate gradients.

    Args:
        points: a scan, or (N, 3) points, in the unit frame (inside the cube [-1, 1]^3).
        normals: (N, 3), outward, any length; not with a scan, which brings its own. Where there are none they are
            estimated and oriented, towards the scan's sensor if it has one.
        config: `SolveConfig()` if None.
        weights: (N,) reliability of each point, not negative; all 1 if None.
        prior: an SDF in the same frame that the fit corrects; away from the points it stays as it is.
        held: with a prior, an SDF that takes its place away from the points.
        fixed: with a prior, (K, 3) points of the cube where the correction is zero; each weighs as a point does.
        on_level: called after each level with the share of the unknowns that are solved for.

    Raises:
        ValueError: too few points, points that are not finite or outside the cube or all on one line, normals of
            length zero, shapes that do not match, `held` or `fixed` without a prior.

    Example:
        >>> points = torch.nn.functional.normalize(torch.randn(1000, 3)) * 0.5
        >>> solution = solve(points, points, SolveConfig(resolution=32))
        >>> float(solution.sdf(torch.zeros(1, 3))) < 0
        True
    """
    began = time.perf_counter()
    config = SolveConfig() if config is None else config
    if prior is None and not (held is None and fixed is None):
        raise ValueError("a field can be held or fixed only beside a prior; give prior as well")
    cloud = checked_cloud(points, normals, weights, learned=config.robust == "learned")
    stack = build_stack(cloud.points, config.resolution, config.dense)
    offsets = anchors = None
    if prior is not None:
        offsets = evaluate_prior(prior, cloud.points)
        anchors = Anchors.around(stack.levels[0], cloud.points, config.reach, prior, held)
    fixed_points = np.zeros((0, 3)) if fixed is None else np.asarray(fixed, dtype=np.float64)
    problem = _Multilevel(cloud, stack, config, offsets, anchors, fixed_points)
    iterations = []
    unknowns = np.cumsum([len(level.own) for level in stack.levels])
    for count in range(1, len(stack.levels) + 1):
        iterations.append(problem.solve_level(count))
        if on_level is not None:
            on_level(float(unknowns[count - 1] / unknowns[-1]))
    correction = SplineField(stack.levels, problem.system.totals(problem.coefficients))
    converged = SolveStop.CONVERGED if problem.residual <= TOLERANCE else SolveStop.EXHAUSTED
    original = np.argsort(cloud.order)
    return Solution(
        sdf=correction if prior is None else Corrected(prior, correction.evaluate_clamped),
        correction=correction,
        weights=(problem.reliability * cloud.weights)[original],
        normals=cloud.normals[original],
        iterations=tuple(iterations),
        residual=problem.residual,
        unknowns=problem.system.unknowns,
        seconds=time.perf_counter() - began,
        stop=SolveStop.DIRECT if problem.system.direct else converged,
    )


class _Multilevel:
    """Coarse-to-fine solves of one cloud, each with the coefficients of the level before as its initial guess.

    Attributes:
        system: of the last solve.
        coefficients: (K,) its solution.
        residual: its relative residual.
        reliability: (N,) from 0 to 1, factors on the weights of the points.
    """

    system: System
    residual: float

    def __init__(
        self,
        cloud: Cloud,
        stack: Stack,
        config: SolveConfig,
        offsets: Array | None,
        anchors: Anchors | None,
        fixed: Array,
    ):
        self.cloud, self.stack, self.config = cloud, stack, config
        self.offsets, self.anchors, self.fixed = offsets, anchors, fixed
        self.bendings = [bending_of(level) for level in stack.levels]
        self.kernel: Kernel = "none" if config.robust == "learned" else config.robust
        learned = config.robust == "learned"
        self.reliability = cloud.reliability if learned else isolation_weights(cloud.points, self.kernel)
        self.coefficients = np.zeros(0)

    def solve_level(self, count: int) -> int:
        """Solve on the first `count` levels, with reweighting; returns the iterations."""
        part, last = self.stack.upto(count), count == len(self.stack.levels)
        evaluation = PointEvaluation(part.levels, self.cloud.points, slopes=True)
        constraints = self._constraints(part)
        robust = self.kernel != "none"
        rounds = ROUNDS if robust and not (last and count > 1) else 1
        tolerance = TOLERANCE if last else max(TOLERANCE, ROBUST_TOLERANCE if robust else COARSE_TOLERANCE)
        iterations = 0
        for turn in range(rounds):
            system = self.system = self._assemble(part, evaluation, constraints)
            guess = np.concatenate([self.coefficients, np.zeros(system.unknowns - len(self.coefficients))])
            self.coefficients, steps, self.residual = system.solve(system.right_hand_side, guess, tolerance, ITERATIONS)
            iterations += steps
            if robust and not (last and turn == rounds - 1):
                self.reliability = self._residual_weights(evaluation, part.levels[-1].width)
        return iterations

    def _constraints(self, part: Stack) -> list[Misfit]:
        """Soft constraints away from the points and at the fixed ones."""
        if self.anchors is None:
            constraints = [border_misfit(part, self.cloud.points, BORDER)]
        else:
            constraints = [self.anchors.misfit(part, self.config.anchor)]
        if len(self.fixed):
            share = 1 / len(self.cloud.points)
            constraints.append(fixed_misfit(part, self.fixed, self.config.position, NORMAL_WEIGHT, share))
        return constraints

    def _assemble(self, part: Stack, evaluation: PointEvaluation, constraints: list[Misfit]) -> System:
        """The equations of a level and all coarser ones, weighted as if that level were the finest."""
        width, count = part.levels[-1].width, len(self.cloud.points)
        share = self.reliability * self.cloud.weights / count
        rows = np.concatenate([self.config.position / width**2 * share, np.tile(NORMAL_WEIGHT * share, 3)])
        targets = np.concatenate([np.zeros(count), self.cloud.normals.T.reshape(-1)])
        if self.offsets is not None:
            targets = targets - self.offsets
        bendings = self.bendings[: len(part.levels)]
        return System(part, bendings, self.config.bending * width, [Misfit(evaluation, rows, targets), *constraints])

    def _residual_weights(self, evaluation: PointEvaluation, width: float) -> Array:
        """Robust weights (N,) from the distances |f| / |grad f| of the points to the surface of the last solve."""
        jet = evaluation(self.system.totals(self.coefficients))
        if self.offsets is not None:
            jet = jet + self.offsets
        count = len(jet) // 4
        slope = np.linalg.norm(jet[count:].reshape(3, count), axis=0)
        distance = jet[:count] / np.maximum(slope, 0.5)
        return robust_weights(distance, robust_scale(distance, 0.1 * width) * 2.0, self.kernel)
