"""Winding numbers of closed surfaces by the crossings of parallel rays, compiled with Numba."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Array, Indices, Mask
from ..core.compiled import compiled
from .tree_build import morton_order

_DIRECTION = np.array([0.3871, 0.2718, 0.8811])
"""Of the rays; no edge of a mesh that a person or a lattice made is likely to lie along it."""
_ENTRIES = 48
"""Largest number of cells that hold a triangle, on average."""


class Crossings:
    """Winding numbers of a closed, consistently wound surface: signed crossings of a ray with it.

    The winding number of a point off the surface is the number of faces that its ray leaves through minus that of
    faces that it enters through. Rays are parallel, so that faces are found in a grid over the plane across them. The
    side of a ray on which an edge passes is computed once for both of its faces (from the lower to the higher vertex),
    so that a ray passes through exactly one face of the two.

    Args:
        vertices: (V, 3) finite positions.
        faces: (F, 3) vertex indices; each edge is used as often in one direction as in the other.
    """

    def __init__(self, vertices: Array, faces: Indices):
        self._turn = _frame(_DIRECTION)
        turned = vertices @ self._turn.T
        corners = turned[faces]
        ends = np.stack([faces, faces[:, [1, 2, 0]]], axis=2)
        start, end = turned[ends.min(2)], turned[ends.max(2)]
        # Positive to the left of an edge from its lower to its higher vertex: a x + b y + c.
        a, b = start[..., 1] - end[..., 1], end[..., 0] - start[..., 0]
        sides = np.stack([a, b, -(a * start[..., 0] + b * start[..., 1])], axis=2).reshape(len(faces), 9)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        levels = np.einsum("fd,fd->f", normals, corners[:, 0])
        self._rows = np.column_stack([corners[..., 2].max(1), sides, normals, levels])
        self._reversed = ends[..., 0] > ends[..., 1]
        low, high = corners[..., :2].min(1), corners[..., :2].max(1)
        self._low, extent = low.min(0), high.max(0) - low.min(0)
        cells = int(np.clip(2 * np.sqrt(len(faces)), 4, 1024))
        while True:
            self._scale = cells / np.maximum(extent, 1e-300)
            first = np.clip((low - self._low) * self._scale, 0, cells - 1).astype(np.int64)
            last = np.clip((high - self._low) * self._scale, 0, cells - 1).astype(np.int64)
            if cells <= 4 or (last - first + 1).prod(1).sum() <= _ENTRIES * len(faces):
                break
            cells //= 2
        self._cells = cells
        self._starts, self._members = _grid(first, last, cells)

    def inside(self, points: Array) -> Mask:
        """Whether the winding number of points (N, 3) is above zero, (N,)."""
        inside = np.zeros(len(points), dtype=np.bool_)
        grid = (self._low, self._scale, self._cells, self._starts, self._members)
        turned = points @ self._turn.T
        _count(turned, morton_order(turned), self._rows, self._reversed, grid, inside)
        return inside


def _frame(direction: Array) -> Array:
    """A rotation (3, 3) that takes a direction to the third axis."""
    third = direction / np.linalg.norm(direction)
    first = np.cross([0.0, 1.0, 0.0], third)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third])


@compiled
def _grid(first, last, cells):
    """Starts (cells^2 + 1,) and members of the lists of triangles that a cell of the grid may hold."""
    starts = np.zeros(cells * cells + 1, dtype=np.int64)
    for face in range(len(first)):
        for row in range(first[face, 0], last[face, 0] + 1):
            for column in range(first[face, 1], last[face, 1] + 1):
                starts[row * cells + column + 1] += 1
    for cell in range(cells * cells):
        starts[cell + 1] += starts[cell]
    members, filled = np.empty(starts[-1], dtype=np.int32), starts[:-1].copy()
    for face in range(len(first)):
        for row in range(first[face, 0], last[face, 0] + 1):
            for column in range(first[face, 1], last[face, 1] + 1):
                members[filled[row * cells + column]] = face
                filled[row * cells + column] += 1
    return starts, members


@compiled
def _count(points, order, rows, reverse, grid, inside):
    """Set the inside of points (N, 3), visited in an order (N,), by the faces that their rays cross.

    A row of a face holds its highest coordinate along the rays, three numbers for the side of each edge, its normal and
    the product of that with a corner; `reverse` tells whose edges run from the higher to the lower vertex.
    """
    low, scale, cells, starts, members = grid
    for index in order:
        x, y, z = points[index]
        row, column = int(np.floor((x - low[0]) * scale[0])), int(np.floor((y - low[1]) * scale[1]))
        # A point on the far edge of the grid belongs to its last cell; a ray beyond the grid crosses nothing.
        row, column = row - (row == cells), column - (column == cells)
        if row < 0 or column < 0 or row >= cells or column >= cells:
            continue
        winding = 0
        for place in range(starts[row * cells + column], starts[row * cells + column + 1]):
            face = members[place]
            t, turn = rows[face], reverse[face]
            first = (t[1] * x + t[2] * y + t[3] > 0) != turn[0]
            second = (t[4] * x + t[5] * y + t[6] > 0) != turn[1]
            third = (t[7] * x + t[8] * y + t[9] > 0) != turn[2]
            height = t[13] - t[10] * x - t[11] * y - t[12] * z
            # A face turned towards the end of the ray has a positive height above the point, the others a negative one.
            # Without branches, whose outcomes no processor could predict.
            winding += (first & second & third & (height > 0)) - ((not (first | second | third)) & (height < 0))
        inside[index] = winding > 0
