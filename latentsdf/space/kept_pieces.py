"""Pieces of the surface of a stored shape that its meshes keep, where only the number of true parts is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..codec.adjustment import Adjustment
from ..mesh.isosurface import extract_mesh
from ..mesh.small_pieces import least_piece, piece_areas
from .shape import Shape

CELLS = 128
"""Cells an axis of the lattice that pieces are found on, where none are given."""


def with_kept_pieces(shape: Shape, parts: int, cells: int = CELLS) -> Shape:
    """A shape whose meshes leave out pieces beyond the parts of its mesh, where they are small (`least_piece`).

    Args:
        shape: of the code alone, at its level if it has one; one with another correction is returned as it is.
        parts: connected pieces of the mesh that it was made of.
        cells: an axis of the lattice that pieces are found on. More tell thin parts from crumbs, and take longer.
    """
    if not shape.by_code:
        return shape
    try:
        surface = extract_mesh(shape.sdf, cells, like=shape.code)
    except ValueError:  # no surface
        return shape
    areas, _ = piece_areas(surface)
    least = least_piece(areas, np.zeros(len(areas)), parts) if len(areas) > parts else 0.0
    if not least:
        return shape
    return replace(shape, correction=Adjustment.of(shape.level, least_piece=least))
