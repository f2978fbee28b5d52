"""Boolean operations, offsets and motions of signed distance functions; 1-Lipschitz fields stay 1-Lipschitz.

The zero set is always exact. "Bound" means that |value| may be less than the distance, never more, which is what
sparse meshing and sphere tracing need. Every function raises ValueError for an argument outside its documented range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from ..core.field import SDF
from .solids import Vector


def union(*sdfs: SDF) -> SDF:
    """Union min_i f_i of at least one shape. Exact outside; a bound inside."""
    return _reduce(torch.minimum, sdfs)


def intersection(*sdfs: SDF) -> SDF:
    """Intersection max_i f_i of at least one shape. Exact inside; a bound outside."""
    return _reduce(torch.maximum, sdfs)


def difference(base: SDF, *removed: SDF) -> SDF:
    """The first shape without the others, max(f, -f_i). Exact inside; a bound outside."""
    return intersection(base, *(complement(sdf) for sdf in removed))


def complement(sdf: SDF) -> SDF:
    """Complement -f: inside and outside exchanged. As exact as the shape."""
    return lambda x: -sdf(x)


def smooth_union(first: SDF, second: SDF, radius: float) -> SDF:
    """Union with a filleted seam, min(a, b) - r / 4 max(0, 1 - |a - b| / r)^2 (I. Quilez). A bound.

    Args:
        first, second: the shapes.
        radius: width of the blend; where the two fields differ by more, the result is the plain union.
    """
    if not radius > 0:
        raise ValueError(f"the radius of a smooth union must be positive, got {radius}; else use union")

    def sdf(x: Tensor) -> Tensor:
        a, b = first(x), second(x)
        blend = (1 - (a - b).abs() / radius).clamp_min(0)
        return torch.minimum(a, b) - blend * blend * (radius / 4)

    return sdf


def offset(sdf: SDF, distance: float) -> SDF:
    """Offset f - d: the shape grown by a distance, its convex edges rounded (shrunk when negative).

    Growing an exact field is exact outside; otherwise a bound. The surface is the true parallel surface only
    where the field is exact.
    """
    return lambda x: sdf(x) - distance


def shell(sdf: SDF, thickness: float) -> SDF:
    """Shell |f| - t / 2 about the surface of the shape. Exact near the surface of an exact field."""
    if not thickness > 0:
        raise ValueError(f"the thickness of a shell must be positive, got {thickness}")
    return lambda x: sdf(x).abs() - thickness / 2


def translate(sdf: SDF, by: Vector) -> SDF:
    """Translation f(x - t). As exact as the shape."""
    shift = [float(value) for value in by]
    if len(shift) != 3:
        raise ValueError(f"a translation takes three numbers, got {by}")
    return lambda x: sdf(x - x.new_tensor(shift))


def rotate(sdf: SDF, axis: Vector, angle: float) -> SDF:
    """Right-handed rotation about an axis through the origin, in radians. As exact as the shape."""
    unit = np.array(axis, dtype=np.float64)
    if unit.shape != (3,) or not np.linalg.norm(unit) > 0:
        raise ValueError(f"a rotation takes a non-zero axis of three numbers, got {axis}")
    unit /= np.linalg.norm(unit)
    cross = np.cross(np.eye(3), unit)
    matrix = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return lambda x: sdf(x @ x.new_tensor(matrix))


def scale(sdf: SDF, factor: float) -> SDF:
    """Scaling s f(x / s) about the origin. As exact as the shape."""
    if not factor > 0:
        raise ValueError(f"the factor of a scale must be positive, got {factor}")
    return lambda x: sdf(x / factor) * factor


def mirror(sdf: SDF, axis: int) -> SDF:
    """The part of the shape with positive coordinate and its mirror image, f(|x|).

    As exact as the shape when the shape lies on the positive side, or is symmetric itself; otherwise a bound.

    Args:
        sdf: the shape.
        axis: 0, 1 or 2: the coordinate whose sign is dropped.
    """
    if axis not in (0, 1, 2):
        raise ValueError(f"the axis of a mirror must be 0, 1 or 2, got {axis}")
    return lambda x: sdf(torch.cat([x[:, :axis], x[:, axis : axis + 1].abs(), x[:, axis + 1 :]], dim=1))


def radial_repeat(sdf: SDF, count: int) -> SDF:
    """Copies of a shape at equal angles about the z axis; the shape itself is the copy at the +x axis.

    Each sector of 360 / count degrees is folded at its middle plane, so the part with y >= 0 is copied and
    mirrored. As exact as the shape when it is symmetric in y and stays in its sector; otherwise a bound."""
    if count < 1:
        raise ValueError(f"a radial repeat needs a count of at least 1, got {count}")

    def fold(x: Tensor) -> Tensor:
        with torch.no_grad():
            turn = torch.round(torch.atan2(x[:, 1], x[:, 0]) * (count / math.tau)) * (math.tau / count)
            cos, sin = turn.cos(), turn.sin()
        along, across = cos * x[:, 0] + sin * x[:, 1], cos * x[:, 1] - sin * x[:, 0]
        return torch.stack([along, across.abs(), x[:, 2]], -1)

    return lambda x: sdf(fold(x))


def _reduce(operation: Callable[[Tensor, Tensor], Tensor], sdfs: Sequence[SDF]) -> SDF:
    if not sdfs:
        raise ValueError("combine at least one shape, got none")
    return lambda x: reduce(operation, (sdf(x) for sdf in sdfs))
