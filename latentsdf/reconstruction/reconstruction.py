"""Shapes of scans: fit of a code and a frame, refinement, and the uncertainty of the surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor
from trimesh.visual import ColorVisuals

from ..core.arrays import Array
from ..core.field import first_order_distance
from ..core.frame import Frame
from ..core.optimize import OnStep, Stop
from ..inference.candidates import CandidateFields
from ..regularizers.presets import Terms
from ..scan.scan import Scan
from ..space.shape import Shape
from ..space.space import LatentSpace
from .refinement import RefineConfig, Refinement, refine
from .scan_fitting import ScanFit, ScanFitConfig, ScanProblem

LARGEST_DISTANCE = 0.015
"""Median distance of the scan to the code's surface, unit frame, above which the space does not explain the scan."""
LARGEST_ZSCORE = 2.5
"""`code_zscore` above which a code is unlike those of the space."""
RESIDUAL_POINTS = 20_000
"""Scan points that distances to the surface are averaged over."""
SCANNED = np.array([200, 200, 205], dtype=np.uint8)
INFERRED = np.array([240, 140, 40], dtype=np.uint8)
"""Colours of a mesh at the scan, and away from it."""
_INFERRED_FROM = 0.1
"""Distance from the scan, unit frame, at which a mesh has the second colour."""
_POINTS_PER_CHUNK = 20_000


@dataclass(frozen=True, kw_only=True)
class ReconstructConfig:
    """Settings of a reconstruction."""

    fit: ScanFitConfig = field(default_factory=ScanFitConfig)
    """Of the code and the frame."""
    frame: Frame | None = None
    """Initial frame, scan units <-> unit frame, or the frame itself with `fit.pose` known; None is the bounding
    sphere."""
    refine: bool = True
    """Whether the shape of the code is then corrected to the scan; False keeps the code's own surface, which takes no
    bytes beside the code."""
    refinement: RefineConfig = field(default_factory=RefineConfig)
    """Of the correction."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A scan explained by a space.

    Attributes:
        shape: an SDF in the scan's own units, with its correction; `shape.mesh()` is watertight.
        stop: why the fit ended.
        residual_mean: mean of `first_order_distance` at the scan's points, in the scan's units.
        residual_p90: ninetieth percentile of that distance.
        code_zscore: root mean square of the code's z-scores in the codes of the space; about 1 for a shape like them.
        openness: 0 for a scan of the whole surface, towards 1/2 for a flat patch.
        fit: of the code and the frame.
        refinement: None where there is none.
        notes: on the scan, the correction and doubts about the result, one line each.
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

    def scan_distance(self, points: NDArray[Any]) -> Array:
        """Distances (N,) from points (N, 3) to the nearest point of the scan, in the scan's units."""
        return np.asarray(self.fit.scan.tree.query(np.asarray(points, dtype=np.float64))[0])

    def stddev(self, points: NDArray[Any]) -> Array:
        """Standard deviations of the surface along its normal, sqrt(J C J^T) / |grad f| with J = df / dz.

        C is the covariance of the code z by Laplace's approximation, which covers only shapes that the decoder can
        make. Where the shape was corrected to the points, it is the noise of these, mixed over twice the reach.

        Args:
            points: (N, 3) on the surface, in the scan's units.

        Returns:
            (N,), in the scan's units.
        """
        frame, code, covariance = self.fit.frame, self.fit.code, self.fit.covariance
        linearize = self.shape.decoder.linearizer()
        unit = torch.from_numpy(frame.to_unit(points)).to(code).clamp(-1.0, 1.0)
        parts = [torch.zeros(0)]
        for part in unit.split(_POINTS_PER_CHUNK):
            fields = linearize(code[None], part[None])
            variance = torch.einsum("nd,de,ne->n", fields.of_codes[0], covariance, fields.of_codes[0])
            slope = fields.of_points[0].norm(dim=-1).clamp_min(0.1)
            parts.append((variance.clamp_min(0.0).sqrt() / slope).cpu())
        of_code = frame.to_source_distance(torch.cat(parts).double().numpy())
        if self.refinement is None or self.shape.correction is None:
            return of_code
        weight = np.clip(self.scan_distance(points) / self.refinement.reach - 1.0, 0.0, 1.0)
        return np.hypot(weight * of_code, (1.0 - weight) * self.refinement.noise)

    def mesh(self, resolution: int = 256) -> trimesh.Trimesh:
        """Extract the surface in the scan's units, coloured by the distance from the scan.

        Its vertices carry `support` (`scan_distance`) and `deviation` (`stddev`).

        Args:
            resolution: lattice cells per axis.

        Raises:
            ValueError: the field has no surface.
        """
        mesh = self.shape.mesh(resolution)
        distance, deviation = self.scan_distance(mesh.vertices), self.stddev(mesh.vertices)
        inferred = np.clip(distance / (self.shape.frame.scale * _INFERRED_FROM), 0.0, 1.0)[:, None]
        colors = (SCANNED * (1 - inferred) + INFERRED * inferred).astype(np.uint8)
        mesh.visual = ColorVisuals(mesh, vertex_colors=colors)
        mesh.vertex_attributes["support"] = distance.astype(np.float32)
        mesh.vertex_attributes["deviation"] = deviation.astype(np.float32)
        return mesh


def reconstruct(
    space: LatentSpace,
    scan: Scan,
    terms: Terms | None = None,
    *,
    config: ReconstructConfig | None = None,
    candidates: CandidateFields | None = None,
    on_step: OnStep | None = None,
) -> Reconstruction:
    """Find the shape of a space that explains a scan, and its frame; then correct it to the scan.

    The code and the frame are fitted (`fit_scan`), and the decoded field is corrected where there are points
    (`refine`), by one linear solve or by a descent on terms.

    Args:
        space: the prior; with it open scans without normals get their sides.
        scan: points in their own units; noisy or partial, normals not needed.
        terms: of the correction: a preset's name, weights by term name, or terms; None solves.
        config: `ReconstructConfig()` if None.
        candidates: `candidate_fields(space)`, where there are some already.
        on_step: called after every iteration of the last fit of the code.

    Returns:
        The shape, its distances from the scan, and notes. Interrupted in the last fit, it is not refined.

    Raises:
        ValueError: the scan has too few distinct points, or there are terms that are unknown or need what it does not
            have.
        KeyboardInterrupt: Ctrl-C before one code was chosen.

    Example:
        >>> result = reconstruct(space, Scan.load("scan.ply"))
        >>> result.mesh().export("repaired.ply"); print(result.stop.value)
    """
    config = config or ReconstructConfig()
    problem = ScanProblem(space, scan, config.fit, config.frame, candidates)
    result = problem.fine_fit(problem.coarse_fit(), on_step)
    fit = problem.summary(result)
    metadata = {"fit_error": fit.error, "scan_points": len(scan)}
    shape = Shape(scan.name or "scan", fit.code, fit.frame, space.decoder, metadata)
    points = torch.from_numpy(fit.scan.subsampled(RESIDUAL_POINTS, config.fit.seed).points)
    distances, refinement = first_order_distance(shape, points), None
    zscore = code_zscore(space, fit.code)
    doubts = _doubts(float(distances.quantile(0.5)) / fit.frame.scale, zscore)
    if config.refine and fit.stop is not Stop.INTERRUPTED:
        estimated = scan.normals is None
        predicted = problem.predicted_agreement(result.guess)
        refinement = refine(
            shape, fit.scan, terms, config.refinement, estimated_normals=estimated, predicted_agreement=predicted
        )
        shape = refinement.shape
        distances = first_order_distance(shape, points)
    return Reconstruction(
        shape=shape,
        stop=fit.stop,
        residual_mean=float(distances.mean()),
        residual_p90=float(distances.quantile(0.9)),
        code_zscore=zscore,
        openness=fit.scan.openness,
        fit=fit,
        refinement=refinement,
        notes=(*(fit.scan.notes if refinement is None else refinement.notes), *doubts),
    )


def code_zscore(space: LatentSpace, code: Tensor) -> float:
    """Root mean square of a code's (D,) z-scores in the codes of a space; NaN where it holds fewer than two."""
    codes = space.codes()
    if len(codes) < 2:
        return float("nan")
    return float(((code - codes.mean(0)) / codes.std(0).clamp_min(1e-6)).square().mean().sqrt())


def _doubts(distance: float, zscore: float) -> list[str]:
    """Sentences on a large median distance (unit frame) of the scan to the code's surface, and on an unusual code."""
    doubts = []
    if distance > LARGEST_DISTANCE:
        doubts.append(
            f"the space does not explain this scan: by the code alone half of it lies farther than {distance:.1%} of "
            "the shape's radius from the surface; nothing like it may be in the space"
        )
    if zscore > LARGEST_ZSCORE:
        doubts.append(f"the code is unlike those of the space ({zscore:.1f} times their spread)")
    return doubts
