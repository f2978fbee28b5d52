"""Pieces of a decoded surface that the true shape lacks, found against its mesh and cut out of the field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh

from ..codec.adjustment import STEPS, Adjustment
from ..core.arrays import Array, Indices, Mask
from ..mesh.distance import MeshSDF
from ..mesh.isosurface import extract_mesh
from ..mesh.metrics import GHOST_DISTANCE
from ..mesh.repair import face_components
from ..mesh.small_pieces import least_piece, piece_areas
from ..space.shape import Shape

CELLS = 64
"""Cells an axis of the lattice that pieces are found on."""
MOST = 6
"""Most boxes a shape; each takes six bytes."""
LEAST_AREA = 0.002
"""A piece is left alone whose ghost area is a smaller share of the decoded surface."""
HARM, LOSS = 0.1, 0.01
"""Most true area that a box may cut away, over the ghost area that it removes, and over all true area."""
SPECK = 0.001
"""Pieces of a smaller share of the area are left out where none was seen; finer lattices find more of them."""
_MARGIN = 2.0 / CELLS
"""A finer lattice finds pieces slightly larger than a coarse one does."""


def without_ghosts(shape: Shape, truth: trimesh.Trimesh) -> Shape:
    """Cut pieces out of a shape's decoded field that lie farther than `GHOST_DISTANCE` from the truth.

    A piece is a connected component of the surface. It goes where most of its area is a ghost, and a box along the axes
    of the unit frame holds it and next to nothing that is true; a hole that lies within the solid is filled in the same
    way. Then the size from which on pieces are kept in meshes is chosen (`least_piece`).

    Args:
        shape: of the code alone, at its level if it has one; a shape with another correction is returned as it is.
        truth: closed mesh in source units.

    Returns:
        The shape, with an `Adjustment` as its correction.
    """
    before = shape.correction
    if before is not None and not (isinstance(before, Adjustment) and len(before.boxes.low) == 0):
        return shape
    try:
        surface = extract_mesh(shape.sdf, CELLS, like=shape.code)
    except ValueError:  # no surface: nothing to cut
        return shape
    count, piece = face_components(surface.faces, len(surface.vertices))
    true = MeshSDF(shape.frame.to_unit(truth.vertices), truth.faces)
    corners = np.asarray(surface.vertices)[surface.faces]
    area = np.asarray(surface.area_faces, dtype=np.float64)
    ghost = true.distance(corners.mean(axis=1)) > GHOST_DISTANCE
    cut, filled, remaining = _chosen(corners, area, ghost, piece)
    areas = np.bincount(piece, area * remaining, count).astype(np.float64)
    off = np.bincount(piece, area * (remaining & ghost), count) / np.maximum(areas, np.finfo(float).tiny)
    true_areas, _ = piece_areas(truth)
    least = least_piece(areas[areas > 0], off[areas > 0], len(true_areas))
    if not least:
        least = min(SPECK, float(true_areas.min() / true_areas.sum()) / 4)
    level = 0.0 if before is None else before.level
    return replace(shape, correction=Adjustment.of(level, cut, filled, least))


def _chosen(corners: Array, area: Array, ghost: Mask, piece: Indices) -> tuple[list[Array], list[Array], Mask]:
    """Boxes (2, 3) around pieces to be cut out and around those to be filled in, and the faces that remain."""
    ghost_area, true_area = np.bincount(piece, area * ghost), np.bincount(piece, area * ~ghost)
    volume = np.bincount(piece, np.linalg.det(corners))
    candidates = np.flatnonzero((ghost_area > true_area) & (ghost_area >= LEAST_AREA * area.sum()))
    remaining, cut, filled = np.ones(len(piece), dtype=bool), [], []
    low, high = corners.min(axis=1), corners.max(axis=1)
    for at in candidates[np.argsort(-ghost_area[candidates])]:
        own = (piece == at) & remaining
        if len(cut) + len(filled) == MOST or not own.any():
            continue
        box = _box_around(low, high, area * remaining, ghost, own)
        if box is not None:
            (cut if volume[at] > 0 else filled).append(box)
            remaining &= ~((low >= box[0]) & (high <= box[1])).all(axis=1)
    return cut, filled, remaining


def _box_around(low: Array, high: Array, area: Array, ghost: Mask, own: Mask) -> Array | None:
    """The box around a piece with the widest margin that cuts next to nothing true; None where there is none."""
    most = min(HARM * area[own & ghost].sum(), LOSS * area[~ghost].sum())
    for margin in (_MARGIN, 0.5 * _MARGIN, 1.0 / STEPS):
        box = np.stack([low[own].min(axis=0) - margin, high[own].max(axis=0) + margin])
        touched = ((high > box[0]) & (low < box[1])).all(axis=1)
        if area[touched & ~ghost].sum() <= most:
            return box
    return None
