"""Directions of up, and the rotations that keep them: the poses of things of which gravity is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .arrays import Array
from .pose import rotations

Direction = Literal["x", "y", "z"] | Sequence[float]
"""An axis by its letter, or a vector of any length but zero."""


def unit_direction(direction: Direction) -> Array:
    """The unit vector (3,) of a direction.

    Raises:
        ValueError: neither a letter of an axis nor three finite numbers of which one is not zero.
    """
    if isinstance(direction, str):
        if direction not in ("x", "y", "z"):
            raise ValueError(f"a direction is x, y, z or three numbers, got {direction!r}")
        return np.eye(3)["xyz".index(direction)]
    vector = np.array(direction, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"a direction is x, y, z or three finite numbers, got {direction!r}")
    length = float(np.linalg.norm(vector))
    if length == 0:
        raise ValueError("a direction of three zeros points nowhere; give x, y, z or the vector that points up")
    return vector / length


def up_directions(up: Direction, space_up: Direction | None) -> tuple[Array, Array]:
    """Unit vectors (3,) of up in the axes of a thing, and in those of the meshes of a space.

    Args:
        up: in the axes of the thing.
        space_up: in those of the meshes; None is the positive coordinate axis nearest to the line of `up`.

    Raises:
        ValueError: one of them is no direction.
    """
    own = unit_direction(up)
    nearest = np.eye(3)[int(np.abs(own).argmax())]
    return own, nearest if space_up is None else unit_direction(space_up)


def aligning_rotation(direction: Array, target: Array) -> Array:
    """The smallest rotation (3, 3) that maps a unit vector (3,) to another.

    Rodrigues' formula without its angle; opposite vectors take the half turn about an axis at right angles to them.
    """
    cosine = float(direction @ target)
    if cosine < -1.0 + 1e-12:
        axis = np.asarray(np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())]), dtype=np.float64)
        return 2.0 * axis[:, None] * axis / (axis @ axis) - np.eye(3)
    x, y, z = np.cross(direction, target).tolist()
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + skew + skew @ skew / (1.0 + cosine)


def turns_about(axis: Array, count: int) -> Tensor:
    """Rotations (count, 3, 3) about a unit vector (3,), evenly spaced; the first is the identity."""
    angles = 2.0 * np.pi * np.arange(count) / count
    return rotations(torch.from_numpy(angles[:, None] * axis))
