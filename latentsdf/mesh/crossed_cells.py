"""Cells of a lattice that a level set crosses, found coarse to fine."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices
from .block_splitting import Blocks, Keep, blocks_between, cells_between, cells_within, joined, split_blocks
from .lipschitz import estimate_lipschitz
from .marching_cubes import CORNERS
from .sampled_lattice import SampledLattice

WHOLE = 32
"""Cells per axis up to which the lattice is evaluated completely."""
COARSE = 16
"""Cells per axis, at least, of the coarse lattice that is evaluated completely otherwise."""

_MEAN_REACH = (3.0 + 3.0 * 2.0**0.5 + 3.0**0.5) / 8.0
_ALLOWANCE = 0.75


def coarse_lattice(lattice: SampledLattice) -> tuple[int, NDArray[Any]]:
    """Side of the coarsest blocks in cells, and the values (R, R, R) at their corners."""
    side = 1 if lattice.resolution <= WHOLE else 2 ** int(np.log2(lattice.resolution / COARSE))
    ticks = np.arange(0, lattice.resolution + side, side)
    index = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1)
    return side, lattice.values(index).reshape((len(ticks),) * 3)


def crossed_cells(lattice: SampledLattice, side: int, values: NDArray[Any], lipschitz: float | None) -> Blocks:
    """Single cells that change sign, among blocks that may hold the surface.

    Args:
        lattice: gives the values.
        side: of the blocks of `coarse_lattice`.
        values: (R, R, R) at their corners.
        lipschitz: constant of the field; None estimates it.
    """
    if side == 1:
        return cells_between(values)
    bound = (estimate_lipschitz(lattice, side, values) if lipschitz is None else lipschitz) * lattice.spacing
    blocks = blocks_between(values, side, _may_hold_surface(bound * side, None))
    while side > 2:
        blocks = split_blocks(lattice, blocks, side, _may_hold_surface(bound * side / 2))
        side //= 2
    visited = np.zeros((lattice.resolution // 2 + 1,) * 3, dtype=bool)
    visited[tuple(blocks.low // 2)] = True
    found = [cells_within(lattice, blocks, _ALLOWANCE)]
    while (entered := _blocks_entered(found[-1], visited)).shape[1]:
        lattice.recalls = True  # vertices on the faces of blocks that were visited are known
        visited[tuple(entered // 2)] = True
        found.append(cells_within(lattice, _unknown_blocks(lattice, entered), _ALLOWANCE))
    return completed(lattice, joined(found)) if len(found) > 1 else found[0]


def completed(lattice: SampledLattice, cells: Blocks) -> Blocks:
    """Cells, with the blocks evaluated that the surface enters although they were taken for empty.

    A vertex whose interpolation is far from zero is not evaluated for its block, but may be for the next one.

    Args:
        lattice: gives the values.
        cells: single cells that change sign.
    """
    while (entered := _blocks_missed(cells, lattice.resolution)).shape[1]:
        again = _keys(cells.low // 2, lattice.resolution)
        kept = np.flatnonzero(~np.isin(again, _keys(entered // 2, lattice.resolution)))
        cells = joined([cells.those(kept), cells_within(lattice, _unknown_blocks(lattice, entered), _ALLOWANCE)])
    return cells


def _blocks_missed(cells: Blocks, resolution: int) -> Indices:
    """Low corners (3, K) of blocks of two cells per axis that lack a cell beyond a face that changes sign."""
    negative, known, missed = cells.corners < 0, np.sort(_keys(cells.low, resolution)), []
    for axis, end in itertools.product(range(3), range(2)):
        face = negative[CORNERS[:, axis] == end]
        next_to = cells.low[:, face.any(0) & ~face.all(0)]
        next_to[axis] += 2 * end - 1
        missed.append(next_to[:, ~np.isin(_keys(next_to, resolution), known)] // 2)
    return 2 * np.unique(np.concatenate(missed, axis=1), axis=1)


def _keys(low: Indices, resolution: int) -> Indices:
    """One number (N,) for each index triple (3, N)."""
    return np.asarray((low[0] * (resolution + 1) + low[1]) * (resolution + 1) + low[2])


def _unknown_blocks(lattice: SampledLattice, low: Indices) -> Blocks:
    """Blocks of two cells per axis (3, N) of which only the place is known."""
    corners = lattice.values((low[:, None] + 2 * CORNERS.T[:, :, None]).reshape(3, -1)).reshape(8, -1)
    return Blocks(low, corners, np.full(low.shape[1], np.inf, dtype=corners.dtype))


def _changes_sign(corners: NDArray[Any], bend: NDArray[Any]) -> NDArray[np.bool_]:
    negative = corners < 0
    return np.asarray(negative.any(0) & ~negative.all(0))


def _may_hold_surface(reach: float, allowance: float | None = _ALLOWANCE) -> Keep:
    """Predicate of blocks that change sign, or in which neither slope nor bend of the field excludes the surface.

    Slope: let the field change by at most `reach` = L h over a side h. If f(p) = 0 inside the block then
    |f(c)| <= L |p - c| at every corner c. The farthest corner is at most sqrt(3) sides away, and the mean distance to
    the eight corners, convex in p, is largest at a corner.

    Bend: inside a block f leaves its trilinear interpolation by at most D / 8, D the sum over the axes of |f''| h^2.
    At a crease it may leave it by D / 2, D then the second differences of its values: f = |x - s|, zero between the
    vertices 0 and h, has D = 2 (h - s) with the vertex -h, and the smaller value is at most D / 2. `allowance` D is
    allowed, three quarters; the coarsest blocks go by slope alone: a truncated field may hide a thin part in them.
    """

    def keep(corners: NDArray[Any], bend: NDArray[Any]) -> NDArray[np.bool_]:
        size = np.abs(corners)
        near = (size.mean(0) <= _MEAN_REACH * reach) & (size.max(0) <= 3.0**0.5 * reach)
        if allowance is not None:
            near &= size.min(0) <= allowance * bend
        return near | _changes_sign(corners, bend)

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
