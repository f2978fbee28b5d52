"""Congealing: rotate the shapes of a collection by the cube group until they have most in common."""

from __future__ import annotations

import torch
from torch import Tensor

from latentsdf.core.cube_rotations import cube_rotations, nearest_rotation, rotate_lattice
from latentsdf.decoder.linear import principal_components
from latentsdf.training.alignment import nearest_rotations

GROWTH = (2, 4, 8, 16, 32, 64, 64, 64)
"""Principal components that shapes are compared in, round by round."""
COMPARED = 1500
"""Most shapes that the components of a round are taken of."""


def common_rotations(lattices: Tensor) -> Tensor:
    """Rotations in which fields have most in common: few principal components first, then more.

    Each round takes the components of the fields as they are and rotates each field to where it is nearest to them
    (congealing: Learned-Miller, 2006, over the 24 rotations of the cube).

    Args:
        lattices: (S, R, R, R) truncated fields.

    Returns:
        (S,) rows of `cube_rotations()`.
    """
    rotations, rotated = cube_rotations(), lattices.clone()
    compared = torch.randperm(len(lattices), generator=torch.Generator().manual_seed(0))[:COMPARED]
    total = torch.eye(3).repeat(len(lattices), 1, 1)
    for components in GROWTH:
        mean, basis, _ = principal_components(rotated[compared], min(components, len(compared)))
        nearest = nearest_rotations(rotated, mean.flatten(), basis.flatten(1))
        for row in nearest.unique().tolist():
            members = nearest == row
            rotated[members] = rotate_lattice(rotated[members], rotations[row])
        total = rotations[nearest] @ total
    return nearest_rotation(total)
