"""Alignment of shapes by the rotations of the cube group, against a linear space of truncated fields."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations, rotate_lattice

MARGIN = 0.03
"""Part of the distance by which another rotation must be nearer, so that symmetric shapes keep their axes."""


def nearest_rotations(lattices: Tensor, mean: Tensor, basis: Tensor, margin: float = MARGIN) -> Tensor:
    """The cube rotation that brings each field nearest to a linear space.

    argmin over rotations g of |(I - B^T B) (g f - m)|, the identity preferred by the margin.

    Args:
        lattices: (S, R, R, R) truncated fields f.
        mean: (R^3,) m of the space.
        basis: (D, R^3) B, orthonormal rows.
        margin: part of the distance by which another rotation must be nearer than the identity.

    Returns:
        (S,) rows of `cube_rotations()`.
    """
    distances = []
    for rotation in cube_rotations():
        offset = rotate_lattice(lattices, rotation).flatten(1) - mean
        squared = offset.square().sum(1) - (offset @ basis.T).square().sum(1)
        distances.append(squared.clamp_min(0.0).sqrt())
    table = torch.stack(distances)
    table[1:] /= 1.0 - margin
    return table.argmin(0)
