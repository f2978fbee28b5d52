"""Marching cubes on those cells of a lattice that the surface crosses."""

from __future__ import annotations

from functools import cache
from typing import Any

import igl
import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from .brick_lattice import BrickLattice

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
"""Index steps (8, 3) from a cell to its corners, in the order of `igl.marching_cubes`."""
_ALONG = (1, 3, 4)


def march(cells: Indices, corners: NDArray[Any]) -> tuple[Array, Indices]:
    """Triangles of the zero level set, trilinear along the edges of cells (Lorensen and Cline 1987).

    A vertex on an edge of the lattice is made by the cell whose lowest corner is the edge's: no vertex is made twice
    and none is searched. All cells around an edge that changes sign must be there, and no such edge may lie on the
    upper faces of the lattice.

    Args:
        cells: (3, N) index triples of the lowest corners of cells whose corners differ in sign, each once.
        corners: (8, N) values at their corners in the order of `CORNERS`, none zero.

    Returns:
        Vertices (V, 3) in steps of the lattice, and faces (F, 3), outward for values negative inside.

    Raises:
        ValueError: a cell is missing, or two cells have values of another sign at one corner.
    """
    inside = corners < 0
    crossed = np.stack([inside[0] ^ inside[end] for end in _ALONG], 1)
    rows, axes = np.nonzero(crossed)
    low = corners[0, rows].astype(np.float64)
    high = corners[_ALONG, :][axes, rows].astype(np.float64)
    vertices = cells.T[rows].astype(np.float64)
    vertices[np.arange(len(rows)), axes] += low / (low - high)
    numbers = np.cumsum(crossed.ravel(), dtype=np.int64) - 1

    table, counts = _triangle_table()
    case = np.packbits(inside, axis=0, bitorder="little")[0]
    used = table[case]
    used, cell = used[used >= 0], np.repeat(np.arange(len(case)), counts[case])
    lattice = BrickLattice(cells, 1, int(cells.max(initial=0)))
    around = lattice.neighbourhood(cells)
    row_at = np.zeros(lattice.size, dtype=np.int64)
    row_at[around.at((0, 0, 0))] = np.arange(len(case))
    owners = np.stack([row_at[around.at(step)] for step in CORNERS])
    starts, directions = _edge_table()
    edges = 3 * owners[starts[used], cell] + directions[used]
    if not crossed.ravel()[edges].all():
        raise ValueError("cells disagree on a sign: the field has two values at one point, so it cannot be meshed")
    faces = numbers[edges]
    return vertices, faces.reshape(-1, 3)


def _edge_table() -> tuple[Indices, Indices]:
    """Lowest corner (12,) and axis (12,) of each edge of a cell."""
    pairs = [(corner, axis) for corner in range(8) for axis in range(3) if CORNERS[corner, axis] == 0]
    starts, axes = np.array(pairs).T
    return starts, axes


@cache
def _triangle_table() -> tuple[NDArray[np.int8], Indices]:
    """Edges (256, 15) of the triangles of each case, -1 where there are fewer, and their numbers (256,).

    Bit k of a case is set where corner k is negative. Read off libigl: one cell of each case, three steps apart.
    """
    cases = np.arange(256)
    points = (CORNERS + 3 * cases[:, None, None] * np.array([1, 0, 0])).reshape(-1, 3).astype(np.float64)
    values = np.where(cases[:, None] >> np.arange(8) & 1, -1.0, 1.0).ravel()
    vertices, faces = map(np.asarray, igl.marching_cubes(values, points, np.arange(2048).reshape(256, 8), 0.0)[:2])
    case = np.rint(vertices[:, 0] / 3 - 1 / 6).astype(np.int64)
    doubled = np.rint(2 * (vertices - 3 * case[:, None] * np.array([1, 0, 0]))).astype(np.int64)
    axis, start = np.argmax(doubled == 1, axis=1), doubled // 2
    starts, axes = _edge_table()
    edge_of = {
        (*CORNERS[corner].tolist(), along): edge for edge, (corner, along) in enumerate(zip(starts, axes, strict=True))
    }
    edge = np.array([edge_of[(*low, along)] for low, along in zip(start.tolist(), axis.tolist(), strict=True)])
    table, counts = np.full((256, 15), -1, dtype=np.int8), np.zeros(256, dtype=np.int64)
    for number, row in zip(case[faces[:, 0]], edge[faces], strict=True):
        table[number, counts[number] : counts[number] + 3] = row
        counts[number] += 3
    return table, counts
