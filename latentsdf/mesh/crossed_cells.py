"""Cells of a lattice that a level set crosses, found coarse to fine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices
from .brick_lattice import BrickLattice
from .lipschitz import estimate_lipschitz
from .marching_cubes import CORNERS
from .sampled_lattice import SampledLattice

COARSE = 32
"""Cells per axis, about, of the lattice that is evaluated completely."""

_MEAN_REACH = (3.0 + 3.0 * 2.0**0.5 + 3.0**0.5) / 8.0
_BEND = 0.75
_CHUNK = 1 << 14
_PATCH = list(itertools.product(range(3), repeat=3))
_CHILDREN = list(itertools.product(range(2), repeat=3))

Keep = Callable[[NDArray, NDArray | None], NDArray[np.bool_]]
"""Corner values (8, N) of blocks and their `bends` (N,) -> which of them are kept."""


class Blocks(NamedTuple):
    """Cubes of 1, 2, 4 ... cells per axis, all of one size.

    Attributes:
        low: (3, N) index triples of their lowest corners.
        corners: (8, N) values at their corners, in the order of `CORNERS`.
    """

    low: Indices
    corners: NDArray

    def those(self, mask: NDArray[np.bool_]) -> Blocks:
        """The blocks (N,) that are marked."""
        return Blocks(self.low[:, mask], self.corners[:, mask])


def coarse_lattice(lattice: SampledLattice) -> tuple[int, NDArray]:
    """Side of the coarsest blocks in cells, and the values (n, n, n) at their corners."""
    side = 2 ** max(0, round(np.log2(lattice.resolution / COARSE)))
    ticks = np.arange(0, lattice.resolution + side, side)
    index = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1)
    return side, lattice.values(index).reshape((len(ticks),) * 3)


def crossed_cells(lattice: SampledLattice, side: int, values: NDArray, lipschitz: float | None) -> Blocks:
    """Single cells that change sign, among blocks that may hold the surface.

    Args:
        lattice: gives the values.
        side, values: of `coarse_lattice`.
        lipschitz: constant of the field; None estimates it.
    """
    if side == 1:
        return _blocks_of(values, 1, _changes_sign)
    bound = (estimate_lipschitz(lattice, side, values) if lipschitz is None else lipschitz) * lattice.spacing
    blocks = _blocks_of(values, side, _may_hold_surface(bound * side))
    while side > 2:
        blocks = _split(lattice, blocks.low, blocks.corners, side, _may_hold_surface(bound * side / 2))
        side //= 2
    visited = np.zeros((lattice.resolution // 2 + 1,) * 3, dtype=bool)
    visited[tuple(blocks.low // 2)] = True
    found = [_split(lattice, blocks.low, blocks.corners, 2, _changes_sign)]
    while (entered := _blocks_entered(found[-1], visited)).shape[1]:
        visited[tuple(entered // 2)] = True
        found.append(_split(lattice, entered, None, 2, _changes_sign))
    return Blocks(*(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))


def _blocks_of(values: NDArray, side: int, keep: Keep) -> Blocks:
    """Blocks between the vertices of a dense lattice (n, n, n) that are kept."""
    n = len(values) - 1
    corners = np.stack([values[x : x + n, y : y + n, z : z + n].ravel() for x, y, z in CORNERS])
    bend = np.zeros((n, n, n), dtype=values.dtype)
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        second = np.abs(lines[:-2] - 2.0 * lines[1:-1] + lines[2:])
        second = np.concatenate([second[:1], np.maximum(second[:-1], second[1:]), second[-1:]])
        second = np.maximum(second[:, :-1], second[:, 1:])
        bend += np.moveaxis(np.maximum(second[:, :, :-1], second[:, :, 1:]), 0, axis)
    kept = np.flatnonzero(keep(corners, bend.ravel()))
    return Blocks(side * np.stack(np.unravel_index(kept, (n, n, n))), corners[:, kept])


def _split(lattice: SampledLattice, low: Indices, corners: NDArray | None, side: int, keep: Keep) -> Blocks:
    """Split blocks (3, N) of `side` cells per axis in eight and return those that are kept.

    Corner values (8, N) of the blocks are reused where they are given.
    """
    half = side // 2
    steps = low // half
    bricks = BrickLattice(steps, 2, int(steps.max(initial=0)))
    chunks = [slice(start, start + _CHUNK) for start in range(0, low.shape[1], _CHUNK)]
    unknown = np.zeros(bricks.size, dtype=bool)
    new = [step for step in _PATCH if corners is None or any(number % 2 for number in step)]
    for chunk in chunks:
        around = bricks.neighbourhood(steps[:, chunk])
        for step in new:
            unknown[around.at(step)] = True
    wanted = np.flatnonzero(unknown)
    found = lattice.values(half * bricks.triples(wanted))
    values = np.empty(bricks.size, dtype=found.dtype)
    values[wanted] = found
    if corners is not None:
        for chunk in chunks:
            around = bricks.neighbourhood(steps[:, chunk])
            for step, known in zip(2 * CORNERS, corners, strict=True):
                values[around.at(tuple(step))] = known[chunk]
    parts = []
    for chunk in chunks:
        around = bricks.neighbourhood(steps[:, chunk])
        patch = np.stack([values[around.at(step)] for step in _PATCH])
        bends = None if side == 2 else _second_differences(patch)
        for child in _CHILDREN:
            own = patch[[_PATCH.index(tuple(step)) for step in (CORNERS + child).tolist()]]
            below = low[:, chunk] + half * np.array(child)[:, None]
            kept = keep(own, None if bends is None else _bend_of(bends, child))
            rows = np.flatnonzero(kept & (below < lattice.resolution).all(0))
            parts.append(Blocks(below[:, rows], own[:, rows]))
    if not parts:
        return Blocks(np.zeros((3, 0), dtype=np.int64), np.zeros((8, 0), dtype=values.dtype))
    return Blocks(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def _second_differences(patch: NDArray) -> list[NDArray]:
    """Magnitudes (3, 3, N) of second differences along each axis of values (27, N) at the vertices of eight blocks."""
    values = patch.reshape(3, 3, 3, -1)
    lines = [np.moveaxis(values, axis, 0) for axis in range(3)]
    return [np.abs(first - 2.0 * middle + last) for first, middle, last in lines]


def _bend_of(differences: Sequence[NDArray], child: tuple[int, ...]) -> NDArray:
    """Sum over the axes (N,) of the largest second difference of the four lines along the edges of a block."""
    total = np.zeros(differences[0].shape[-1], dtype=differences[0].dtype)
    for axis, lines in enumerate(differences):
        first, second = (place for other, place in enumerate(child) if other != axis)
        total += lines[first : first + 2, second : second + 2].max((0, 1))
    return total


def _changes_sign(corners: NDArray, bend: NDArray | None = None) -> NDArray[np.bool_]:
    negative = corners < 0
    return np.asarray(negative.any(0) & ~negative.all(0))


def _may_hold_surface(reach: float) -> Keep:
    """Predicate of blocks that change sign, or in which neither slope nor bend of the field excludes the surface.

    Slope: let the field change by at most `reach` = L h over a side h. If f(p) = 0 inside the block then
    |f(c)| <= L |p - c| at every corner c. The farthest corner is at most sqrt(3) sides away, and the mean distance to
    the eight corners, convex in p, is largest at a corner.

    Bend: inside a block f leaves its trilinear interpolation by at most D / 8, D the sum over the axes of |f''| h^2.
    At a crease it may leave it by D / 2, D then the second differences of its values: f = |x - s|, zero between the
    vertices 0 and h, has D = 2 (h - s) with the vertex -h, and the smaller value is at most D / 2. Three quarters of D
    are allowed.
    """

    def keep(corners: NDArray, bend: NDArray | None) -> NDArray[np.bool_]:
        size = np.abs(corners)
        near = (size.mean(0) <= _MEAN_REACH * reach) & (size.max(0) <= 3.0**0.5 * reach)
        if bend is not None:
            near &= size.min(0) <= _BEND * bend
        return near | _changes_sign(corners)

    return keep


def _blocks_entered(cells: Blocks, visited: NDArray[np.bool_]) -> Indices:
    """Low corners (3, K) of blocks of two cells per axis, not yet visited, that the surface enters from `cells`."""
    negative, beyond = cells.corners < 0, []
    for axis, end in itertools.product(range(3), range(2)):
        face = negative[CORNERS[:, axis] == end]
        leaving = (face.any(0) & ~face.all(0)) & ((cells.low[axis] & 1) == end)
        next_to = cells.low[:, leaving]
        next_to[axis] += 2 * end - 1
        beyond.append(next_to // 2)
    blocks = np.concatenate(beyond, axis=1)
    blocks = blocks[:, ~visited[tuple(blocks)]]
    return 2 * np.unique(blocks, axis=1) if blocks.size else blocks
