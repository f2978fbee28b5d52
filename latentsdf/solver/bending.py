"""Integral of the squared Hessian of fields over a lattice, as a symmetric bilinear form of their coefficients.

Source: the squared Hessian of SSD (Calakli and Taubin 2011). Entries are products of one-dimensional integrals,
Q M M + M Q M + M M Q + 2 (K K M + K M K + M K K) over the cell width, with M, K and Q the integrals of products of
values, slopes and second derivatives along one axis.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from scipy import sparse

from ..core.arrays import Array, Indices
from .bspline import CELL_BEND, CELL_SLOPE, CELL_VALUE, Level, Sparse, axis_stencils


class Bending(Protocol):
    """Exact integrals over the cube of Hess:Hess of each own function of a level with all that overlap it, (K, E)."""

    def __call__(self, totals: Array) -> Array:
        """Product (K,) with coefficients (E,) of all nodes."""
        ...

    def transposed(self, own: Array) -> Array:
        """Product (E,) of the transpose with coefficients (K,) of the own functions."""
        ...

    def matrix(self) -> Sparse:
        """The integrals as a sparse matrix (K, E)."""
        ...


def bending_of(level: Level) -> Bending:
    """The form of a level: by products along the axes where it covers the cube, else as a sparse matrix."""
    return SeparableBending(level) if level.covers_cube else AssembledBending(level)


class SeparableBending:
    """The form of a level that covers the cube, where all nodes are own ones: products along one axis after the other.

    Args:
        level: over the whole cube.
    """

    def __init__(self, level: Level):
        self._level = level
        value, slope, bend = (axis_matrix(level.cells, cell) for cell in (CELL_VALUE, CELL_SLOPE, CELL_BEND))
        size = level.cells + 2
        lines: Sparse = sparse.eye_array(size, format="csr")
        planes: Sparse = sparse.eye_array(size * size, format="csr")
        self._size = size
        # Values, slopes and second derivatives along x; then what the last axis takes the second derivatives, the
        # values and the slopes of; then the sum of these.
        self._along_x: Sparse = sparse.vstack([value, slope, bend], format="csr")
        parts = [[value, None, None], [bend, 2 * slope, value], [2 * slope, 2 * value, None]]
        blocks = [[None if part is None else sparse.kron(lines, part) for part in row] for row in parts]
        self._along_y: Sparse = sparse.block_array(blocks, format="csr")
        self._along_z: Sparse = sparse.hstack(
            [sparse.kron(planes, axis) for axis in (bend, value, slope)], format="csr"
        )

    def __call__(self, totals: Array) -> Array:
        """Product (K,) with coefficients (K,)."""
        size = self._size
        values = self._along_x @ totals.reshape(size, size**2)
        values = self._along_y @ values.reshape(3 * size**2, size)
        return self._along_z @ values.reshape(-1) / self._level.width

    def transposed(self, own: Array) -> Array:
        """The same product (K,): the form is symmetric and all nodes are own ones."""
        return self(own)

    def matrix(self) -> Sparse:
        """The integrals as a sparse matrix (K, K)."""
        return assembled(self._level)


class AssembledBending:
    """The form of a level in a band, as a sparse matrix.

    Args:
        level: whose own functions have all that overlap them among its nodes.
    """

    def __init__(self, level: Level):
        self._matrix = assembled(level)
        self._transposed = self._matrix.T

    def __call__(self, totals: Array) -> Array:
        """Product (K,) with coefficients (E,) of all nodes."""
        return self._matrix @ totals

    def transposed(self, own: Array) -> Array:
        """Product (E,) of the transpose with coefficients (K,) of the own functions."""
        return self._transposed @ own

    def matrix(self) -> Sparse:
        """The integrals as a sparse matrix (K, E)."""
        return self._matrix


def axis_matrix(cells: int, element: Array) -> Sparse:
    """Integrals (R + 2, R + 2) over an axis of products of its functions; arguments as of `axis_stencils`."""
    table = axis_stencils(cells, element)
    size = len(table)
    diagonals = [table[max(0, -shift) : size - max(0, shift), shift + 2] for shift in range(-2, 3)]
    build: Any = sparse.diags_array  # the stubs of SciPy take a single offset
    return build(diagonals, offsets=range(-2, 3), format="csr")


def assembled(level: Level) -> Sparse:
    """Integrals (K, E) of a level's own functions with all that overlap them."""
    tables = [axis_stencils(level.cells, element) for element in (CELL_VALUE, CELL_SLOPE, CELL_BEND)]
    nodes = level.nodes[level.own]
    columns = level.node_index.around(nodes, -2, 2)
    interior = ((nodes >= 2) & (nodes <= level.cells - 1)).all(1)
    values = np.empty((len(nodes), 125))
    if interior.any():
        values[interior] = _stencils(tables, nodes[np.argmax(interior)][None], level.width)
    values[~interior] = _stencils(tables, nodes[~interior], level.width)
    pointer, shape = np.arange(0, 125 * len(nodes) + 1, 125), (len(nodes), len(level.nodes))
    present = columns >= 0
    if not present.all():  # Functions that would lie outside the cube.
        pointer = np.concatenate([[0], np.cumsum(present.sum(1))])
        columns, values = columns[present], values[present]
    kind = columns.dtype if pointer[-1] <= np.iinfo(columns.dtype).max else pointer.dtype
    return sparse.csr_array((values.reshape(-1), columns.reshape(-1).astype(kind), pointer.astype(kind)), shape=shape)


def _stencils(tables: list[Array], nodes: Indices, width: float) -> Array:
    """Integrals (K, 125) of functions (K, 3) with those within two steps along every axis."""
    value, slope, bend = ([table[nodes[:, axis]] for axis in range(3)] for table in tables)

    def product(x: Array, y: Array, z: Array) -> Array:
        return (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).reshape(-1, 125)

    total = product(bend[0], value[1], value[2])
    total += product(value[0], bend[1], value[2]) + product(value[0], value[1], bend[2])
    total += 2 * product(slope[0], slope[1], value[2])
    total += 2 * product(slope[0], value[1], slope[2]) + 2 * product(value[0], slope[1], slope[2])
    return total / width
