"""The lattices of one field: one over the whole cube, finer ones in a band around the points."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..core.arrays import Array, Indices
from .bspline import Level, Sparse, cell_key, distinct, grown

COARSEST = 8
"""Cells an axis of the first level."""
FINEST = 1024
"""The most cells an axis."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Levels of one field, coarsest first.

    Attributes:
        levels: those that hold unknowns: one over the whole cube, then the bands.
        coarse: lattices over the whole cube that are coarser still; their functions lie in the span of the first
            level and only help the iteration along.
    """

    levels: tuple[Level, ...]
    coarse: tuple[Level, ...]

    def upto(self, count: int) -> Stack:
        """The stack of the first `count` levels."""
        return Stack(self.levels[:count], self.coarse)


def build_stack(points: Array, resolution: int, dense: int, halo: int) -> Stack:
    """Lattices for points: one over the whole cube, finer ones in a band around the points.

    Args:
        points: (N, 3) in the cube [-1, 1]^3, unit frame.
        resolution: cells an axis of the finest level, 8 times a power of two.
        dense: the finest lattice of at most so many cells an axis covers the cube.
        halo: functions of a band lie at most so many cells from a cell with a point; at least 1.

    Raises:
        ValueError: a resolution that is not 8 times a power of two, or too large; a halo below 1.
    """
    steps = round(np.log2(max(resolution, 1) / COARSEST))
    if resolution != COARSEST * 2 ** max(steps, 0) or resolution > FINEST:
        raise ValueError(
            f"the resolution must be {COARSEST} times a power of two, at most {FINEST}, got {resolution}; "
            "take 64, 128 or 256"
        )
    if halo < 1:
        raise ValueError(f"halo must be at least 1, got {halo}")
    levels: list[Level] = []
    full = 0
    for cells in (COARSEST * 2**step for step in range(steps + 1)):
        size = cells + 2
        if cells <= max(dense, COARSEST):
            places = np.stack(np.unravel_index(np.arange(size**3), (size,) * 3), 1)
            own = np.arange(len(places))
            full += 1
        else:
            occupied = np.clip(np.floor((points + 1.0) * (cells / 2)).astype(np.int64), 0, cells - 1) + 1
            band = grown(distinct(occupied, size), halo, size)
            places = grown(band, 2, size)
            own = np.flatnonzero(np.isin(cell_key(places, size), cell_key(band, size), assume_unique=True))
        levels.append(Level(cells, places, own, refinement(levels[-1], places) if levels else None))
    return Stack(tuple(levels[full - 1 :]), tuple(levels[: full - 1]))


def refinement(coarse: Level, places: Indices) -> Sparse:
    """Weights (E, E of the coarse level) by which coarse functions are sums of fine ones: 3/4 and 1/4 on each axis."""
    near, far = _parents(places)
    columns = np.empty((len(places), 8), dtype=np.int32)
    values = np.empty(8)
    for corner, choice in enumerate(itertools.product((0, 1), repeat=3)):
        columns[:, corner] = coarse.find(np.where(choice, far, near))
        values[corner] = np.prod(np.where(choice, 0.25, 0.75))
    if columns.size and columns.min() < 0:
        raise AssertionError("a fine band reaches beyond the coarser one")
    pointer = np.arange(0, 8 * len(places) + 1, 8)
    return sparse.csr_array(
        (np.tile(values, len(places)), columns.reshape(-1), pointer), shape=(len(places), len(coarse.places))
    )


def parent_places(places: Indices, size: int) -> Indices:
    """All places of the coarser lattice, `size` an axis, whose functions are refined into those at places (E, 3)."""
    near, far = _parents(places)
    return distinct(
        np.concatenate([np.where(choice, far, near) for choice in itertools.product((0, 1), repeat=3)]), size
    )


def _parents(places: Indices) -> tuple[Indices, Indices]:
    """On each axis the coarse place that counts three quarters, and the one that counts a quarter, (E, 3) each."""
    function = places - 1
    near = function >> 1
    return near + 1, near + np.where(function & 1, 1, -1) + 1
