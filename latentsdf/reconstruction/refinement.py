"""Generalise, then overfit, for one scan: the shape that a code gives, corrected where there are points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.field import SDF, evaluate
from ..regularizers.presets import Terms
from ..scan.neighbourhoods import noise_level
from ..scan.normals import orient_by_prior, outward_normals
from ..scan.scan import Scan
from ..scan.symmetry import OrientedPoints, mirror_images, symmetry_planes
from ..scan.winding import CLOSED, openness
from ..solver.correction import PRECISION, Correction
from ..solver.galerkin import SolveConfig, solve
from ..solver.robust import Weighting, isolation_weights
from ..solver.soft_constraints import evaluate_prior
from ..solver.spline_field import SplineField
from ..space.shape import Shape
from .constrained_prior import ConstrainedPrior
from .prior_surface import PriorError, fixed_surface, surface_of
from .term_descent import DescentConfig, descend_terms

Method = Literal["solve", "descent"]
LEAST_POINTS = 32
"""Fewer distinct points in the cube than this leave the shape as it is."""

_TOO_FEW = "too few points in the shape's cube, or all on one line: it stays as its code has it"
_LOOSE = 0.02
"""Width in the unit frame to which the prior's surface is looked for planes of symmetry."""
_HOPELESS = 0.1
"""A prior that is wrong at so many of the points of a closed scan is left out."""
_FARTHEST = 0.1
"""The prior has its say from this distance on, however far it is off (unit frame)."""
_RIGHT = 0.01
"""Where the prior is nearer than this to a point it is right there, and on the other side too if it is symmetric."""
_POSITION = (0.3, 10.0)
"""Least and largest weight of positions: rough scans, and exact ones."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """How closely, and where, a shape is corrected.

    Raises:
        ValueError: a number out of its range.
    """

    resolution: int = 128
    """Cells an axis of the finest lattice, 8 times a power of two; larger shows finer detail, at four times the time
    and the bytes for each doubling."""
    noise: float | None = None
    """Standard deviation of the points across the surface, in the scan's units; larger follows them less. None has it
    estimated."""
    smooth: float = 1.0
    """Factor on the bending of the correction; larger rounds details and noise alike."""
    anchor: float = 0.1
    """How firmly the prior is kept where there are no points; larger shortens the seam."""
    reach: float = 0.05
    """How far from the points (unit frame) the prior has no say, at least: where it is off by more at the points, it is
    as much, up to 0.1. Larger makes the seam wider and softer."""
    bounded: bool = True
    """Whether away from the points too the prior gives way to what they say about free space (`Bounded`); False keeps
    it to the letter."""
    mirror: bool = True
    """Whether the far side of a scan from one place is guessed by reflection, where the prior is symmetric and no ray
    speaks against it; False leaves it to the prior."""
    robust: Weighting = "geman-mcclure"
    """Weights against strays: 'none' trusts every point, 'welsch' gives far ones up entirely."""
    points: int = 100_000
    """Scan points used; a larger scan is subsampled."""
    precision: float = PRECISION
    """Rounding of the coefficients kept, unit frame; larger takes fewer bytes."""
    descent: DescentConfig = DescentConfig()
    """Of the descent that terms ask for; the solve does not read it."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self):
        if self.noise is not None and not self.noise >= 0:
            raise ValueError(f"noise must be None or not negative, got {self.noise}")
        for name in ("smooth", "anchor", "reach", "precision"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.points < LEAST_POINTS:
            raise ValueError(f"points must be at least {LEAST_POINTS}, got {self.points}")


@dataclass(frozen=True, eq=False)
class Refinement:
    """A shape corrected to a scan.

    Attributes:
        shape: with its correction; `shape.without_correction()` is what was given.
        method: `solve` or `descent`.
        noise: standard deviation that the points were taken to have, in the scan's units.
        reach: how far from the points the prior has no say, in the scan's units.
        notes: what was done to the scan and what was found, one line each.
        seconds: for all of it.
    """

    shape: Shape
    method: Method
    noise: float
    reach: float
    notes: tuple[str, ...]
    seconds: float


def refine(
    shape: Shape,
    scan: Scan,
    terms: Terms | None = None,
    config: RefineConfig | None = None,
) -> Refinement:
    """Correct a shape so that it lies on a scan where there are points, and stays itself where there are none.

    The corrected field is what the code decodes to plus B-splines on sparse lattices. Without terms they come from one
    linear solve (`solver.solve` with the decoded field as prior): least distances and normals at the points, robustly
    weighed, least bending of the correction, and no correction away from the points. With terms of `regularizers` a
    descent on those terms, about the points alone, says first where the surface lies (`descend`); the solve then takes
    its word instead of the points', so that the seam and all beyond are the same.

    "Away from the points" is not to the letter: a prior that the points contradict is bounded by them first
    (`Bounded`), since a decoded field may be wrong by more than a correction reaches. Where the scan covers its surface
    and the prior is grossly wrong at a tenth of the points, the points alone make the field (`Correction.alone`).

    What one sensor saw of a shape is completed by its mirror images (`symmetry`), which count as points where there are
    none.

    Normals that are missing are estimated. They face the sensor; without one, those of a scan that covers its surface
    keep their own sides, and those of an open one point where the prior's gradient does wherever the prior is near.

    Args:
        shape: the prior, in its frame. An earlier correction is dropped.
        scan: points in source units, in the pose that the shape's frame knows.
        terms: a preset's name, weights by term name, or rows; None solves.
        config: how.

    Returns:
        The shape and what is known of it. With too few points in the shape's cube it is unchanged, and a note says so.

    Raises:
        ValueError: an unknown preset or term, or a term that needs what the scan does not have.

    Example:
        >>> tight = tighten(encode(space, "worn_gear.stl"), Scan.load("scan.ply"))
        >>> tight.shape.mesh().export("tight.ply"); print(tight.shape.correction.nbytes)
    """
    began = monotonic()
    config = config or RefineConfig()
    shape = shape.without_correction()
    method: Method = "solve" if terms is None else "descent"
    reach = config.reach * shape.frame.scale
    unit, notes = _in_cube(shape, scan, config)
    if _TOO_FEW in notes:
        return Refinement(shape, method, 0.0, reach, tuple(notes), monotonic() - began)
    prior = shape.decoded()
    noise = noise_level(unit.points) if config.noise is None else config.noise / shape.frame.scale
    if unit.normals is None:
        unit = replace(unit, normals=_normals(unit, prior, config.seed))
        notes.append("the scan has no normals; estimated ones are used")
    trusted = _trusted(unit)
    held = _bounded(trusted, prior) if config.bounded else None
    if held is not None and held.closed:
        notes.append("the scan covers its surface and tells inside from outside by itself")
    alone = held is not None and held.closed and _wrong(trusted, prior, config.reach) > _HOPELESS
    if alone:
        notes.append("the code is too far off: the points alone make the field")
    solid = trusted if alone else unit
    if terms is not None:
        moved = descend_terms(
            unit, prior, terms, config.descent, resolution=config.resolution, reach=config.reach, seed=config.seed
        )
        notes.append(moved.stop.value)
        solid, exact = moved.scan, 0.0
        if len(solid) < LEAST_POINTS:
            notes.append("the terms left the points without a surface; the shape stays as its code has it")
            return Refinement(shape, method, noise * shape.frame.scale, reach, tuple(notes), monotonic() - began)
    else:
        exact = noise
    if config.mirror and not alone and unit.sensor is not None and not unit.cropped:
        images = _images(trusted, prior, held)
        if len(images.points):
            notes.append(f"{len(images.points):,} mirrored points stand for what was not seen")
            solid = _joined(solid, images)
    settings = _settings(exact, config)
    field = solve(solid, config=settings).correction if alone else _corrected(solid, prior, held, settings)
    correction = Correction.of(field, config.precision, alone)
    notes.append(f"the correction takes {correction.nbytes:,} bytes")
    tight = replace(shape, correction=correction)
    return Refinement(tight, method, noise * shape.frame.scale, reach, tuple(notes), monotonic() - began)


def _in_cube(shape: Shape, scan: Scan, config: RefineConfig) -> tuple[Scan, list[str]]:
    """The scan in the shape's unit frame: distinct points of the cube, no more than asked for."""
    notes = list(scan.notes)
    if len(scan) > config.points:
        notes.append(f"{config.points:,} of {len(scan):,} points drawn at random")
        scan = scan.subsampled(config.points, config.seed)
    unit = scan.transformed(shape.frame)
    _, first = np.unique(unit.points, axis=0, return_index=True)
    inside = np.sort(first[(np.abs(unit.points[first]) <= 1.0).all(1)])
    outside = int((np.abs(unit.points) > 1.0).any(1).sum())
    if outside:
        notes.append(f"{outside:,} of {len(unit):,} points left out: outside of the shape's cube")
    if not len(inside):
        return unit, [*notes, _TOO_FEW]
    unit = unit.select(inside)
    extent = np.linalg.svd(unit.points - unit.points.mean(0), compute_uv=False)
    if len(unit) < LEAST_POINTS or not extent[1] > 1e-4 * extent[0]:
        notes.append(_TOO_FEW)
    return unit, notes


def _normals(unit: Scan, prior: SDF, seed: int) -> NDArray[np.float64]:
    """Estimated normals: they face the sensor; those of an open scan follow the prior where it is near."""
    normals = outward_normals(unit.points, unit.sensor, seed=seed)
    if unit.sensor is not None or openness(unit.points, normals) < CLOSED:
        return normals
    return orient_by_prior(unit.points, normals, prior)


def _trusted(unit: Scan) -> Scan:
    """The scan without points far from all others."""
    return unit.select(isolation_weights(unit.points, "geman-mcclure") > 0.1)


def _bounded(unit: Scan, prior: SDF) -> ConstrainedPrior:
    return ConstrainedPrior(prior, *_oriented(unit), unit.sensor, unit.cropped)


def _images(trusted: Scan, prior: SDF, held: SDF | None) -> OrientedPoints:
    """Mirror images of the points at which the prior is off, in its planes of symmetry."""
    assert trusted.sensor is not None
    scan = _oriented(trusted)
    surface = surface_of(prior, held, _LOOSE)
    if min(len(surface), len(trusted)) < LEAST_POINTS:
        return scan.select(np.arange(0))
    slope = evaluate_prior(prior, surface).reshape(4, -1)[1:].T
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    guess = OrientedPoints(surface, slope / np.maximum(length, np.finfo(np.float64).tiny))
    news = np.abs(_values(prior, scan.points)) > _RIGHT
    return mirror_images(scan, news, trusted.sensor, symmetry_planes(guess, scan, trusted.sensor))


def _oriented(scan: Scan) -> OrientedPoints:
    """Points and normals of a scan that has both."""
    assert scan.normals is not None
    return OrientedPoints(scan.points, scan.normals)


def _joined(scan: Scan, more: OrientedPoints) -> Scan:
    """A scan with more points."""
    points, normals = (np.concatenate(parts) for parts in zip(_oriented(scan), more, strict=True))
    return replace(scan, points=points, normals=normals, sensor=None)


def _wrong(unit: Scan, prior: SDF, reach: float) -> float:
    """Share of the points where the prior is off by twice the reach or has the other side out."""
    assert unit.normals is not None
    at = evaluate_prior(prior, unit.points).reshape(4, -1)
    return float(((np.abs(at[0]) > 2 * reach) | (np.einsum("dn,nd->n", at[1:], unit.normals) < 0)).mean())


def _values(prior: SDF, points: NDArray[np.float64]) -> NDArray[np.float64]:
    return evaluate(prior, torch.from_numpy(points).float()).double().cpu().numpy()


def _settings(noise: float, config: RefineConfig) -> SolveConfig:
    """Of the solve, for points of some noise (unit frame)."""
    width = 2.0 / config.resolution
    return SolveConfig(
        resolution=config.resolution,
        position=float(np.clip(0.1 * (width / max(noise, 1e-9)) ** 2, *_POSITION)),
        bending=1e-3 * config.smooth,
        anchor=config.anchor,
        reach=config.reach,
        robust=config.robust,
    )


def _corrected(unit: Scan, prior: SDF, held: SDF | None, settings: SolveConfig) -> SplineField:
    """The correction of a prior by one linear solve."""
    off = np.abs(_values(prior, unit.points))
    reach = float(np.clip(np.quantile(off, 0.9), settings.reach, max(settings.reach, _FARTHEST)))
    width = 2.0 / settings.resolution
    surface = surface_of(prior, held, width)
    fixed = fixed_surface(surface, PriorError(unit.points, off), reach, width)
    return solve(unit, config=replace(settings, reach=reach), prior=prior, held=held, fixed=fixed).correction
