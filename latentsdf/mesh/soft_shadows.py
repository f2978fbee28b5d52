"""Soft shadows: the share of a broad light that surface points see, by depth maps from many directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array

Floats = NDArray[np.float32]

CELLS = 60
"""Cells a side of a depth map, which spans the bounding sphere of the occluder. More are sharper, and need more points:
with 50,000 a cell has five or more of each layer of a shape, which leaves no holes."""
POINTS = 50_000
"""Surface points that stand for the occluder."""
OFFSET = 1.6
"""Cells by which a point of the occluder itself is moved along its normal, so that it does not shade itself."""
_PLASTIC = 1.32471795724474602596


class Occluder(NamedTuple):
    """A surface that casts shadows, as points.

    Attributes:
        points: (M, 3) in a cube of side 2 around the origin.
        radius: of the sphere around the origin that holds them.
    """

    points: Floats
    radius: float


def occluder(corners: Array, count: int = POINTS) -> Occluder:
    """Place points evenly by area on triangles: equal steps of the summed area, and within a triangle the R2 sequence.

    The sequence is that of Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018; nothing is random.

    Args:
        corners: (F, 3, 3) of triangles, some of which has an area.
        count: number of points (M).
    """
    sides = corners[:, 1:] - corners[:, :1]
    ends = np.cumsum(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1))
    places = (np.arange(count) + 0.5) / count
    rows = np.searchsorted(ends, places * ends[-1], side="right").clip(max=len(ends) - 1)
    weights = (np.arange(1, count + 1)[:, None] * [1 / _PLASTIC, 1 / _PLASTIC**2]) % 1.0
    weights = np.where(weights.sum(1, keepdims=True) > 1, 1 - weights, weights)
    points = (corners[rows, 0] + np.einsum("mk,mkd->md", weights, sides[rows])).astype(np.float32)
    return Occluder(points, float(np.sqrt(np.einsum("md,md->m", points, points).max())))


def cone(axis: Array, degrees: float, count: int) -> Array:
    """Unit vectors (K, 3) spread evenly over the cone around an axis, on a spiral of Vogel (1979)."""
    axis = axis / np.linalg.norm(axis)
    height = 1 - (np.arange(count) + 0.5) / count * (1 - np.cos(np.radians(degrees)))
    angle = np.arange(count) * (np.pi * (3 - 5**0.5))
    wide = np.sqrt(1 - height**2)
    return np.stack([wide * np.cos(angle), wide * np.sin(angle), height], axis=1) @ np.stack([*_across(axis), axis])


class Receivers(NamedTuple):
    """Surface points that light may reach.

    Attributes:
        points: (P, 3), as the occluder's.
        normals: (P, 3) unit.
        offset: cells of the depth maps by which points are moved along their normals: `OFFSET` for points of the
            occluder itself.
    """

    points: Floats
    normals: Floats
    offset: float = OFFSET


def seen_share(receivers: Sequence[Receivers], blocker: Occluder, directions: Array, soft: bool = True) -> list[Floats]:
    """Share (P,) of the light from directions (K, 3) that reaches points, weighted by the cosine at their normals.

    For each direction the nearest depths of the occluder to the light make a map (shadow maps: Williams, 1978), with
    which the depths of points are compared. The mean over directions is the soft shadow of a broad light, or the
    ambient occlusion by the sky.

    Args:
        receivers: one or more sets of points.
        blocker: what is in the way.
        directions: (K, 3) unit, towards the light.
        soft: whether a point is compared with the four cells around it (percentage-closer filtering: Reeves, Salesin
            and Cook, 1987), else with the one that it lies in, which is enough where there are many directions.

    Returns:
        The shares of each set.
    """
    size = np.float32(2 * blocker.radius / CELLS)
    moved = np.concatenate([part.points + part.normals * (size * np.float32(part.offset)) for part in receivers])
    normals = np.concatenate([part.normals for part in receivers])
    seen, whole = (np.full(len(moved), 1e-6, dtype=np.float32) for _ in range(2))
    for direction in directions:
        axes = np.stack([*_across(direction), direction], axis=1).astype(np.float32)
        cosine = (normals @ axes[:, 2]).clip(0)
        axes[:, :2] /= size
        depths = _depth_map(blocker.points @ axes)
        places: Floats = (moved @ axes).astype(np.float32, copy=False)
        seen += cosine * (_unblocked(places, depths) if soft else _in_cell(places, depths))
        whole += cosine
    ends = np.cumsum([len(part.points) for part in receivers])
    return np.split(seen / whole, ends[:-1])


def _depth_map(places: Floats) -> Floats:
    """Largest depths ((CELLS + 4)^2,) of points (M, 3) whose first two coordinates are cells from the centre."""
    side = CELLS + 4
    cells = (places[:, :2] + np.float32(side / 2)).astype(np.int32).clip(0, side - 1)
    depths = np.full(side * side, -np.inf, dtype=np.float32)
    np.maximum.at(depths, cells[:, 0] * side + cells[:, 1], places[:, 2])
    return depths


def _unblocked(places: Floats, depths: Floats) -> Floats:
    """Share (P,) of the four cells around points (P, 3) in which nothing is nearer to the light than they are."""
    side = CELLS + 4
    at = (places[:, :2] + np.float32(side / 2 - 0.5)).clip(0, side - 1.001)
    cell = at.astype(np.int32)
    x, y = (at - cell).T
    corner, depth = cell[:, 0] * side + cell[:, 1], places[:, 2]
    near, far = (
        (1 - y) * (depths[corner + step] <= depth) + y * (depths[corner + step + 1] <= depth) for step in (0, side)
    )
    return near + x * (far - near)


def _in_cell(places: Floats, depths: Floats) -> NDArray[np.bool_]:
    """Whether nothing in the cell of points (P, 3) is nearer to the light than they are."""
    side = CELLS + 4
    cells = (places[:, :2] + np.float32(side / 2)).astype(np.int32).clip(0, side - 1)
    return depths[cells[:, 0] * side + cells[:, 1]] <= places[:, 2]


def _across(axis: Array) -> tuple[Array, Array]:
    """Two unit vectors that are perpendicular to a unit vector and to each other."""
    first = np.cross(axis, [1.0, 0, 0] if abs(axis[0]) < 0.7 else [0, 1.0, 0])
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)
