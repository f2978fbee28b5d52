"""Visible surface of triangles under orthographic projection, by scan conversion into a depth buffer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array

Pixels = NDArray[np.int32]
"""Row numbers of triangles, rows and columns: half the memory of `Indices`, of which there are millions."""

_TOLERANCE = 1e-4
"""Pixels by which a row of a triangle reaches past its edges, so that rounding leaves no gap between neighbours."""
_SMALLEST = 1e-6
"""Doubled area in pixels squared from which a triangle is drawn; thinner ones are seen edge-on."""


class DepthBuffer(NamedTuple):
    """The nearest triangle at each pixel centre.

    Attributes:
        face: (H, W) row of the triangle, -1 where there is none.
        depth: (H, W) coordinate towards the viewer; -inf where there is none.
    """

    face: Pixels
    depth: NDArray[np.float32]


def rasterize(corners: Array, size: int) -> DepthBuffer:
    """Find the nearest triangle at each pixel of a square image (Catmull's depth buffer, 1974).

    Each triangle is cut into rows of pixels between its left and right edges; both of its sides are drawn. Of
    triangles at one depth the last is kept.

    Args:
        corners: (F, 3, 3) column, row and depth of the corners in pixels; pixel (i, j) has its centre at column
            j + 0.5, row i + 0.5, and larger depths are nearer.
        size: pixels a side.

    Returns:
        Faces and depths.
    """
    first, last = _pixel_range(corners[:, :, 1], size)
    drawn = np.flatnonzero(last >= first).astype(np.int32)
    corners, first, last = corners[drawn], first[drawn], last[drawn]
    owner, row = _expand(first, last)
    left, right = _spans(corners, owner, row, size)
    kept = np.flatnonzero(right >= left)
    owner, row, left, right = owner[kept], row[kept], left[kept], right[kept]
    start, across, down = plane_coefficients(corners, corners[:, :, 2]).astype(np.float32)
    span, column = _expand(left, right)
    depth = (start[owner] + down[owner] * row.astype(np.float32))[span]
    depth += across[owner][span] * column.astype(np.float32)
    pixel = (row * size)[span] + column
    nearest = np.full(size * size, -np.inf, dtype=np.float32)
    np.maximum.at(nearest, pixel, depth)
    visible = np.flatnonzero(depth == nearest[pixel])
    faces = np.full(size * size, -1, dtype=np.int32)
    faces[pixel[visible]] = drawn[owner[span[visible]]]
    return DepthBuffer(faces.reshape(size, size), nearest.reshape(size, size))


def plane_coefficients(corners: Array, values: Array) -> Array:
    """Coefficients (3, F) of the linear functions a + b j + c i on triangles, at the centre of pixel (i, j).

    Args:
        corners: (F, 3, 2 or more) column and row of the corners in pixels.
        values: (F, 3) of the function at the corners.

    Returns:
        a, b and c; the mean of the corners and zeros for a triangle seen edge-on.
    """
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    proper = np.abs(doubled) > _SMALLEST
    inverse = np.where(proper, 1.0, 0.0) / np.where(proper, doubled, 1.0)
    second, third = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    across = (second * v[:, 1] - third * u[:, 1]) * inverse
    down = (third * u[:, 0] - second * v[:, 0]) * inverse
    start = values[:, 0] + across * (0.5 - corners[:, 0, 0]) + down * (0.5 - corners[:, 0, 1])
    return np.stack([np.where(proper, start, values.mean(1)), across, down])


def _pixel_range(places: Array, size: int) -> tuple[Pixels, Pixels]:
    """First and last pixel of the image whose centre lies between the least and the largest of places (N, 3)."""
    low = np.minimum(np.minimum(places[:, 0], places[:, 1]), places[:, 2])
    high = np.maximum(np.maximum(places[:, 0], places[:, 1]), places[:, 2])
    return _inner_pixels(low, high, size)


def _inner_pixels(low: Array, high: Array, size: int) -> tuple[Pixels, Pixels]:
    first: Pixels = np.clip(np.ceil(low - (0.5 + _TOLERANCE)), 0, size).astype(np.int32)
    last: Pixels = np.clip(np.floor(high - (0.5 - _TOLERANCE)), -1, size - 1).astype(np.int32)
    return first, last


def _expand(first: Pixels, last: Pixels) -> tuple[Pixels, Pixels]:
    """The range that each integer belongs to, and the integers, of the ranges from first to last (N,) one by one."""
    count = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    shift = first - np.cumsum(count, dtype=np.int32) + count
    return owner, (np.arange(len(owner), dtype=np.int32) + shift[owner]).astype(np.int32, copy=False)


def _spans(corners: Array, owner: Pixels, row: Pixels, size: int) -> tuple[Pixels, Pixels]:
    """First and last column of triangles (F, 3, 3) in rows (R,) of pixels; none where the last is before the first.

    A row lies between the edge from the top to the bottom corner and one of the two edges by way of the middle corner.
    """
    order = np.argsort(corners[:, :, 1], axis=1)[:, :, None]
    top, middle, bottom = np.take_along_axis(corners[:, :, :2], order, axis=1).transpose(1, 0, 2)
    centre = row + 0.5
    below = centre > middle[:, 1][owner]
    long = _line(top, bottom)
    short = np.stack([_line(top, middle), _line(middle, bottom)], axis=-1).reshape(2, -1)
    half = 2 * owner + below
    one, other = (start[at] + slope[at] * centre for (start, slope), at in ((long, owner), (short, half)))
    return _inner_pixels(np.minimum(one, other), np.maximum(one, other), size)


def _line(upper: Array, lower: Array) -> Array:
    """Column at row 0 and columns a row (2, F) of edges from upper to lower ends (F, 2); a level edge: its lower end.

    Neighbours that share an edge take its ends in the same order, so they agree on it to the last bit.
    """
    height = lower[:, 1] - upper[:, 1]
    level = height < _TOLERANCE
    slope = np.where(level, 0.0, lower[:, 0] - upper[:, 0]) / np.where(level, 1.0, height)
    return np.stack([lower[:, 0] - slope * lower[:, 1], slope])
