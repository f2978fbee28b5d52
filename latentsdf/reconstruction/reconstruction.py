"""Unseen scans to shapes: the code and frame that explain the points, and what is data and what is guess."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial import KDTree
from trimesh.visual import ColorVisuals

from ..core.field import first_order_distance
from ..core.frame import Frame
from ..core.optimize import OnStep, Stop
from ..inference.candidates import CandidateFields
from ..regularizers.presets import Terms
from ..scan.scan import Scan
from ..space.shape import Shape
from ..space.space import LatentSpace
from .refinement import RefineConfig, Refinement, refine
from .scan_fitting import ScanFit, ScanFitConfig, fit_scan

RESIDUAL_POINTS = 20_000
SUPPORTED = np.array([200, 200, 205], dtype=np.uint8)
GUESSED = np.array([240, 140, 40], dtype=np.uint8)
_FAR = 0.1
_AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True)
class ReconstructConfig:
    """How a scan is reconstructed."""

    fit: ScanFitConfig = field(default_factory=ScanFitConfig)
    """How its code and frame are found."""
    frame: Frame | None = None
    """Scan units <-> unit frame, to start from, or to keep with `fit.pose` known; None is the bounding sphere."""
    refine: bool = True
    """Whether the shape of the code is then corrected to the scan where there are points; False keeps the code's own
    surface, which takes no bytes beside the code."""
    refinement: RefineConfig = field(default_factory=RefineConfig)
    """How closely, and where, it is corrected."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A scan explained by a space.

    Attributes:
        shape: an SDF in the scan's own units, with the correction that tightening made; `shape.mesh()` is watertight.
        stop: why the fit ended.
        residual_mean: mean of `first_order_distance` at the scan's points, in the scan's units.
        residual_p90: ninetieth percentile of that distance.
        surprise: root mean square of the code's numbers, each in standard deviations of the space's own codes; about 1
            for a shape like those of the space.
        openness: 0 for a scan of the whole surface, towards 1/2 for a single patch.
        fitted: all about the fit of the code.
        tightened: what the correction was made of; None where there is none.
        notes: what was done to the scan, and what is doubtful, one line each.
    """

    shape: Shape
    stop: Stop
    residual_mean: float
    residual_p90: float
    code_zscore: float
    openness: float
    fit: ScanFit
    refinement: Refinement | None
    notes: tuple[str, ...]

    def scan_distance(self, points: NDArray) -> NDArray[np.float64]:
        """Distances (N,) from points (N, 3) to the nearest point of the scan, in the scan's units."""
        return np.asarray(KDTree(self.fit.scan.points).query(np.asarray(points, dtype=np.float64))[0])

    def stddev(self, points: NDArray) -> NDArray[np.float64]:
        """Standard deviations (N,) of the surface at points (N, 3) along its normal, in the scan's units.

        By Laplace's approximation at the code that was found: how far the surface could lie elsewhere without the scan
        fitting notably worse. It knows nothing of shapes that the decoder cannot make. Where the shape was corrected to
        the points, it is the noise of these.
        """
        frame, code = self.fit.frame, self.fit.code
        linearize = self.shape.decoder.linearizer()
        unit = torch.from_numpy(frame.to_unit(points)).to(code).clamp(-1.0, 1.0)
        spread = [torch.zeros(0)]
        for part in unit.split(_AT_ONCE):
            found = linearize(code[None], part[None])
            variance = torch.einsum("nd,de,ne->n", found.of_codes[0], self.fit.covariance, found.of_codes[0])
            slope = found.of_points[0].norm(dim=-1).clamp_min(0.1)
            spread.append((variance.clamp_min(0.0).sqrt() / slope).cpu())
        of_code = frame.to_source_distance(torch.cat(spread).double().numpy())
        if self.refinement is None or self.shape.correction is None:
            return of_code
        share = np.clip(self.scan_distance(points) / self.refinement.reach - 1.0, 0.0, 1.0)
        return np.hypot(share * of_code, (1.0 - share) * self.refinement.noise)

    def mesh(self, resolution: int = 256) -> trimesh.Trimesh:
        """The surface in the scan's units; its vertices carry `support` and `deviation`, and are orange where guessed.

        Args:
            resolution: lattice cells per axis.

        Raises:
            ValueError: the field has no surface.
        """
        made = self.shape.mesh(resolution)
        support, deviation = self.scan_distance(made.vertices), self.stddev(made.vertices)
        share = np.clip(support / (self.shape.frame.scale * _FAR), 0.0, 1.0)[:, None]
        colors = (SUPPORTED * (1 - share) + GUESSED * share).astype(np.uint8)
        made.visual = ColorVisuals(made, vertex_colors=colors)
        made.vertex_attributes["support"] = support.astype(np.float32)
        made.vertex_attributes["deviation"] = deviation.astype(np.float32)
        return made


def reconstruct(
    space: LatentSpace,
    scan: Scan,
    terms: Terms | None = None,
    *,
    config: ReconstructConfig | None = None,
    candidates: CandidateFields | None = None,
    on_step: OnStep | None = None,
) -> Reconstruction:
    """Find the shape of a space that explains a scan, and where it lies; then correct it to the scan.

    Generalise, then overfit: the code and the frame are fitted (`fit_scan`), and the decoded field is corrected where
    there are points (`tighten`), by one linear solve, or by a descent on terms of one's own.

    Args:
        space: the prior; it decides what is inside where the scan has no normals.
        scan: points in their own units; noisy or partial, normals not needed.
        terms: of the correction: a preset's name, weights by term name, or rows; None solves.
        config: how.
        candidates: `gallery_of(space)`, where there is one already.
        on_step: called after every step of the fit of the code.

    Raises:
        ValueError: the scan has too few distinct points, or there are terms that are unknown or need what it does not
            have.

    Example:
        >>> found = reconstruct(space, Scan.load("scan.ply"))
        >>> found.mesh().export("repaired.ply"); print(found.stop.value)
    """
    config = config or ReconstructConfig()
    fitted = fit_scan(space, scan, config.fit, frame=config.frame, candidates=candidates, on_step=on_step)
    info = {"fit_error": fitted.error, "scan_points": len(scan)}
    shape = Shape(scan.name or "scan", fitted.code, fitted.frame, space.decoder, info)
    points = torch.from_numpy(fitted.scan.subsampled(RESIDUAL_POINTS, config.fit.seed).points)
    plain = first_order_distance(shape, points).cpu().numpy()
    tightened = None
    if config.refine and fitted.stop is not Stop.INTERRUPTED:
        tightened = refine(shape, fitted.scan, terms, config.refinement)
        shape = tightened.shape
    residual = plain if tightened is None else first_order_distance(shape, points).cpu().numpy()
    surprise = _surprise(space, fitted)
    notes = fitted.scan.notes if tightened is None else tightened.notes
    notes = (*notes, *_doubts(float(np.median(plain)) / fitted.frame.scale, surprise))
    return Reconstruction(
        shape=shape,
        stop=fitted.stop,
        residual_mean=float(residual.mean()),
        residual_p90=float(np.quantile(residual, 0.9)),
        code_zscore=surprise,
        openness=fitted.openness,
        fit=fitted,
        refinement=tightened,
        notes=notes,
    )


def _surprise(space: LatentSpace, fitted: ScanFit) -> float:
    codes = space.codes()
    if len(codes) < 2:
        return float("nan")
    spread = codes.std(0).clamp_min(1e-6)
    return float(((fitted.code - codes.mean(0)) / spread).square().mean().sqrt())


FITS = 0.015
"""Median distance of the scan to the surface, in the unit frame, beyond which a space does not explain it."""
USUAL = 2.5
"""A larger `surprise` is not that of a shape like those of the space."""


def _doubts(residual: float, surprise: float) -> list[str]:
    found = []
    if residual > FITS:
        found.append(
            f"the space does not explain this scan: by the code alone half of it lies farther than {residual:.1%} of "
            "the shape's radius from the surface; nothing like it may be in the space"
        )
    if surprise > USUAL:
        found.append(f"the code is unlike those of the space ({surprise:.1f} times their spread)")
    return found
