"""In which attitude a shape has most in common with others: its truncated field against their principal components."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations, nearest_rotation, rotate_lattice
from ..decoder.linear import principal_components

GROWTH = (2, 4, 8, 16, 32, 64, 64, 64)
"""Components that attitudes are compared in, round by round."""
MARGIN = 0.03
"""By which part of the distance another attitude must be nearer: what looks alike from several sides stays put."""
COMPARED = 1500
"""Most shapes that the components of a round are taken of."""


def nearest_rotations(lattices: Tensor, mean: Tensor, basis: Tensor, margin: float = MARGIN) -> Tensor:
    """The attitude in which each field is nearest to a linear space, (S,) rows of `attitudes()`.

    Args:
        lattices: (S, R, R, R) truncated fields.
        mean: (R^3,) of the space.
        basis: (D, R^3), orthonormal rows.
        margin: by which part of the distance another attitude must be nearer than the one it has.
    """
    apart = []
    for rotation in cube_rotations():
        off = rotate_lattice(lattices, rotation).flatten(1) - mean
        apart.append((off.square().sum(1) - (off @ basis.T).square().sum(1)).clamp_min(0.0).sqrt())
    distances = torch.stack(apart)
    distances[1:] /= 1.0 - margin
    return distances.argmin(0)


def common_rotations(lattices: Tensor) -> Tensor:
    """Attitudes (S,) in which fields (S, R, R, R) have most in common: few principal components first, then more.

    Each round takes the components of the fields as they stand and turns each field to where it is nearest to them
    (congealing: Learned-Miller, 2006, over the 24 attitudes).
    """
    rotations, standing = cube_rotations(), lattices.clone()
    some = torch.randperm(len(lattices), generator=torch.Generator().manual_seed(0))[:COMPARED]
    total = torch.eye(3).repeat(len(lattices), 1, 1)
    for components in GROWTH:
        mean, basis, _ = principal_components(standing[some], min(components, len(some)))
        found = nearest_rotations(standing, mean.flatten(), basis.flatten(1))
        for row in found.unique().tolist():
            here = found == row
            standing[here] = rotate_lattice(standing[here], rotations[row])
        total = rotations[found] @ total
    return nearest_rotation(total)
