"""The 24 ways to set a shape on the axes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def cube_rotations() -> Tensor:
    """The rotations that take axes to axes, (24, 3, 3); the first one changes nothing."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            rotation = torch.zeros(3, 3)
            rotation[torch.arange(3), torch.tensor(order)] = torch.tensor(signs)
            if torch.linalg.det(rotation) > 0:
                found.append(rotation)
    return torch.stack(found)


def rotate_lattice(lattices: Tensor, rotation: Tensor) -> Tensor:
    """Fields on a lattice over the cube (..., R, R, R) after a rotation that takes axes to axes.

    The field at x is the one that was at rotation.T @ x.
    """
    first = lattices.ndim - 3
    signs = rotation.sum(0)
    flipped = lattices.flip([first + axis for axis in range(3) if signs[axis] < 0])
    sources = rotation.abs().argmax(1).tolist()
    return flipped.permute(*range(first), *(first + axis for axis in sources))


def nearest_rotation(rotations: Tensor) -> Tensor:
    """Which of `attitudes()` rotations (S, 3, 3) are nearest to, (S,)."""
    return (rotations[:, None] * cube_rotations().to(rotations)).sum((-1, -2)).argmax(1)
