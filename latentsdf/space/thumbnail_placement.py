"""Placement of square thumbnails near given points, without overlap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core.arrays import Array, Indices

_RINGS, _DIRECTIONS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5), 16


class Placement(NamedTuple):
    """Thumbnails in the order of their placement.

    Attributes:
        size: side length in pixels.
        rows: (T,) of the points that have one.
        centers: (T, 2) in pixels.
    """

    size: int
    rows: Indices
    centers: Array


def place_thumbnails(points: Array, sizes: tuple[int, int], most: int, canvas: tuple[int, int]) -> Placement:
    """Place thumbnails greedily, each on its point or at most one and a half side lengths away from it.

    Points are taken by farthest-point sampling, so that few thumbnails lie spread out; a point around which there is no
    room gets none. The size falls in steps of a tenth until enough have room or it is the smallest.

    Args:
        points: (S, 2) in pixels, on the canvas.
        sizes: smallest and largest side length in pixels.
        most: thumbnails at most.
        canvas: width and height in pixels.
    """
    order, size = _spread_order(points), sizes[1]
    while True:
        placed = _place(points, order, size, most, canvas)
        if len(placed.rows) >= min(most, len(points)) or size <= sizes[0]:
            return placed
        size = max(sizes[0], int(0.9 * size))


def _place(points: Array, order: Indices, size: int, most: int, canvas: tuple[int, int]) -> Placement:
    room = np.array(canvas, dtype=np.float64) - size / 2
    rows, centers, offsets = [], np.zeros((0, 2)), size * _offsets()
    for row in order:
        if len(rows) >= most:
            break
        tried = points[row] + offsets
        tried = tried[((tried >= size / 2) & (tried <= room)).all(axis=1)]
        apart = np.abs(tried[:, None] - centers).max(axis=2, initial=0.0) >= size
        free = tried[apart.all(axis=1)]
        if len(free):
            rows.append(row)
            centers = np.concatenate([centers, free[:1]])
    return Placement(size, np.array(rows, dtype=np.int64), centers)


def _spread_order(points: Array) -> Indices:
    """Rows (S,) by farthest-point sampling, begun at the point nearest to the centroid."""
    row = int(np.square(points - points.mean(axis=0)).sum(axis=1).argmin())
    order, nearest = [], np.full(len(points), np.inf)
    for _ in range(len(points)):
        order.append(row)
        nearest = np.minimum(nearest, np.square(points - points[row]).sum(axis=1))
        nearest[row] = -1.0
        row = int(nearest.argmax())
    return np.array(order, dtype=np.int64)


def _offsets() -> Array:
    """Displacements (K, 2) in side lengths, shortest first."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([np.zeros((1, 2)), *(radius * ring for radius in _RINGS)])
