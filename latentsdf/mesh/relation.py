"""Relations of two meshes: the same surface, moved, scaled, rotated or mirrored, repaired, or a variant."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import trimesh
from scipy.spatial import KDTree

from .congruence import TOLERANCE, Alignment, align, changed, measured
from .point_to_plane import refine_affine
from .similarity import Similarity
from .surface import Surface

Rows = tuple[tuple[float, ...], ...]
Kind = Literal["identical", "re-meshed", "moved", "scaled", "rotated", "mirrored", "repaired", "variant"]

COVERED = 0.5
"""Least share of a closed surface that an open one covers if it is its version with holes."""
VARIANT_SHARE = 0.6
"""Least share of either surface on which variants agree."""
STRETCH = 1.3
"""Largest ratio of the stretches along the axes of a variant in proportions."""
_SAME_PLACE = 1e-4
_AFFINE_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A verified relation of two meshes, by the transform from a to b.

    Attributes:
        a, b: names; of a repaired mesh a is the open one and b the closed one.
        kind: the largest of the changes below.
        moved: distance between the centroid of a and its image, in units of b.
        scale: length of b by that of a.
        angle: of the rotation in degrees; of a mirroring, that about the normal of the mirror plane.
        mirrored: whether the transform is a mirroring.
        remeshed: whether the triangles differ.
        distance: all but one in a hundred samples lie within it, in units of b's bounding-sphere radius: both ways;
            from a to b alone for a repaired mesh. Of a variant that differs in a part it is the larger one of the two
            ways, with that part in it.
        share: of the samples of either surface, the lesser one, that lie within the tolerance of the other; of a
            repaired mesh, the share of b that a covers.
        stretch: factors along three perpendicular axes, ascending, whose product is one, of a variant in proportions;
            None otherwise.
        transform: (4, 4) rows of the matrix that maps a to b, source units.
    """

    a: str
    b: str
    kind: Kind
    moved: float
    scale: float
    angle: float
    mirrored: bool
    remeshed: bool
    distance: float
    share: float
    stretch: tuple[float, float, float] | None
    transform: Rows

    def to_dict(self) -> dict[str, Any]:
        """Convert to numbers, lists and strings for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        parts = {
            f"moved by {self.moved:.4g}": self.kind == "moved",
            f"mirrored, turned by {self.angle:.1f} degrees": self.mirrored and self.angle > 0.5,
            "mirrored": self.mirrored and self.angle <= 0.5,
            f"rotated by {self.angle:.1f} degrees": not self.mirrored and self.angle > 0.5,
            f"scaled by {self.scale:.4g}": abs(self.scale - 1) > 1e-3,
            "other triangles": self.remeshed and self.kind not in ("re-meshed", "repaired", "variant"),
        }
        words = [text for text, holds in parts.items() if holds]
        if self.kind in ("identical", "re-meshed", "repaired", "variant"):
            words = [self.kind, *words]
        if self.stretch is not None:
            words.append("stretched by " + " x ".join(f"{factor:.3f}" for factor in self.stretch))
        covered = f", {self.share:.1%} agree" if self.share < 0.995 else ""
        return f"{', '.join(words)}; distance {self.distance:.2g}{covered}"


def relate(
    names: tuple[str, str], a: Surface, b: Surface, tolerance: float = TOLERANCE, variants: bool = False
) -> Relation | None:
    """Find how two meshes are related, and verify it by the distance of their surfaces.

    Args:
        names: of a and b.
        a, b: the surfaces.
        tolerance: of the distance of related surfaces, in units of b's bounding-sphere radius.
        variants: whether to look for variants too: surfaces that agree on `VARIANT_SHARE` of their area, or after
            a stretch along three perpendicular axes by factors whose ratio is at most `STRETCH`.

    Returns:
        The relation; None where there is none.

    Raises:
        ValueError: a tolerance that is not positive.
    """
    if b.is_open and not a.is_open:
        a, b, names = b, a, (names[1], names[0])
    repaired = a.is_open and not b.is_open
    found = align(a, b, tolerance)
    if found is not None and found.fit.distance <= tolerance:
        same = _same_triangles(a, b, found.transform)
        kind = "repaired" if repaired else _kind(a, b, found.transform, tolerance, same)
        return _relation(names, kind, a, found, not same)
    if repaired:
        found = align(a, b, tolerance, "covered")
        if found is not None and found.fit.forward <= tolerance and found.fit.share_back >= COVERED:
            return _relation(names, "repaired", a, found, True)
    return _variant(names, a, b, tolerance) if variants else None


def _kind(a: Surface, b: Surface, transform: Similarity, tolerance: float, same: bool) -> Kind:
    steps = changed(transform, a, b, tolerance)
    if steps.mirrored:
        return "mirrored"
    if steps.rotated:
        return "rotated"
    if steps.scaled:
        return "scaled"
    if steps.moved:
        return "moved"
    return "identical" if same else "re-meshed"


def _relation(names: tuple[str, str], kind: Kind, a: Surface, found: Alignment, remeshed: bool) -> Relation:
    transform, fit = found
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = transform.scale * transform.rotation, transform.shift
    repaired = kind == "repaired"
    return Relation(
        a=names[0],
        b=names[1],
        kind=kind,
        moved=float(np.linalg.norm(transform.apply(a.centroid) - a.centroid)),
        scale=transform.scale,
        angle=transform.angle,
        mirrored=transform.mirrored,
        remeshed=remeshed,
        distance=fit.forward if repaired else fit.distance,
        share=fit.share_back if repaired else min(fit.share, fit.share_back),
        stretch=None,
        transform=tuple(map(tuple, matrix.tolist())),
    )


def _same_triangles(a: Surface, b: Surface, transform: Similarity) -> bool:
    """Whether both have the same number of faces, and the centres of a's faces become those of b's."""
    if len(a.faces) != len(b.faces):
        return False
    local = b.normalisation @ transform @ a.normalisation.inverse()
    centers = local.apply(a.vertices[a.faces].mean(1))
    distances = KDTree(b.vertices[b.faces].mean(1)).query(centers, distance_upper_bound=_SAME_PLACE * b.radius)[0]
    return bool(np.isfinite(distances).all())


def _variant(names: tuple[str, str], a: Surface, b: Surface, tolerance: float) -> Relation | None:
    """The relation of variants in proportions, or in a part; None where they are neither."""
    found = align(a, b, tolerance, "partial")
    if found is None:
        return None
    relation = _relation(names, "variant", a, found, True)
    stretched = _stretched(a, b, found.transform, tolerance)
    if stretched is not None:
        (_, fit), factors, matrix = stretched
        share = min(fit.share, fit.share_back)
        return replace(relation, distance=fit.distance, share=share, stretch=factors, transform=matrix)
    return relation if relation.share >= VARIANT_SHARE else None


def _stretched(
    a: Surface, b: Surface, start: Similarity, tolerance: float
) -> tuple[Alignment, tuple[float, float, float], Rows] | None:
    """Fit, factors and matrix of the affine map of a on b; None where it does not bring them within the tolerance."""
    local = b.normalisation @ start @ a.normalisation.inverse()
    matrix, shift = refine_affine(a, b, local, _AFFINE_STEPS)
    factors = np.linalg.svd(matrix, compute_uv=False)[::-1]
    if not factors[0] > 0 or factors[2] > STRETCH * factors[0]:
        return None
    source = np.eye(4)
    source[:3, :3] = matrix * (b.spread / a.spread)
    source[:3, 3] = b.centroid + b.spread * shift - source[:3, :3] @ a.centroid
    vertices = np.asarray(a.mesh.vertices) @ source[:3, :3].T + source[:3, 3]
    image = Surface(trimesh.Trimesh(vertices, a.faces, process=False))
    fit = measured(image, b, Similarity.identity(), tolerance)
    if fit.fit.distance > tolerance:
        return None
    low, middle, high = (factors / np.prod(factors) ** (1 / 3)).tolist()
    return fit, (low, middle, high), tuple(map(tuple, source.tolist()))
