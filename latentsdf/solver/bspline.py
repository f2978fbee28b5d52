"""Quadratic tensor B-splines on a sparse stack of lattices over the cube [-1, 1]^3.

On an axis with R cells of width h = 2 / R, function k (k = -1 ... R) is the quadratic B-spline of three cells centred
on cell k. A field is a sum over levels, each twice as fine as the one before; the coarse ones cover the cube, the fine
ones a band around the points. A B-spline is a sum of B-splines of half its width, so the sum of all levels up to one
is, near that level's band, a spline of that level alone: its `total` coefficients. Any cell is read from the
totals of the finest level that is complete there, 27 coefficients and no more.
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
"""A `scipy.sparse.csr_array`, whose stubs are not typed."""

CELL_VALUE = np.array([[6.0, 13.0, 1.0], [13.0, 54.0, 13.0], [1.0, 13.0, 6.0]]) / 120.0
"""Integrals over one cell of unit width of the products of the three functions that are not zero there."""
CELL_SLOPE = np.array([[2.0, -1.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]]) / 6.0
"""The same of their first derivatives."""
CELL_BEND = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
"""The same of their second derivatives."""


def axis_weights(inside, derivative: int = 0):
    """The three B-splines that are not zero in a cell, or a derivative of them by the place in the cell.

    Args:
        inside: (N,) array or tensor, place in the cell from 0 to 1.
        derivative: 0, 1 or 2.

    Returns:
        Three arrays or tensors (N,), lowest function first; divide by the cell's width once for each derivative.
    """
    if derivative == 0:
        return (1 - inside) ** 2 / 2, 0.75 - (inside - 0.5) ** 2, inside**2 / 2
    if derivative == 1:
        return inside - 1, 1 - 2 * inside, inside
    one = inside * 0 + 1
    return one, -2 * one, one


def axis_stencils(cells: int, element: Array) -> Array:
    """Integrals over the interval of products of functions of one axis, from those over one cell.

    Args:
        cells: R.
        element: (3, 3), one of `CELL_VALUE`, `CELL_SLOPE`, `CELL_BEND`.

    Returns:
        (R + 2, 5): row k + 1 holds the integrals of function k with functions k - 2 ... k + 2, for cells of unit
        width. Cells outside the interval do not count, so the first and last two rows differ from the rest.
    """
    table = np.zeros((cells + 2, 5))
    for a, b in itertools.product(range(3), repeat=2):
        table[a : a + cells, b - a + 2] += element[a, b]
    return table


class Finder:
    """Rows of lattice places in a list of them, found with two gathers: places are filed in blocks of 8^3.

    Args:
        places: (K, 3) integers from 0 to size - 1, all different.
        size: places an axis. Places up to `MARGIN` outside may be asked for, and are never found.
    """

    MARGIN = 2

    def __init__(self, places: Indices, size: int):
        self.blocks = -(-(size + 2 * self.MARGIN) // 8)
        places = places + self.MARGIN
        block = cell_key(places >> 3, self.blocks)
        used = np.unique(block)
        self.slots = np.zeros(self.blocks**3, dtype=np.int32)
        self.slots[used] = np.arange(1, len(used) + 1)
        self.rows = np.full((len(used) + 1) * 512, -1, dtype=np.int32)
        self.rows[self.slots[block].astype(np.int64) * 512 + cell_key(places & 7, 8)] = np.arange(len(places))

    def __call__(self, places: Indices) -> NDArray[np.int32]:
        """Rows (K,) of places (K, 3); -1 where a place is not in the list."""
        places = places + self.MARGIN
        slot = self.slots[cell_key(places >> 3, self.blocks)].astype(np.int64)
        return self.rows[slot * 512 + cell_key(places & 7, 8)]

    def around(self, places: Indices, low: int, high: int) -> NDArray[np.int32]:
        """Rows (K, (high - low + 1)^3) of all places within steps low ... high of each along every axis."""
        steps = np.arange(low, high + 1)
        moved = (places + self.MARGIN).T[:, None, :] + steps[:, None]
        powers = np.array([2, 1, 0])[:, None, None]
        block, local = (moved >> 3) * self.blocks**powers, (moved & 7) * 8**powers
        found = np.empty((len(places), len(steps) ** 3), dtype=np.int32)
        for column, (x, y, z) in enumerate(itertools.product(range(len(steps)), repeat=3)):
            slot = self.slots[block[0, x] + block[1, y] + block[2, z]].astype(np.int64)
            found[:, column] = self.rows[slot * 512 + (local[0, x] + local[1, y] + local[2, z])]
        return found


def cell_key(places, size: int):
    """One number (K,) for each of the places (K, 3), array or tensor, in lexicographic order."""
    return (places[:, 0] * size + places[:, 1]) * size + places[:, 2]


@dataclass(frozen=True, eq=False)
class Level:
    """One lattice of the stack. Places are function numbers plus one, so from 0 to R + 1 an axis.

    Attributes:
        cells: R, cells an axis.
        places: (E, 3) functions with a total coefficient: the own ones and all that overlap them, sorted.
        own: (K,) rows of `places` that are unknowns of this level.
        parents: (E, E of the coarser level) weights that turn coarser totals into this level's; None at the first.
    """

    cells: int
    places: Indices
    own: NDArray[np.int64]
    parents: Sparse

    @property
    def width(self) -> float:
        """Width h of a cell."""
        return 2.0 / self.cells

    @cached_property
    def children(self) -> Sparse:
        """The transpose of `parents`."""
        return self.parents.T

    @cached_property
    def find(self) -> Finder:
        """Rows of functions."""
        return Finder(self.places, self.cells + 2)

    @cached_property
    def complete(self) -> Indices:
        """(C, 3) numbers of the cells, 0 to R - 1, where this level's own functions are not all zero."""
        if len(self.own) == (self.cells + 2) ** 3:
            return np.stack(np.unravel_index(np.arange(self.cells**3), (self.cells,) * 3), 1)
        size = self.cells + 2
        cells = grown(self.places[self.own], 1, size) - 1
        return cells[((cells >= 0) & (cells < self.cells)).all(1)]

    @cached_property
    def find_cell(self) -> Finder:
        """Rows of `complete`."""
        return Finder(self.complete, self.cells)

    @cached_property
    def corners(self) -> NDArray[np.int32]:
        """(C, 27) rows of the functions that are not zero in each complete cell."""
        return self.find.around(self.complete, 0, 2)

    def locate(self, points: Array) -> tuple[NDArray[np.int32], Array]:
        """Complete cells (N,) that hold points (N, 3) of the cube, -1 for none, and the places (N, 3) inside them."""
        scaled = (points + 1.0) / self.width
        cell = np.clip(np.floor(scaled).astype(np.int64), 0, self.cells - 1)
        return self.find_cell(cell), scaled - cell

    def readings(self, rows: NDArray[np.int32], inside: Array, derivatives: int = 1) -> list[Sparse]:
        """Matrices (N, E) that read value, and slope along x, y, z, at places (N, 3) inside complete cells (N,)."""
        weights = [
            [np.stack(axis_weights(inside[:, axis], order), 1) / self.width**order for axis in range(3)]
            for order in range(derivatives + 1)
        ]
        columns = self.corners[rows].reshape(-1)
        pointer = np.arange(0, 27 * len(rows) + 1, 27)
        result = []
        for along in range(-1, 3 if derivatives else 0):
            x, y, z = (weights[int(axis == along)][axis] for axis in range(3))
            values = (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).reshape(-1)
            result.append(sparse.csr_array((values, columns, pointer), shape=(len(rows), len(self.places))))
        return result

    def bending(self) -> Sparse:
        """Integrals over the cube of Hess:Hess of each own function with all that overlap it, (K, E), exact.

        Source: the squared Hessian of SSD (Calakli and Taubin 2011); entries are products of one-dimensional
        integrals, Q M M + M Q M + M M Q + 2 (K K M + K M K + M K K) over the cell width.
        """
        tables = [axis_stencils(self.cells, element) for element in (CELL_VALUE, CELL_SLOPE, CELL_BEND)]
        places = self.places[self.own]
        columns = self.find.around(places, -2, 2)
        middle = ((places >= 2) & (places <= self.cells - 1)).all(1)
        values = np.empty((len(places), 125))
        if middle.any():
            values[middle] = self._bending_of(tables, places[np.argmax(middle)][None])
        values[~middle] = self._bending_of(tables, places[~middle])
        there = columns >= 0
        if there.all():
            pointer = np.arange(0, 125 * len(places) + 1, 125)
            data, columns = values.reshape(-1), columns.reshape(-1)
        else:
            pointer = np.concatenate([[0], np.cumsum(there.sum(1))])
            data, columns = values[there], columns[there]
        return sparse.csr_array((data, columns, pointer), shape=(len(places), len(self.places)))

    def bending_diagonal(self) -> Array:
        """The integral over the cube of |Hess|^2 of each own function, (K,)."""
        value, slope, bend = (
            axis_stencils(self.cells, element)[:, 2][self.places[self.own]]
            for element in (CELL_VALUE, CELL_SLOPE, CELL_BEND)
        )
        total = np.zeros(len(self.own))
        for axis in range(3):
            left, right = (axis + 1) % 3, (axis + 2) % 3
            total += bend[:, axis] * value[:, left] * value[:, right]
            total += 2 * value[:, axis] * slope[:, left] * slope[:, right]
        return total / self.width

    def _bending_of(self, tables: list[Array], places: Indices) -> Array:
        value, slope, bend = ([table[places[:, axis]] for axis in range(3)] for table in tables)

        def product(x: Array, y: Array, z: Array) -> Array:
            return (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).reshape(-1, 125)

        total = product(bend[0], value[1], value[2])
        total += product(value[0], bend[1], value[2]) + product(value[0], value[1], bend[2])
        total += 2 * product(slope[0], slope[1], value[2])
        total += 2 * product(slope[0], value[1], slope[2]) + 2 * product(value[0], slope[1], slope[2])
        return total / self.width


def distinct(places: Indices, size: int) -> Indices:
    """The places (K, 3) without repetition, sorted."""
    keys = np.sort(cell_key(places, size))
    keys = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
    return np.stack(np.unravel_index(keys, (size,) * 3), 1)


def grown(places: Indices, by: int, size: int) -> Indices:
    """All places (K, 3) within `by` of the given ones along every axis, sorted."""
    for axis in range(3):
        steps = np.zeros((2 * by + 1, 3), dtype=np.int64)
        steps[:, axis] = np.arange(-by, by + 1)
        moved = (places[None] + steps[:, None]).reshape(-1, 3)
        places = distinct(moved[(moved[:, axis] >= 0) & (moved[:, axis] < size)], size)
    return places
