"""Distances between surfaces, each with its protocol.

`compare` measures surface samples against the other *surface*, exactly and point to triangle, so it has no sampling
floor. The point-to-point metrics of the papers are here too; their values depend on the number of points, which must
be quoted with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..core.field import SDF, evaluate
from ..core.frame import Frame
from .distance import MeshSDF
from .surface_defects import roughness, topology
from .surface_sampling import surface_samples

F_THRESHOLDS = (0.005, 0.01, 0.02)
"""Thresholds of the F-scores of `compare`, in units of the unit frame."""
GHOST_DISTANCE = 0.03
"""Distance of the ghost and missing areas of `compare`, in units of the unit frame: beyond any error of a part that is
there, 1.5 times the largest F-score threshold."""


def chamfer_squared_sum(a: ArrayLike, b: ArrayLike) -> float:
    """Chamfer distance: mean_a min_b |a - b|^2 + mean_b min_a |a - b|^2 (DeepSDF, Compact-SDF).

    Args:
        a, b: (N, 3) and (M, 3) points, same frame. Both papers draw 30,000 from each surface.

    Returns:
        The sum of the means, in squared units of the frame; above zero for two samplings of one surface.

    Raises:
        ValueError: a point set that is empty or not (N, 3); so do the other metrics of point sets.
    """
    ab, ba = _nearest_distances(a, b)
    return float((ab**2).mean() + (ba**2).mean())


def chamfer_l1_half(a: ArrayLike, b: ArrayLike) -> float:
    """Chamfer distance: (mean_a min_b |a - b| + mean_b min_a |a - b|) / 2 (SRB, Neural Galerkin).

    Args:
        a, b: (N, 3) and (M, 3) points, same frame.

    Returns:
        The mean of the two one-way means, in units of the frame; above zero for two samplings of one surface.
    """
    ab, ba = _nearest_distances(a, b)
    return float((ab.mean() + ba.mean()) / 2)


def hausdorff(a: ArrayLike, b: ArrayLike) -> float:
    """Hausdorff distance of point sets (N, 3) and (M, 3): the largest nearest-neighbour distance of both ways."""
    ab, ba = _nearest_distances(a, b)
    return float(max(ab.max(), ba.max()))


def f_score(dist_ab: ArrayLike, dist_ba: ArrayLike, threshold: float) -> float:
    """F-score 2 p r / (p + r) of precision p and recall r at a distance (Knapitsch et al., Tanks and Temples, 2017).

    Args:
        dist_ab: (N,) distances from candidate samples to the truth; precision is the fraction below the threshold.
        dist_ba: (M,) distances from truth samples to the candidate; recall is the fraction below it.
        threshold: same unit as the distances.

    Returns:
        From 0 to 1; 0 where both fractions are 0.

    Raises:
        ValueError: no distances, or a threshold that is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"the threshold of an F-score must be positive, got {threshold}")
    precision, recall = _fraction_below(dist_ab, threshold), _fraction_below(dist_ba, threshold)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def normal_consistency(normals_a: ArrayLike, normals_b: ArrayLike) -> float:
    """Mean |n_a . n_b| of unit normals (N, 3) and those (N, 3) at their nearest points (Occupancy Networks, 2019).

    1 is agreement; flipped faces do not count, as the sign is dropped.
    """
    return float(np.abs(np.einsum("nd,nd->n", np.asarray(normals_a), np.asarray(normals_b))).mean())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of `compare`; lengths in units of the unit frame of the truth.

    Attributes:
        chamfer_l1: half the sum of the two mean distances from samples to the other surface.
        f_scores: F-score by threshold.
        precision: fraction of candidate samples within 0.01 of the truth.
        recall: fraction of truth samples within 0.01 of the candidate.
        normal_consistency: mean over both ways of |n . n of the closest face|.
        hausdorff: the largest of all sampled distances, both ways: a lower bound of the Hausdorff distance.
        ghost_area: fraction of candidate samples farther than 0.03 from the truth.
        missing_area: fraction of truth samples farther than 0.03 from the candidate.
        components, components_true: connected pieces of the candidate and of the truth (`topology`).
        genus, genus_true: their handles; None for a mesh that is not closed.
        roughness, roughness_true: their mean angle between normals within 0.02 of each other, in degrees; only the
            excess over the truth's is a defect.
        samples: points drawn on each surface.
        protocol: the measurement in a sentence.
    """

    chamfer_l1: float
    f_scores: dict[float, float]
    precision: float
    recall: float
    normal_consistency: float
    hausdorff: float
    ghost_area: float
    missing_area: float
    components: int
    components_true: int
    genus: int | None
    genus_true: int | None
    roughness: float
    roughness_true: float
    samples: int
    protocol: str

    def to_dict(self) -> dict[str, Any]:
        """Convert to a flat dictionary of plain values; the F-score at 0.01 is `f_0.01`."""
        return {
            "chamfer_l1": self.chamfer_l1,
            **{f"f_{threshold:g}": score for threshold, score in self.f_scores.items()},
            "precision_0.01": self.precision,
            "recall_0.01": self.recall,
            "normal_consistency": self.normal_consistency,
            "hausdorff": self.hausdorff,
            "ghost_area": self.ghost_area,
            "missing_area": self.missing_area,
            "components": self.components,
            "components_true": self.components_true,
            "genus": self.genus,
            "genus_true": self.genus_true,
            "roughness": self.roughness,
            "roughness_true": self.roughness_true,
            "samples": self.samples,
            "protocol": self.protocol,
        }


def compare(
    candidate: trimesh.Trimesh,
    truth: trimesh.Trimesh,
    *,
    samples: int = 20_000,
    seed: int = 0,
    frame: Frame | None = None,
) -> Comparison:
    """Compare a mesh with the true one by area-uniform samples of each against the surface of the other.

    Args:
        candidate: the mesh to evaluate, in the frame and units of the truth.
        truth: the reference mesh.
        samples: points drawn on each surface.
        seed: of both draws.
        frame: frame of the distances; `Frame.around(truth.vertices)` if None.

    Returns:
        The metrics. Distances are exact from point to triangle; means have the noise of the samples alone, and are
        zero for two meshes of one surface.

    Raises:
        ValueError: a mesh without faces or area, or fewer than one sample.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    for name, mesh in (("candidate", candidate), ("truth", truth)):
        if len(mesh.faces) == 0:
            raise ValueError(f"the {name} mesh has no faces, so there is no surface to compare")
    frame = Frame.around(truth.vertices) if frame is None else frame
    ours, theirs = (trimesh.Trimesh(frame.to_unit(m.vertices), m.faces, process=False) for m in (candidate, truth))
    seed_ours, seed_theirs, *seeds = np.random.SeedSequence(seed).spawn(4)
    forward, agreement = _to_surface(ours, theirs, samples, seed_ours)
    backward, agreement_back = _to_surface(theirs, ours, samples, seed_theirs)
    pieces, pieces_true = topology(ours), topology(theirs)
    return Comparison(
        chamfer_l1=float((forward.mean() + backward.mean()) / 2),
        f_scores={threshold: f_score(forward, backward, threshold) for threshold in F_THRESHOLDS},
        precision=_fraction_below(forward, 0.01),
        recall=_fraction_below(backward, 0.01),
        normal_consistency=(agreement + agreement_back) / 2,
        hausdorff=float(max(forward.max(), backward.max())),
        ghost_area=float((forward > GHOST_DISTANCE).mean()),
        missing_area=float((backward > GHOST_DISTANCE).mean()),
        components=pieces.components,
        components_true=pieces_true.components,
        genus=pieces.genus,
        genus_true=pieces_true.genus,
        roughness=roughness(ours, np.random.default_rng(seeds[0])),
        roughness_true=roughness(theirs, np.random.default_rng(seeds[1])),
        samples=samples,
        protocol=f"{samples} area-uniform samples each way, exact distance to the other surface, in the unit frame",
    )


def iou(sdf_a: SDF, sdf_b: SDF, *, samples: int = 100_000, seed: int = 0) -> float:
    """Monte Carlo intersection over union, vol(A and B) / vol(A or B), of two solids in the cube [-1, 1]^3.

    Args:
        sdf_a, sdf_b: fields in the unit frame, negative inside.
        samples: points drawn uniformly in the cube; the error falls with their square root.
        seed: of the draw.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: fewer than one sample, or no sample inside either solid.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    points = torch.rand(samples, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    a, b = evaluate(sdf_a, points) < 0, evaluate(sdf_b, points) < 0
    union = int((a | b).sum())
    if union == 0:
        raise ValueError(f"none of {samples} samples lies inside either solid; raise samples or check the signs")
    return int((a & b).sum()) / union


def _nearest_distances(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for points in (a, b):
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise ValueError(f"point sets must have shape (N, 3) with N >= 1, got {points.shape}")
    return np.asarray(KDTree(b).query(a)[0]), np.asarray(KDTree(a).query(b)[0])


def _fraction_below(distances: ArrayLike, threshold: float) -> float:
    distances = np.asarray(distances)
    if distances.size == 0:
        raise ValueError("an F-score needs at least one distance each way, got none")
    return float((distances < threshold).mean())


def _to_surface(
    source: trimesh.Trimesh, target: trimesh.Trimesh, samples: int, seed: np.random.SeedSequence
) -> tuple[Array, float]:
    """Distances (N,) of samples of one surface from the other, and the normal consistency at them."""
    points, normals = surface_samples(source, samples, np.random.default_rng(seed))
    distances, faces, _ = MeshSDF(target.vertices, target.faces).closest(points)
    corners = np.asarray(target.vertices)[np.asarray(target.faces)[faces]]
    target_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    target_normals /= np.linalg.norm(target_normals, axis=1, keepdims=True)
    return distances, normal_consistency(normals, target_normals)
