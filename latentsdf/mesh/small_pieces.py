"""Connected pieces of a mesh that are too small to be kept."""

from __future__ import annotations

import numpy as np
import trimesh

from ..core.arrays import Array, Indices
from .repair import face_components

PIECE = 0.002
"""Share of the area that a piece too many costs, against true area that is left out and area off the truth."""


def piece_areas(mesh: trimesh.Trimesh) -> tuple[Array, Indices]:
    """Areas (P,) of the connected pieces of a mesh, and the piece (F,) of each face."""
    count, piece = face_components(mesh.faces, len(mesh.vertices))
    return np.bincount(piece, mesh.area_faces, count).astype(np.float64), piece


def without_small_pieces(mesh: trimesh.Trimesh, least: float) -> trimesh.Trimesh:
    """The mesh without the connected pieces whose area is a smaller share than `least`; the largest stays.

    Args:
        mesh: any; returned as it is where nothing goes.
        least: share of the whole area, 0 to 1.
    """
    areas, piece = piece_areas(mesh)
    if len(areas) < 2 or least <= 0:
        return mesh
    kept = areas >= min(least * areas.sum(), areas.max())
    if kept.all():
        return mesh
    faces = mesh.faces[kept[piece]]
    used = np.unique(faces)
    return trimesh.Trimesh(mesh.vertices[used], np.searchsorted(used, faces), process=False)


def least_piece(areas: Array, off: Array, parts: int) -> float:
    """Share of the area from which on pieces are kept: those of the fewest costs.

    The costs of keeping the k largest are the true area of the others, the area off the truth of those k, and `PIECE`
    for each piece beyond the parts that the truth has, as shares of the whole area.

    Args:
        areas: (P,) of the pieces, P >= 1.
        off: (P,) share of each piece that lies off the truth.
        parts: connected pieces of the truth.

    Returns:
        Half way, by ratio, between the smallest piece kept and the largest left out; 0 where none is left out.
    """
    order = np.argsort(-areas)
    shares = areas[order] / areas.sum()
    lost = np.cumsum((shares * (1 - off[order]))[::-1])[::-1]
    kept = np.cumsum(shares * off[order])
    numbers = np.arange(1, len(shares) + 1)
    cost = np.append(lost[1:], 0.0) + kept + PIECE * np.maximum(numbers - parts, 0)
    best = int(cost.argmin())
    if best + 1 == len(shares):
        return 0.0
    return float(np.sqrt(shares[best] * max(shares[best + 1], 1e-9)))
