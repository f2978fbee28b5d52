"""Quadratic tensor B-splines on a sparse stack of lattices over the cube [-1, 1]^3.

On an axis with R cells of width h = 2 / R, function k (k = -1 ... R) is the quadratic B-spline of three cells centred
on cell k. A field is a sum over levels, each twice as fine as the one before; the coarse ones cover the cube, the fine
ones a band around the points. A B-spline is a sum of B-splines of half its width, so the sum of all levels up to one
is, near that level's band, a spline of that level alone: its `total` coefficients. In any cell the field is evaluated
by 27 totals of the finest level that is complete there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..core.arrays import Array, Indices

Sparse = Any
"""A `scipy.sparse.csr_array`, which has no typed stubs."""

CELL_VALUE = np.array([[6.0, 13.0, 1.0], [13.0, 54.0, 13.0], [1.0, 13.0, 6.0]]) / 120.0
"""Integrals over one cell of unit width of the products of the three functions that are non-zero there."""
CELL_SLOPE = np.array([[2.0, -1.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]]) / 6.0
"""The same of their first derivatives."""
CELL_BEND = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
"""The same of their second derivatives."""


def axis_weights(local, derivative: int = 0):
    """Evaluate the three quadratic B-splines that are non-zero in a cell, or a derivative of them.

    At u in [0, 1]: (1 - u)^2 / 2, 3/4 - (u - 1/2)^2, u^2 / 2.

    Args:
        local: u (N,), array or tensor, coordinate in the cell from 0 to 1.
        derivative: 0, 1 or 2.

    Returns:
        Three arrays or tensors (N,), lowest function first; divide by the cell width once for each derivative.
    """
    if derivative == 0:
        return (1 - local) ** 2 / 2, 0.75 - (local - 0.5) ** 2, local**2 / 2
    if derivative == 1:
        return local - 1, 1 - 2 * local, local
    one = local * 0 + 1
    return one, -2 * one, one


def axis_stencils(cells: int, element: Array) -> Array:
    """Assemble the integrals over an axis of products of its functions from those over one cell.

    Args:
        cells: R, cells an axis.
        element: (3, 3), one of `CELL_VALUE`, `CELL_SLOPE`, `CELL_BEND`.

    Returns:
        (R + 2, 5): row k + 1 holds the integrals of function k with functions k - 2 ... k + 2, for cells of unit
        width. Cells outside the interval do not count, so the first and last two rows differ from the rest.
    """
    table = np.zeros((cells + 2, 5))
    for a, b in itertools.product(range(3), repeat=2):
        table[a : a + cells, b - a + 2] += element[a, b]
    return table


class LatticeIndex:
    """Row lookup for a list of lattice nodes by two gathers: a table of blocks of 8^3, then a table per block.

    Args:
        nodes: (K, 3) integers from 0 to size - 1, all different.
        size: nodes an axis. Queries may lie up to `MARGIN` outside, and have no row there.
    """

    MARGIN = 2

    def __init__(self, nodes: Indices, size: int):
        self.blocks: int = -(-(size + 2 * self.MARGIN) // 8)
        nodes = nodes + self.MARGIN
        block = cell_key(nodes >> 3, self.blocks)
        used = np.unique(block)
        self.slots = np.zeros(self.blocks**3, dtype=np.int32)
        self.slots[used] = np.arange(1, len(used) + 1)
        self.rows = np.full((len(used) + 1) * 512, -1, dtype=np.int32)
        self.rows[self.slots[block].astype(np.int64) * 512 + cell_key(nodes & 7, 8)] = np.arange(len(nodes))

    def __call__(self, nodes: Indices) -> NDArray[np.int32]:
        """Rows (K,) of nodes (K, 3); -1 where a node is not in the list."""
        nodes = nodes + self.MARGIN
        slot = self.slots[cell_key(nodes >> 3, self.blocks)].astype(np.int64)
        return self.rows[slot * 512 + cell_key(nodes & 7, 8)]

    def around(self, nodes: Indices, low: int, high: int) -> NDArray[np.int32]:
        """Rows (K, (high - low + 1)^3) of all nodes within steps low ... high of each (K, 3) along every axis."""
        steps = np.arange(low, high + 1)
        shifted = (nodes + self.MARGIN).T[:, None, :] + steps[:, None]
        powers = np.array([2, 1, 0])[:, None, None]
        block, local = (shifted >> 3) * self.blocks**powers, (shifted & 7) * 8**powers
        rows = np.empty((len(nodes), len(steps) ** 3), dtype=np.int32)
        for column, (x, y, z) in enumerate(itertools.product(range(len(steps)), repeat=3)):
            slot = self.slots[block[0, x] + block[1, y] + block[2, z]].astype(np.int64)
            rows[:, column] = self.rows[slot * 512 + (local[0, x] + local[1, y] + local[2, z])]
        return rows


def nodes_from_keys(keys: Indices, size: int) -> Indices:
    """Nodes (K, 3) of lexicographic numbers (K,) on a lattice of `size` nodes an axis."""
    return np.stack(np.unravel_index(keys, (size,) * 3), 1)


def cell_key(nodes, size: int):
    """Number (K,) of each of the nodes (K, 3), array or tensor, in lexicographic order."""
    return (nodes[:, 0] * size + nodes[:, 1]) * size + nodes[:, 2]


@dataclass(frozen=True, eq=False)
class Level:
    """One lattice of the stack; its nodes number the functions from 0 to R + 1 along an axis (k + 1).

    Attributes:
        cells: R, cells an axis.
        nodes: (E, 3) functions with a total coefficient: the own ones and all that overlap them, sorted.
        own: (K,) rows of `nodes` that are unknowns of this level.
        prolongation: (E, E of the coarser level) weights from coarser totals to this level's; None at the first.
    """

    cells: int
    nodes: Indices
    own: Indices
    prolongation: Sparse

    @property
    def width(self) -> float:
        """Width h of a cell."""
        return 2.0 / self.cells

    @property
    def covers_cube(self) -> bool:
        """Whether every function of the lattice is an own one."""
        return len(self.own) == (self.cells + 2) ** 3

    @cached_property
    def restriction(self) -> Sparse:
        """Transpose of `prolongation`."""
        return self.prolongation.T

    @cached_property
    def node_index(self) -> LatticeIndex:
        """Rows of `nodes`."""
        return LatticeIndex(self.nodes, self.cells + 2)

    @cached_property
    def complete_cells(self) -> Indices:
        """Cells (C, 3), 0 to R - 1 an axis, in which some own function is non-zero."""
        if self.covers_cube:
            return nodes_from_keys(np.arange(self.cells**3), self.cells)
        size = self.cells + 2
        cells = dilate(self.nodes[self.own], 1, size) - 1
        return cells[((cells >= 0) & (cells < self.cells)).all(1)]

    @cached_property
    def cell_index(self) -> LatticeIndex:
        """Rows of `complete_cells`."""
        return LatticeIndex(self.complete_cells, self.cells)

    @cached_property
    def cell_nodes(self) -> NDArray[np.int32]:
        """Rows (C, 27) of the functions that are non-zero in each complete cell."""
        return self.node_index.around(self.complete_cells, 0, 2)

    def locate(self, points: Array) -> tuple[NDArray[np.int32], Array]:
        """Complete cells (N,) of points (N, 3) of the cube, -1 for none, and local coordinates (N, 3) from 0 to 1."""
        scaled = (points + 1.0) / self.width
        cell = np.clip(np.floor(scaled).astype(np.int64), 0, self.cells - 1)
        return self.cell_index(cell), scaled - cell

    def evaluation_matrices(self, rows: NDArray[np.int32], local: Array, derivatives: int = 1) -> list[Sparse]:
        """Matrices (N, E) to the value, and slopes in x, y, z, at local coordinates (N, 3) of complete cells (N,)."""
        weights = [
            [np.stack(axis_weights(local[:, axis], order), 1) / self.width**order for axis in range(3)]
            for order in range(derivatives + 1)
        ]
        columns = self.cell_nodes[rows].reshape(-1)
        pointer = np.arange(0, 27 * len(rows) + 1, 27)
        result = []
        for along in range(-1, 3 if derivatives else 0):
            x, y, z = (weights[int(axis == along)][axis] for axis in range(3))
            values = (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).reshape(-1)
            result.append(sparse.csr_array((values, columns, pointer), shape=(len(rows), len(self.nodes))))
        return result

    def bending_diagonal(self) -> Array:
        """Integral over the cube of |Hess|^2 of each own function, (K,)."""
        value, slope, bend = (
            axis_stencils(self.cells, element)[:, 2][self.nodes[self.own]]
            for element in (CELL_VALUE, CELL_SLOPE, CELL_BEND)
        )
        total = np.zeros(len(self.own))
        for axis in range(3):
            left, right = (axis + 1) % 3, (axis + 2) % 3
            total += bend[:, axis] * value[:, left] * value[:, right]
            total += 2 * value[:, axis] * slope[:, left] * slope[:, right]
        return total / self.width


def unique_nodes(nodes: Indices, size: int) -> Indices:
    """Distinct nodes (K, 3), sorted."""
    keys = np.sort(cell_key(nodes, size))
    keys = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
    return nodes_from_keys(keys, size)


def dilate(nodes: Indices, by: int, size: int) -> Indices:
    """Nodes (K, 3) within `by` steps of the given ones along every axis, sorted."""
    for axis in range(3):
        steps = np.zeros((2 * by + 1, 3), dtype=np.int64)
        steps[:, axis] = np.arange(-by, by + 1)
        shifted = (nodes[None] + steps[:, None]).reshape(-1, 3)
        nodes = unique_nodes(shifted[(shifted[:, axis] >= 0) & (shifted[:, axis] < size)], size)
    return nodes
