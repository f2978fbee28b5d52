"""Addresses for the vertices of a cubic lattice that is stored in part."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices

_BITS = 3
_SIDE = 1 << _BITS
_VOLUME = _SIDE**3


class BrickLattice:
    """Storage of the lattice in bricks of 8^3 vertices, those alone that hold vertices near some cells.

    An array of `size` entries has one for every vertex of every stored brick; finding an entry takes one look into the
    dense table of bricks, without sorting or hashing (compare OpenVDB: Museth, "VDB", 2013).

    Args:
        cells: (3, N) index triples, from 0.
        reach: every vertex of up to `reach` steps from a cell along each axis has an address.
        limit: the largest index of `cells` along any axis.
    """

    def __init__(self, cells: Indices, reach: int, limit: int):
        self._across = (limit + reach >> _BITS) + 1
        stored = np.zeros((self._across,) * 3, dtype=bool)
        ends = cells >> _BITS, cells + reach >> _BITS
        for x, y, z in itertools.product(ends, repeat=3):
            stored[x[0], y[1], z[2]] = True
        bricks = np.flatnonzero(stored)
        self._origins = np.stack(np.unravel_index(bricks, stored.shape))
        self._table = np.zeros(stored.size, dtype=np.int64)
        self._table[bricks] = _VOLUME * np.arange(len(bricks))
        self.size: int = _VOLUME * len(bricks)
        self._reach = reach

    def neighbourhood(self, cells: Indices) -> Neighbourhood:
        """Addresses around cells (3, N), among those of the constructor."""
        steps = cells[:, None] + np.arange(self._reach + 1)[:, None]
        weights = np.array([self._across**2, self._across, 1])[:, None, None]
        inner = np.array([_SIDE**2, _SIDE, 1])[:, None, None]
        # Brick above, place in the brick below: sums over the axes do not carry from one into the other.
        return Neighbourhood(self._table, (steps >> _BITS) * weights * _VOLUME + (steps & _SIDE - 1) * inner)

    def triples(self, addresses: Indices) -> Indices:
        """Index triples (3, K) of addresses (K,)."""
        places = addresses & _VOLUME - 1
        local = np.stack([places >> 2 * _BITS, places >> _BITS & _SIDE - 1, places & _SIDE - 1])
        return _SIDE * self._origins[:, addresses >> 3 * _BITS] + local


class Neighbourhood:
    """Addresses of the vertices at given steps from cells, see `BrickLattice.neighbourhood`."""

    def __init__(self, table: NDArray[Any], parts: Indices):
        self._table, self._parts = table, parts

    def at(self, step: Sequence[int]) -> Indices:
        """Addresses (N,) of the vertices at a step from each cell."""
        x, y, z = self._parts
        place = x[step[0]] + y[step[1]] + z[step[2]]
        return np.asarray(self._table[place >> 3 * _BITS] + (place & _VOLUME - 1))
