"""Mesh audit: closedness, orientation, defects, and how certain its inside is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import trimesh

from ..core.arrays import Array, Indices
from .distance import MeshSDF
from .repair import EdgeTable, edge_table, face_components

_INTERSECTION_FACES = 20_000
_TEST_POINTS = 2_000


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Measurements of one repaired mesh, stored with every shape made from it."""

    vertices: int
    """Number of vertices."""
    faces: int
    """Number of faces."""
    watertight: bool
    """Whether every edge is shared by an even number of faces."""
    consistent_winding: bool
    """Whether neighbouring faces are wound the same way everywhere."""
    components: int
    """Connected components: sets of faces that share no vertex."""
    degenerate_faces: int
    """Faces whose doubled area is at most 1e-9 of their longest edge squared."""
    boundary_edges: int
    """Edges used by an odd number of faces."""
    flipped_faces: int
    """Faces whose winding the repair reversed."""
    volume: float
    """Enclosed signed volume, source units cubed; an estimate where the mesh is open."""
    extents: tuple[float, float, float]
    """Size of the bounding box, source units."""
    self_intersections: int | None
    """Pairs of an edge and a face that it pierces and shares no vertex with; None when not counted."""
    sign_disagreement: float
    """Fraction of test points that winding number and ray parity put on different sides."""
    notes: tuple[str, ...] = ()
    """Remarks for the user, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to numbers, lists and strings for JSON."""
        return {**asdict(self), "extents": list(self.extents), "notes": list(self.notes)}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Audit:
        """Restore an audit from the result of `to_dict`.

        Raises:
            ValueError: a field is missing or unknown.
        """
        names = {field.name for field in fields(Audit)}
        if wrong := names ^ set(record):
            raise ValueError(f"not the record of an audit: fields missing or unknown: {', '.join(sorted(wrong))}")
        lists = {"extents": tuple(record["extents"]), "notes": tuple(record["notes"])}
        return Audit(**{**record, **lists})

    def __str__(self) -> str:
        size = " x ".join(f"{extent:.4g}" for extent in self.extents)
        parts = [
            f"{self.faces} faces",
            "closed" if self.watertight else f"open ({self.boundary_edges} boundary edges)",
            f"{self.components} component{'s' * (self.components != 1)}",
            f"size {size}, volume {self.volume:.4g}",
        ]
        counts = {
            "faces turned": self.flipped_faces,
            "degenerate faces": self.degenerate_faces,
            "self-intersections": self.self_intersections,
        }
        parts += [f"{count} {name}" for name, count in counts.items() if count]
        if self.sign_disagreement:
            parts.append(f"sign in doubt at {self.sign_disagreement:.2%}")
        return ", ".join(parts)


def audit_mesh(mesh: trimesh.Trimesh, *, flipped_faces: int = 0, seed: int = 0, sdf: MeshSDF | None = None) -> Audit:
    """Measure an already repaired mesh.

    Args:
        mesh: the mesh in source units.
        flipped_faces: second result of `repair_mesh`.
        seed: of the test points and rays.
        sdf: signed distance of the mesh in any units and place, not rotated; None builds it.

    Returns:
        The audit. Self-intersections are counted up to 20,000 faces only.

    Raises:
        ValueError: the mesh has no face or is flat.
    """
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    if len(faces) == 0:
        raise ValueError("the mesh has no faces to audit")
    source = np.asarray(mesh.vertices, dtype=np.float64)
    low, high = source[faces.ravel()].min(0), source[faces.ravel()].max(0)
    radius = float(np.linalg.norm(high - low)) / 2
    if radius == 0:
        raise ValueError(f"mesh is flat: all {len(source)} vertices coincide")
    vertices = np.ascontiguousarray((source - (low + high) / 2) / radius)
    corners = vertices[faces]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    longest = np.square(corners - corners[:, [1, 2, 0]]).sum(-1).max(1)
    triples = np.einsum("fd,fd->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    edges = edge_table(faces)
    boundary = int((edges.counts % 2).sum())
    consistent = bool((np.abs(edges.balance) <= edges.counts % 2).all())
    sdf = MeshSDF(vertices, faces) if sdf is None else sdf
    count_intersections = len(faces) <= _INTERSECTION_FACES
    disagreement = _sign_disagreement(sdf, vertices, faces, np.random.default_rng(seed))
    return Audit(
        vertices=len(source),
        faces=len(faces),
        watertight=boundary == 0,
        consistent_winding=consistent,
        components=face_components(faces, len(source))[0],
        degenerate_faces=int((np.linalg.norm(crosses, axis=1) <= 1e-9 * longest).sum()),
        boundary_edges=boundary,
        flipped_faces=int(flipped_faces),
        volume=float(triples) / 6 * radius**3,
        extents=(float(high[0] - low[0]), float(high[1] - low[1]), float(high[2] - low[2])),
        self_intersections=_self_intersections(sdf, vertices, edges) if count_intersections else None,
        sign_disagreement=disagreement,
        notes=_notes(edges, boundary, consistent, disagreement),
    )


def _notes(edges: EdgeTable, boundary: int, consistent: bool, disagreement: float) -> tuple[str, ...]:
    notes = []
    if boundary:
        notes.append(f"open: {boundary} boundary edges; the inside is decided by winding number")
    if count := int((edges.counts > 2).sum()):
        notes.append(f"{count} edges are shared by more than two faces")
    if not consistent:
        notes.append("not orientable: some neighbouring faces cannot be wound the same way")
    if disagreement > 0.01:
        notes.append(f"winding number and ray parity disagree at {disagreement:.1%} of the test points")
    return tuple(notes)


def _self_intersections(sdf: MeshSDF, vertices: Array, edges: EdgeTable) -> int:
    """Number of pairs of an edge and a face that it pierces and shares no vertex with; coplanar overlap is not seen."""
    starts, ends = vertices[edges.ends[:, 0]], vertices[edges.ends[:, 1]]
    lengths = np.linalg.norm(ends - starts, axis=1)
    proper = lengths > 2e-12
    pairs, starts, lengths = edges.ends[proper], starts[proper], lengths[proper]
    directions = (ends[proper] - starts) / lengths[:, None]
    margins = np.minimum(2e-6, lengths * 1e-3)
    spans = np.stack([margins, lengths - margins], axis=1)
    points, size = sdf.from_box(starts)
    return int(sdf.tree.hits(points, directions, spans * size, pairs).sum())


def _sign_disagreement(sdf: MeshSDF, vertices: Array, faces: Indices, generator: np.random.Generator) -> float:
    """Fraction of points, half in the bounding box and half near faces, where winding number and ray parity differ."""
    half = _TEST_POINTS // 2
    low, high = vertices[faces.ravel()].min(0), vertices[faces.ravel()].max(0)
    near = vertices[faces[generator.integers(len(faces), size=half)]].mean(1)
    points = np.concatenate([generator.uniform(low, high, (half, 3)), near + generator.normal(0, 0.02, (half, 3))])
    directions = generator.normal(size=points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points, _ = sdf.from_box(points)
    odd = sdf.tree.hits(points, directions) % 2 == 1
    return float((odd != sdf.inside(points * sdf.scale + sdf.center)).mean())
