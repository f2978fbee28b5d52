"""Rotation group of the cube: the 24 rotations that map the coordinate axes to each other."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def cube_rotations() -> Tensor:
    """All 24 rotations that map axes to axes, (24, 3, 3); the first is the identity."""
    group = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            rotation = torch.zeros(3, 3)
            rotation[torch.arange(3), torch.tensor(order)] = torch.tensor(signs)
            if torch.linalg.det(rotation) > 0:
                group.append(rotation)
    return torch.stack(group)


def rotate_lattice(lattices: Tensor, rotation: Tensor) -> Tensor:
    """Rotate fields sampled on a lattice over the cube: rotated(x) = field(rotation.T @ x).

    Args:
        lattices: (..., R, R, R) values at the vertices, x slowest.
        rotation: (3, 3), one of `cube_rotations`.

    Returns:
        (..., R, R, R), a view of the values in another order.
    """
    first = lattices.ndim - 3
    signs = rotation.sum(0)
    flipped = lattices.flip([first + axis for axis in range(3) if signs[axis] < 0])
    sources = rotation.abs().argmax(1).tolist()
    return flipped.permute(*range(first), *(first + axis for axis in sources))


def nearest_rotation(rotations: Tensor) -> Tensor:
    """Rows (S,) of `cube_rotations` that are nearest to rotations (S, 3, 3), by the angle between them."""
    return (rotations[:, None] * cube_rotations().to(rotations)).sum((-1, -2)).argmax(1)
