"""Stationary velocity fields on a lattice: smooth, invertible warps, and the one that registers two fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from ..core.lattice import lattice_vertices


class Level(NamedTuple):
    """One level of the registration, coarse to fine.

    Attributes:
        resolution: vertices per axis, R.
        width: standard deviation of the Gaussian that smooths each update, unit frame; larger deforms more globally.
        steps: updates.
    """

    resolution: int
    width: float
    steps: int


LEVELS = (Level(25, 0.25, 20), Level(33, 0.16, 20), Level(33, 0.10, 20))
"""Levels of `register_fields`."""

_SQUARINGS = 5
_TRUNCATION, _BAND, _REACH, _GAIN = 0.3, 0.1, 0.2, 1.5
_FLAT, _UNSUPPORTED = 0.1, 0.02


def exponential(velocity: Tensor, scale: float = 1.0) -> Tensor:
    """Displacement u of the warp x + u(x) = exp(scale v)(x), by scaling and squaring.

    Arsigny et al., "A log-Euclidean framework for statistics on diffeomorphisms", MICCAI 2006. exp(-v) is the inverse
    of exp(v), and exp(s v) is the part s of the way.

    Args:
        velocity: v, (3, R, R, R), on the lattice of `core.lattice.lattice_vertices`, unit frame.
        scale: factor of the velocity.

    Returns:
        (3, R, R, R).
    """
    grid = lattice_vertices(velocity.shape[-1], dtype=velocity.dtype, device=velocity.device)
    moved = velocity * (scale / 2**_SQUARINGS)
    for _ in range(_SQUARINGS):
        moved = moved + read_lattice(moved, grid + moved.flatten(1).T).view_as(moved)
    return moved


def read_lattice(values: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (C, N) of a lattice (C, R, R, R) at points (N, 3), outside the cube those at its border."""
    places = points.flip(-1)[None, None, None]
    return functional.grid_sample(values[None], places, padding_mode="border", align_corners=True)[0, :, 0, 0]


def resample(values: Tensor, resolution: int) -> Tensor:
    """A lattice (C, R, R, R) read at the vertices of another, (C, resolution, resolution, resolution)."""
    size = (resolution,) * 3
    return functional.interpolate(values[None], size=size, mode="trilinear", align_corners=True)[0]


def register_fields(a: Tensor, b: Tensor, levels: Sequence[Level] = LEVELS) -> Tensor:
    """Velocity v with a(exp(-v)(x)) ~ b(x): symmetric log-domain demons on signed distances.

    Vercauteren et al., "Symmetric log-domain diffeomorphic demons", MICCAI 2008. Each update is half the force that
    moves a onto b minus half that which moves b onto a, d grad / (|grad|^2 + (d / 0.2)^2 + 0.1) for the difference d of
    the fields, averaged by a Gaussian with weights 1 / (1 + (distance to the nearer surface / 0.1)^2).

    Args:
        a, b: fields (R, R, R) on the lattice of the unit frame, negative inside; each with a vertex inside. Only their
            sign and their values near zero are used: distances are computed from them.
        levels: coarse to fine.

    Returns:
        v, (3, R', R', R') with R' that of the last level. The same for the same input.
    """
    ends = torch.stack([signed_distances(a), signed_distances(b)])
    velocity = ends.new_zeros(3, *(levels[0].resolution,) * 3)
    for level in levels:
        moving = resample(ends, level.resolution).clamp(-_TRUNCATION, _TRUNCATION)
        velocity = resample(velocity, level.resolution)
        grid = lattice_vertices(level.resolution, dtype=ends.dtype, device=ends.device)
        for _ in range(level.steps):
            forward, backward = (
                read_lattice(moving[[end]], grid + exponential(velocity, scale).flatten(1).T).view_as(moving[0])
                for end, scale in ((0, -1.0), (1, 1.0))
            )
            onto_b, onto_a = _force(forward, moving[1]), _force(backward, moving[0])
            pooled = _smooth(torch.cat([onto_b[:3] - onto_a[:3], onto_b[3:] + onto_a[3:]]) / 2.0, level.width)
            velocity = velocity + _GAIN * pooled[:3] / (pooled[3:] + _UNSUPPORTED)
    return velocity


def signed_distances(values: Tensor) -> Tensor:
    """Signed distances (R, R, R) on a lattice of the unit frame from the sign of a field, near its surface its values.

    Args:
        values: (R, R, R), negative inside.
    """
    spacing = 2.0 / (len(values) - 1)
    inside = (values < 0).cpu().numpy()
    if not inside.any() or inside.all():
        return values
    outer, inner = (np.asarray(distance_transform_edt(mask), dtype=np.float64) for mask in (~inside, inside))
    far = torch.from_numpy((np.where(inside, 0.5 - inner, outer - 0.5)) * spacing).to(values)
    near = values.abs() < 1.5 * spacing
    return torch.where(near, values, far)


def _force(moving: Tensor, fixed: Tensor) -> Tensor:
    """Weighted update of the velocity that moves a field onto another, and its weight: (4, R, R, R)."""
    spacing = 2.0 / (len(moving) - 1)
    slope = torch.stack(torch.gradient(moving, spacing=spacing))
    difference = moving - fixed
    weight = 1.0 / (1.0 + (torch.minimum(moving.abs(), fixed.abs()) / _BAND) ** 2)
    size = weight * difference / (slope.square().sum(0) + (difference / _REACH) ** 2 + _FLAT)
    return torch.cat([size * slope, weight[None]])


def _smooth(values: Tensor, width: float) -> Tensor:
    """Convolution of (C, R, R, R) with a Gaussian of standard deviation `width` in the unit frame."""
    cells = width * (values.shape[-1] - 1) / 2.0
    reach = int(3.0 * cells + 1.0)
    ticks = torch.arange(-reach, reach + 1, dtype=values.dtype, device=values.device)
    kernel = torch.softmax(-0.5 * (ticks / cells) ** 2, dim=0)
    values = values[:, None]
    for axis in range(3):
        sides = [0] * 6
        sides[4 - 2 * axis] = sides[5 - 2 * axis] = reach
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(kernel)
        values = functional.conv3d(functional.pad(values, sides, mode="replicate"), kernel.view(shape))
    return values[:, 0]
