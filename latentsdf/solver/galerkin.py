"""A signed distance function from points with normals by one linear solve: an SSD-energy solver after NeuralSSD.

Energy (Calakli and Taubin, "SSD: smooth signed distance surface reconstruction", 2011), over sums of B-spline levels:

    sum_i w_i / N (position f(p_i)^2 / h^2 + normal |grad f(p_i) - n_i|^2) + bending h * integral |Hess f|^2

with h the width of the finest cells. What NeuralSSD (2025) learns beside it, the lattice's structure and its basis
functions, is not here; a learned reliability of the points is (`robust="learned"`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array
from ..core.field import SDF
from ..scan.scan import Scan
from .bspline import Sparse
from .correction import Corrected
from .levels import Stack, build_stack
from .linear_system import Misfit, Reading, System
from .oriented_points import Cloud, checked_cloud
from .robust import Falling, Robust, isolation_weights, robust_scale, robust_weights
from .soft_constraints import Anchors, border_squares, fixed_squares, prior_at
from .spline_field import SplineField

StopReason = Literal["solved directly", "the residual reached the tolerance", "the iterations ran out"]
"""Why a solve ended."""


@dataclass(frozen=True, kw_only=True)
class SolveConfig:
    """What the solver weighs and how fine it works.

    Raises:
        ValueError: a number out of its range.
    """

    resolution: int = 128
    """Cells an axis of the finest lattice, 8 times a power of two; twice as many show details half as large at four
    times the work."""
    dense: int = 32
    """The finest lattice of at most so many cells covers the whole cube; larger shapes the empty space more
    carefully, at eight times the work for each doubling."""
    halo: int = 1
    """How many cells beyond a cell with a point the finer lattices reach; larger bridges wider gaps at full detail."""
    position: float = 1.0
    """Pull of the points on the surface, against a normal weight of 1; 10 suits scans without noise, 0.1 rough ones."""
    normal: float = 1.0
    """Pull of the normals on the gradient; zero ignores them and leaves only their side to the positions."""
    bending: float = 1e-3
    """Smoothness; larger rounds details and noise alike."""
    tolerance: float = 2e-3
    """Relative residual at which the iteration ends; smaller closes holes a little better and takes longer."""
    iterations: int = 500
    """The most iterations on each level."""
    robust: Robust = "none"
    """Weights against strays. By residual: 'geman-mcclure' falls slowly, 'welsch' gives far points up entirely.
    By the neighbourhood of each point, before the solve: 'learned' (`learned_weights`)."""
    rounds: int = 2
    """Robust solves of every level but the finest, which is solved once with the last weights; more settle them."""
    neighbours: int = 16
    """Points to a plane when normals are missing; more smooths noise and rounds edges."""
    border: float = 1.0
    """Without a prior: pull of the field on the cube's border towards the distance from the points, which keeps empty
    space outside; zero lets open scans run on to the border."""
    anchor: float = 0.1
    """With a prior: how firmly the field is held to it where there are no points; larger shortens the transition."""
    reach: float = 0.1
    """With a prior: how far from the points (unit frame) the field is entirely free of it."""

    def __post_init__(self):
        for name in ("position", "bending", "tolerance", "anchor", "reach"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("normal", "border"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, least in (("iterations", 1), ("rounds", 1), ("neighbours", 3), ("dense", 8), ("halo", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.robust not in get_args(Robust):
            raise ValueError(f"robust must be one of {', '.join(get_args(Robust))}, got {self.robust!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """What `solve` found.

    Attributes:
        sdf: the field, in the unit frame of the points; the prior plus the correction where there was a prior.
        correction: the B-spline part of it alone.
        weights: (N,) weight of each point in the last solve, in the order of the points.
        normals: (N, 3) unit normals that were used.
        iterations: of conjugate gradients, by level from coarse to fine, robust rounds included.
        residual: relative residual of the last solve.
        unknowns: coefficients of the last solve.
        seconds: wall time.
        stop: why the last solve ended, a sentence.
    """

    sdf: SDF
    correction: SplineField
    weights: Array
    normals: Array
    iterations: tuple[int, ...]
    residual: float
    unknowns: int
    seconds: float
    stop: StopReason


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
        prior: an SDF in the same frame that stands where there are no points; the fit then only corrects it.
        held: with a prior, what the field is held to away from the points where that is not the prior itself.
        fixed: with a prior, (K, 3) places of the cube where nothing is corrected; each counts as a point does.
        on_level: called after each level with the share of the unknowns that are solved for.

    Raises:
        ValueError: too few points, points that are not finite or outside the cube or all on one line, normals of
            length zero, shapes that do not match, something held without a prior.

    Example:
        >>> points = torch.nn.functional.normalize(torch.randn(1000, 3)) * 0.5
        >>> solution = solve(points, points, SolveConfig(resolution=32))
        >>> float(solution.sdf(torch.zeros(1, 3))) < 0
        True
    """
    started = time.perf_counter()
    config = SolveConfig() if config is None else config
    if prior is None and not (held is None and fixed is None):
        raise ValueError("a field can be held or fixed only beside a prior; give prior as well")
    learned = config.robust == "learned"
    data = checked_cloud(points, normals, weights, config.neighbours, learned)
    stack = build_stack(data.points, config.resolution, config.dense, config.halo)
    bendings, sizes = [level.bending() for level in stack.levels], [len(level.own) for level in stack.levels]
    offsets = None if prior is None else prior_at(prior, data.points)
    kept = None if prior is None else Anchors.of(stack.levels[0], data.points, config.reach, prior, held)
    still = np.zeros((0, 3)) if fixed is None else np.asarray(fixed, dtype=np.float64)
    coefficients: Array | None = None
    falling: Falling = "none" if config.robust == "learned" else config.robust
    loose = 1e-2 if falling == "none" else 3e-3
    trust, iterations = data.trust if learned else isolation_weights(data.points, falling), []
    system, residual = None, 0.0
    for count in range(1, len(stack.levels) + 1):
        part, last = stack.upto(count), count == len(stack.levels)
        reading = Reading(part.levels, data.points, slopes=True)
        if kept is None:
            anchors = [border_squares(part, data.points, config.border)]
        else:
            anchors = [kept.squares(part, config.anchor)]
        if len(still):
            anchors.append(fixed_squares(part, still, config.position, config.normal, 1 / len(data.points)))
        used = 0
        rounds = 1 if falling == "none" or (last and count > 1) else config.rounds
        for turn in range(rounds):
            system = _system(part, bendings[:count], reading, data, trust, config, offsets, anchors)
            if coefficients is not None:
                coefficients = np.concatenate([coefficients, np.zeros(system.unknowns - len(coefficients))])
            tolerance = config.tolerance if last else max(config.tolerance, loose)
            coefficients, steps, residual = system.solve(system.right, coefficients, tolerance, config.iterations)
            used += steps
            if falling != "none" and not (last and turn == rounds - 1):
                trust = _trust(system, reading, coefficients, offsets, part.levels[-1].width, falling)
        iterations.append(used)
        if on_level is not None:
            on_level(sum(sizes[:count]) / sum(sizes))
    assert system is not None
    assert coefficients is not None
    correction = SplineField(stack.levels, system.totals(coefficients))
    back = np.argsort(data.order)
    return Solution(
        sdf=correction if prior is None else Corrected(prior, correction.inside),
        correction=correction,
        weights=(trust * data.weights)[back],
        normals=data.normals[back],
        iterations=tuple(iterations),
        residual=residual,
        unknowns=system.unknowns,
        seconds=time.perf_counter() - started,
        stop="solved directly"
        if system.direct
        else "the residual reached the tolerance"
        if residual <= config.tolerance
        else "the iterations ran out",
    )


def _system(
    stack: Stack,
    bendings: Sequence[Sparse],
    reading: Reading,
    data: Cloud,
    trust: Array,
    config: SolveConfig,
    offsets: Array | None,
    anchors: Sequence[Misfit],
) -> System:
    """The equations of one level and all coarser ones, weighed as if that level were the finest."""
    width, count = stack.levels[-1].width, len(data.points)
    share = trust * data.weights / count
    rows = np.concatenate([config.position / width**2 * share, np.tile(config.normal * share, 3)])
    targets = np.concatenate([np.zeros(count), data.normals.T.reshape(-1)])
    if offsets is not None:
        targets = targets - offsets
    return System(stack, bendings, config.bending * width, [Misfit(reading, rows, targets), *anchors])


def _trust(
    system: System,
    reading: Reading,
    coefficients: Array,
    offsets: Array | None,
    width: float,
    falling: Falling,
) -> Array:
    """Robust weights (N,) from the distances that the field of one level leaves at the points."""
    found = reading(system.totals(coefficients))
    if offsets is not None:
        found = found + offsets
    count = len(found) // 4
    slope = np.linalg.norm(found[count:].reshape(3, count), axis=0)
    distance = found[:count] / np.maximum(slope, 0.5)
    return robust_weights(distance, robust_scale(distance, 0.1 * width) * 2.0, falling)
