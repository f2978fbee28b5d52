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
from ..space.shape import Shape

CELLS = 64
"""Cells an axis of the lattice that pieces are found on."""
MOST = 6
"""Most boxes a shape; each takes six bytes."""
LEAST_AREA = 0.002
"""A piece is left alone whose ghost area is a smaller share of the decoded surface."""
HARM, LOSS = 0.1, 0.01
"""Most true area that a box may cut away, over the ghost area that it removes, and over all true area."""
_MARGIN = 2.0 / CELLS
"""A finer lattice finds pieces slightly larger than a coarse one does."""


def without_ghosts(shape: Shape, truth: trimesh.Trimesh) -> Shape:
    """Cut pieces out of a shape's decoded field that lie farther than `GHOST_DISTANCE` from the truth.

    A piece is a connected component of the surface. It goes where most of its area is a ghost, and a box along the axes
    of the unit frame holds it and next to nothing that is true; a hole that lies within the solid is filled in the same
    way. Where nothing can be gained the shape is returned as it is.

    Args:
        shape: of the code alone, at its level if it has one; a shape with another correction is returned as it is.
        truth: closed mesh in source units.

    Returns:
        The shape, with an `Adjustment` as its correction where a piece went.
    """
    before = shape.correction
    if before is not None and not (isinstance(before, Adjustment) and len(before.boxes.low) == 0):
        return shape
    try:
        surface = extract_mesh(shape.sdf, CELLS, like=shape.code)
    except ValueError:  # no surface: nothing to cut
        return shape
    count, piece = face_components(surface.faces, len(surface.vertices))
    if count < 2:
        return shape
    true = MeshSDF(shape.frame.to_unit(truth.vertices), truth.faces)
    corners = np.asarray(surface.vertices)[surface.faces]
    area = np.asarray(surface.area_faces, dtype=np.float64)
    ghost = true.distance(corners.mean(axis=1)) > GHOST_DISTANCE
    cut, filled = _chosen(corners, area, ghost, piece)
    if not cut and not filled:
        return shape
    return replace(shape, correction=Adjustment.of(0.0 if before is None else before.level, cut, filled))


def _chosen(corners: Array, area: Array, ghost: Mask, piece: Indices) -> tuple[list[Array], list[Array]]:
    """Boxes (2, 3) around pieces to be cut out, and around those to be filled in, the largest ghosts first."""
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
    return cut, filled


def _box_around(low: Array, high: Array, area: Array, ghost: Mask, own: Mask) -> Array | None:
    """The box around a piece with the widest margin that cuts next to nothing true; None where there is none."""
    most = min(HARM * area[own & ghost].sum(), LOSS * area[~ghost].sum())
    for margin in (_MARGIN, 0.5 * _MARGIN, 1.0 / STEPS):
        box = np.stack([low[own].min(axis=0) - margin, high[own].max(axis=0) + margin])
        touched = ((high > box[0]) & (low < box[1])).all(axis=1)
        if area[touched & ~ghost].sum() <= most:
            return box
    return None
