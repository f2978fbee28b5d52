"""Refinement of a shape to one scan: a B-spline correction of the decoded field where there are points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from time import monotonic
from typing import Literal

import numpy as np

from ..core.field import SDF
from ..core.frame import Frame
from ..fitting.direct_solve import fitting_config
from ..regularizers.presets import Terms
from ..scan.orientation import orient_by_prior
from ..scan.scan import Scan
from ..scan.winding import CLOSED
from ..solver.correction import PRECISION, Correction
from ..solver.galerkin import SolveConfig
from ..solver.robust import Weighting, isolation_weights
from ..solver.smoothing import noise_bending
from ..space.shape import Shape
from .evidence import weigh_prior
from .mirroring import mirrored_points, with_points
from .prior_solve import solve_alone, solve_correction
from .term_descent import descend_terms

Method = Literal["solve", "descent"]
LEAST_POINTS = 32
"""Fewer distinct points in the cube than this correct nothing."""
_INLIER = 0.1
"""Least isolation weight of a point that constrains the prior."""
_POSITION_WEIGHTS = (0.3, 10.0)
"""Least and largest weight of positions: rough scans, and exact ones."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Settings of a refinement.

    Raises:
        ValueError: a setting out of its range.
    """

    resolution: int = 128
    """Cells per axis of the finest lattice, 8 times a power of two; larger shows finer detail, at four times the time
    and the bytes for each doubling."""
    noise: float | None = None
    """Standard deviation of the points across the surface, in the scan's units; larger follows them less. None
    estimates it."""
    reach: float = 0.05
    """Distance from the points (unit frame) within which the prior does not count; where it is off by more at the
    points, as far as that, up to 0.1. Larger makes the seam wider and softer."""
    mirror: bool = True
    """Whether points are mirrored to the far side of a scan with a sensor, in planes of symmetry of the prior that no
    ray refutes; False leaves the far side to the prior."""
    robust: Weighting = "geman-mcclure"
    """Weighting weights: 'none' trusts every point, 'welsch' gives far outliers up entirely."""
    points: int = 100_000
    """Scan points used; a larger scan is subsampled."""
    precision: float = PRECISION
    """Quantisation of the coefficients that are kept, unit frame; larger takes fewer bytes."""
    steps: int = 300
    """Steps of the descent if there are terms; larger fits closer."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        if self.noise is not None and not self.noise >= 0:
            raise ValueError(f"noise must be None or not negative, got {self.noise}")
        for name in ("reach", "precision"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name, least in (("points", LEAST_POINTS), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


class RefinementStatus(Enum):
    """Outcome of a refinement; the value is the sentence shown to people."""

    CORRECTED = "the shape was corrected to the points"
    TOO_FEW_POINTS = "too few points in the shape's cube, or all on one line: it stays as its code has it"
    NO_SURFACE = "the terms left the points without a surface; the shape stays as its code has it"


@dataclass(frozen=True, eq=False)
class Refinement:
    """Result of a refinement.

    Attributes:
        shape: with its correction; `shape.without_correction()` is the shape given. Where nothing of the prior is kept
            for a scan without normals, its frame is that of the scan, `Scan.frame`.
        status: whether it was corrected.
        method: `solve` or `descent`.
        noise: standard deviation assumed of the points, in the scan's units.
        reach: distance from the points within which the prior does not count, in the scan's units.
        notes: on the scan and the correction, one line each.
        seconds: in all.
        trust: share of the prior's surface away from the points that is kept, from 0 to 1; 0 where the points alone
            make the field.
    """

    shape: Shape
    status: RefinementStatus
    method: Method
    noise: float
    reach: float
    notes: tuple[str, ...]
    seconds: float
    trust: float


def refine(
    shape: Shape,
    scan: Scan,
    terms: Terms | None = None,
    config: RefineConfig | None = None,
    *,
    estimated_normals: bool = False,
    predicted_agreement: float | None = None,
) -> Refinement:
    """Correct a shape to a scan where there are points, and keep it where there are none.

    The corrected field is the decoded one plus B-splines on sparse lattices, from one linear solve (`solver.solve` with
    the decoded field as prior): least squares of distances and normals at the points, robustly weighted, least bending
    of the correction, and no correction away from the points. With terms of `regularizers`, a descent near the points
    (`descend_terms`) determines the surface first, and the solve takes its points.

    Away from the points the prior is clamped to the constraints of the scan (`ConstrainedPrior`), since it may be wrong
    by more than a correction reaches. A prior whose slopes do not agree with the normals is not trusted in the region
    beyond (`Trust`): there the field is that of the points alone (`Correction.alone`), completed by the prior's surface
    in the regions where it is trusted. So is that of a closed scan. A scan of one sensor is completed by mirror images
    (`scan.symmetry`).

    Estimated normals face the sensor; without one, those of a closed scan are kept, and those of an open scan take the
    side of the prior's gradient where the prior is near.

    Args:
        shape: the prior, in its frame. An earlier correction is dropped.
        scan: points in source units, in the pose of the shape's frame; normals are estimated where there are none.
        terms: a preset's name, weights by term name, or terms; None solves.
        config: `RefineConfig()` if None.
        estimated_normals: whether the scan's normals are estimates, as those of `fit_scan` are.
        predicted_agreement: of the code with points that were held out (`held_out_agreement`), where the shape was
            fitted to this scan; None for a shape that was not.

    Returns:
        The corrected shape, or with `status` the reason why it is unchanged.

    Raises:
        ValueError: an unknown preset or term, or a term that needs what the scan does not have.

    Example:
        >>> refined = refine(encode(space, "worn_gear.stl"), Scan.load("scan.ply"))
        >>> refined.shape.mesh().export("refined.ply"); print(refined.shape.correction.nbytes)
    """
    began, config, shape = monotonic(), config or RefineConfig(), shape.without_correction()
    scale, method = shape.frame.scale, "solve" if terms is None else "descent"
    scan = _distinct(scan)
    notes = list(scan.notes)
    unit = _in_cube(scan, shape.frame, config, notes)

    def result(
        status: RefinementStatus, noise: float, correction: Correction | None = None, trust: float = 1.0
    ) -> Refinement:
        notes.append(status.value if correction is None else f"the correction takes {correction.nbytes:,} bytes")
        corrected = shape if correction is None else replace(shape, correction=correction)
        seconds = monotonic() - began
        return Refinement(corrected, status, method, noise * scale, config.reach * scale, tuple(notes), seconds, trust)

    if unit is None:
        return result(RefinementStatus.TOO_FEW_POINTS, 0.0)
    prior = shape.decoded()
    noise = (scan.noise if config.noise is None else config.noise) / scale
    estimated = scan.normals is None or estimated_normals
    if estimated:
        notes.append("the scan has no normals; estimated ones are used")
    own = unit.with_normals(config.seed)
    closed = (own if scan.normals is None else scan).openness < CLOSED
    unit = _oriented(own, prior) if estimated and not closed and unit.sensor is None else own
    inliers = unit.select(np.flatnonzero(isolation_weights(unit.points, "geman-mcclure") > _INLIER))
    settings = _solve_config(unit, noise, estimated, config)
    if closed:
        notes.append("the scan covers its surface and tells inside from outside by itself")
    evidence = weigh_prior(prior, inliers, settings, closed=closed, predicted_agreement=predicted_agreement)
    notes += evidence.notes
    alone = evidence.alone
    target = unit
    if not evidence.trust and estimated and terms is None:
        shape, target = _without_prior(shape, scan, config)
    if terms is not None:
        descent = descend_terms(
            unit, prior, terms, config.steps, resolution=config.resolution, reach=config.reach, seed=config.seed
        )
        notes.append(descent.stop.value)
        if descent.scan is None or len(descent.scan) < LEAST_POINTS:
            return result(RefinementStatus.NO_SURFACE, noise)
        target, settings = descent.scan, _solve_config(descent.scan, 0.0, False, config)
    if config.mirror and not alone and unit.sensor is not None and not unit.cropped:
        images = mirrored_points(inliers, prior, evidence.constrained)
        if len(images.points):
            notes.append(f"{len(images.points):,} mirrored points stand for what was not seen")
            target = with_points(target, images)
    if alone:
        noise_there = noise * scale / shape.frame.scale
        settings = _config_alone(target, noise_there, estimated and terms is None, config)
        field = solve_alone(target, prior, evidence.unseen.points, evidence.weights, settings)
    else:
        field = solve_correction(target, prior, evidence.constrained, evidence.unseen, settings)
    return result(RefinementStatus.CORRECTED, noise, Correction.of(field, config.precision, alone), evidence.trust)


def _distinct(scan: Scan) -> Scan:
    """The scan with each point once."""
    _, first = np.unique(scan.points, axis=0, return_index=True)
    return scan if len(first) == len(scan) else scan.select(np.sort(first))


def _in_cube(scan: Scan, frame: Frame, config: RefineConfig, notes: list[str]) -> Scan | None:
    """At most `config.points` of a scan, in a unit frame, without points outside of the cube; None if too few."""
    if len(scan) > config.points:
        notes.append(f"{config.points:,} of {len(scan):,} points drawn at random")
        scan = scan.subsampled(config.points, config.seed)
    unit = scan.transformed(frame)
    inside = np.flatnonzero((np.abs(unit.points) <= 1.0).all(1))
    if len(inside) < len(unit):
        notes.append(f"{len(unit) - len(inside):,} of {len(unit):,} points left out: outside of the shape's cube")
        if not len(inside):
            return None
        unit = unit.select(inside)
    extent = np.linalg.svd(unit.points - unit.points.mean(0), compute_uv=False)
    return unit if len(unit) >= LEAST_POINTS and extent[1] > 1e-4 * extent[0] else None


def _without_prior(shape: Shape, scan: Scan, config: RefineConfig) -> tuple[Shape, Scan]:
    """The shape in the scan's own frame, and the points there, as a solve without a space takes them."""
    scan = replace(scan, normals=None)
    frame = scan.frame()
    return replace(shape, frame=frame), scan.subsampled(config.points, config.seed).transformed(frame)


def _oriented(unit: Scan, prior: SDF) -> Scan:
    """Points in the cube with their normals on the prior's side, where it is near."""
    assert unit.normals is not None
    return replace(unit, normals=orient_by_prior(unit.points, unit.normals, prior))


def _solve_config(scan: Scan, noise: float, estimated: bool, config: RefineConfig) -> SolveConfig:
    """Settings of a correction for points of some noise (unit frame): positions weigh 0.1 (h / noise)^2, cells h wide.

    Where the normals are estimates, smoothness follows the noise too (`noise_bending`).
    """
    width = 2.0 / config.resolution
    position = float(np.clip(0.1 * (width / max(noise, 1e-9)) ** 2, *_POSITION_WEIGHTS))
    spacing = float(np.median(scan.neighbour_distances))
    return SolveConfig(
        resolution=config.resolution,
        position=position,
        bending=noise_bending(noise, spacing, width) if estimated else SolveConfig.bending,
        reach=config.reach,
        robust=config.robust,
    )


def _config_alone(scan: Scan, noise: float, estimated: bool, config: RefineConfig) -> SolveConfig:
    """Settings of a solve for the points alone, by their density and noise as without a space."""
    settings, _ = fitting_config(scan, config.seed, estimated=estimated, noise=noise, finest=2 * config.resolution)
    return replace(settings, robust="none") if config.robust == "none" else settings
