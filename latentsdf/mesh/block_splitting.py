"""Splitting blocks of lattice cells, with the values of a field at the new vertices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices
from .brick_lattice import BrickLattice
from .marching_cubes import CORNERS
from .sampled_lattice import SampledLattice

_CHUNK = 1 << 14
_PATCH = list(itertools.product(range(3), repeat=3))
_CHILDREN = list(itertools.product(range(2), repeat=3))
_CHILD_ROWS = [[_PATCH.index(tuple(step)) for step in (CORNERS + child).tolist()] for child in _CHILDREN]
_PARENT_ROWS = [_PATCH.index(tuple(step)) for step in (2 * CORNERS).tolist()]
_NEW_ROWS = [row for row in range(27) if row not in _PARENT_ROWS]


class Blocks(NamedTuple):
    """Cubes of 1, 2, 4 ... cells per axis, all of one size.

    Attributes:
        low: (3, N) index triples of their lowest corners.
        corners: (8, N) values at their corners, in the order of `CORNERS`.
        bend: (N,) sums over the axes of the largest second difference of values beside them.
    """

    low: Indices
    corners: NDArray[Any]
    bend: NDArray[Any]

    def those(self, kept: NDArray[Any]) -> Blocks:
        """The blocks of a mask (N,), or of rows (K,)."""
        return Blocks(self.low[:, kept], self.corners[:, kept], self.bend[kept])


Keep = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]
"""Corner values (8, N) and bends (N,) of blocks -> which of them are kept, (N,)."""


def blocks_between(values: NDArray[Any], side: int, keep: Keep) -> Blocks:
    """Blocks of `side` cells between the vertices of a dense lattice (R, R, R) that are kept."""
    n = len(values) - 1
    corners = np.stack([values[x : x + n, y : y + n, z : z + n].ravel() for x, y, z in CORNERS])
    bend = np.zeros((n, n, n), dtype=values.dtype)
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        second = np.abs(lines[:-2] - 2.0 * lines[1:-1] + lines[2:])
        second = np.concatenate([second[:1], np.maximum(second[:-1], second[1:]), second[-1:]])
        second = np.maximum(second[:, :-1], second[:, 1:])
        bend += np.moveaxis(np.maximum(second[:, :, :-1], second[:, :, 1:]), 0, axis)
    rows = np.flatnonzero(keep(corners, bend.ravel()))
    low = side * np.stack(np.unravel_index(rows, (n, n, n)))
    return Blocks(low, corners[:, rows], bend.ravel()[rows])


def cells_between(values: NDArray[Any]) -> Blocks:
    """Single cells between the vertices of a dense lattice (R, R, R) whose corners differ in sign."""
    some = every = values < 0
    for axis in range(3):
        low, high = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
        some, every = some[low] | some[high], every[low] & every[high]
    rows = np.flatnonzero(some & ~every)
    x, y, z = np.unravel_index(rows, some.shape)
    corners = np.stack([values[x + i, y + j, z + k] for i, j, k in CORNERS])
    return Blocks(np.stack([x, y, z]), corners, np.zeros(len(rows), dtype=values.dtype))


def split_blocks(lattice: SampledLattice, blocks: Blocks, side: int, keep: Keep) -> Blocks:
    """Split blocks of `side` cells per axis in eight, and return those that are kept.

    Args:
        lattice: gives the values at the 19 new vertices of a block.
        blocks: with the values at their corners.
        side: a power of two.
        keep: predicate of the parts.
    """
    patches = _Patches(blocks.low // (side // 2))
    unknown = np.zeros(patches.size, dtype=bool)
    for _, places in patches:
        for row in _NEW_ROWS:
            unknown[places[row]] = True
    wanted = np.flatnonzero(unknown)
    values = np.empty(patches.size, dtype=blocks.corners.dtype)
    values[wanted] = lattice.values(side // 2 * patches.triples(wanted))
    parts = []
    for chunk, places in patches:
        patch = np.stack([values[place] for place in places])
        patch[_PARENT_ROWS] = blocks.corners[:, chunk]
        differences = _second_differences(patch)
        for child, rows in zip(_CHILDREN, _CHILD_ROWS, strict=True):
            low = blocks.low[:, chunk] + side // 2 * np.array(child)[:, None]
            part = Blocks(low, patch[rows], _bend_of(differences, child))
            parts.append(part.those(np.flatnonzero(keep(part.corners, part.bend) & lattice.holds(low))))
    return joined(parts)


def cells_within(lattice: SampledLattice, blocks: Blocks, allowance: float) -> Blocks:
    """Single cells that change sign, of blocks of two cells per axis.

    A vertex is evaluated where it belongs to such a cell, or where its sign is in doubt: where the trilinear
    interpolation of the block's corners is at most `allowance` times the block's bend. All the values that are returned
    are the field's.

    Args:
        lattice: gives the values.
        blocks: an infinite bend evaluates all vertices.
        allowance: departure of the field from its interpolation, per bend.
    """
    patches = _Patches(blocks.low)
    values = np.empty(patches.size, dtype=blocks.corners.dtype)
    exact, wanted = np.zeros(patches.size, dtype=bool), np.zeros(patches.size, dtype=bool)
    for chunk, places in patches:
        expected = _interpolated(blocks.corners[:, chunk])
        doubtful = ~(np.abs(expected) > allowance * blocks.bend[chunk])
        for row in _NEW_ROWS:
            values[places[row]] = expected[row]
            wanted[places[row][doubtful[row]]] = True
        for row in _PARENT_ROWS:
            values[places[row]], exact[places[row]] = expected[row], True
    while True:
        new = np.flatnonzero(wanted & ~exact)
        values[new], exact[new] = lattice.values(patches.triples(new)), True
        cells = []
        for chunk, places in patches:
            inside = np.stack([values[place] < 0 for place in places])
            used = np.zeros_like(inside)
            for child, rows in zip(_CHILDREN, _CHILD_ROWS, strict=True):
                low = blocks.low[:, chunk] + np.array(child)[:, None]
                crossed = _differ(inside[rows]) & lattice.holds(low)
                used[rows] |= crossed
                cells.append(low[:, crossed])
            for place, mask in zip(places, used, strict=True):
                wanted[place[mask]] = True
        if not (wanted & ~exact).any():
            break
    low = np.concatenate([np.zeros((3, 0), dtype=np.int64), *cells], axis=1)
    around = patches.around(low)
    corners = np.stack([values[around.at(step)] for step in CORNERS.tolist()])
    return Blocks(low, corners, np.zeros(low.shape[1], dtype=values.dtype))


def joined(parts: Sequence[Blocks]) -> Blocks:
    """All blocks of some sets, at least one."""
    low, corners, bend = zip(*parts, strict=True)
    return Blocks(np.concatenate(low, axis=1), np.concatenate(corners, axis=1), np.concatenate(bend))


class _Patches:
    """Addresses of the 27 vertices of blocks (3, N) that are split, numbered in steps of half their side."""

    def __init__(self, low: Indices):
        self._low = low
        self._bricks = BrickLattice(low, 2, int(low.max(initial=0)))
        self.size, self.triples, self.around = self._bricks.size, self._bricks.triples, self._bricks.neighbourhood

    def __iter__(self) -> Iterator[tuple[slice, list[Indices]]]:
        for start in range(0, max(1, self._low.shape[1]), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            around = self._bricks.neighbourhood(self._low[:, chunk])
            yield chunk, [around.at(step) for step in _PATCH]


def _interpolated(corners: NDArray[Any]) -> NDArray[Any]:
    """Trilinear values (27, N) at the vertices of a patch with corner values (8, N)."""
    out = np.empty((3, 3, 3, corners.shape[1]), dtype=corners.dtype)
    for (x, y, z), values in zip(2 * CORNERS, corners, strict=True):
        out[x, y, z] = values
    out[1, ::2, ::2] = 0.5 * (out[0, ::2, ::2] + out[2, ::2, ::2])
    out[:, 1, ::2] = 0.5 * (out[:, 0, ::2] + out[:, 2, ::2])
    out[:, :, 1] = 0.5 * (out[:, :, 0] + out[:, :, 2])
    return out.reshape(27, -1)


def _second_differences(patch: NDArray[Any]) -> list[NDArray[Any]]:
    """Magnitudes (3, 3, N) of second differences along each axis of values (27, N) at the vertices of a patch."""
    values = patch.reshape(3, 3, 3, -1)
    lines = [np.moveaxis(values, axis, 0) for axis in range(3)]
    return [np.abs(first - 2.0 * middle + last) for first, middle, last in lines]


def _bend_of(differences: Sequence[NDArray[Any]], child: tuple[int, ...]) -> NDArray[Any]:
    """Sum over the axes (N,) of the largest second difference of the four lines along the edges of a part."""
    total = np.zeros(differences[0].shape[-1], dtype=differences[0].dtype)
    for axis, lines in enumerate(differences):
        first, second = (place for other, place in enumerate(child) if other != axis)
        total += lines[first : first + 2, second : second + 2].max((0, 1))
    return total


def _differ(signs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(signs.any(0) & ~signs.all(0))
