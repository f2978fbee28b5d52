"""Stack of lattices of one field: one over the whole cube, finer ones in a band around the points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..core.arrays import Array, Indices
from .bspline import Level, Sparse, cell_key, dilate, nodes_from_keys, unique_nodes

COARSEST = 8
"""Cells an axis of the first level."""
FINEST = 1024
"""The most cells an axis."""
HALO = 1
"""Cells that a band reaches beyond each cell with a point; more bridge wider gaps at full detail, at a higher cost."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Levels of one field, coarsest first.

    Attributes:
        levels: with unknowns: one over the whole cube, then the bands.
        coarse: coarser lattices over the whole cube, for the preconditioner alone; their functions lie in the span of
            the first level.
    """

    levels: tuple[Level, ...]
    coarse: tuple[Level, ...]

    def upto(self, count: int) -> Stack:
        """The stack of the first `count` levels."""
        return Stack(self.levels[:count], self.coarse)


def build_stack(points: Array, resolution: int, dense: int, halo: int = HALO) -> Stack:
    """Build the lattices for points.

    Args:
        points: (N, 3) in the cube [-1, 1]^3, unit frame.
        resolution: cells an axis of the finest level, 8 times a power of two.
        dense: the finest lattice of at most this many cells an axis covers the cube.
        halo: largest distance in cells from a function of a band to a cell with a point; at least 1.

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
            nodes = nodes_from_keys(np.arange(size**3), size)
            own = np.arange(len(nodes))
            full += 1
        else:
            occupied = np.clip(np.floor((points + 1.0) * (cells / 2)).astype(np.int64), 0, cells - 1) + 1
            band = dilate(unique_nodes(occupied, size), halo, size)
            nodes = dilate(band, 2, size)
            own = np.flatnonzero(np.isin(cell_key(nodes, size), cell_key(band, size), assume_unique=True))
        levels.append(Level(cells, nodes, own, prolongation_matrix(levels[-1], nodes) if levels else None))
    return Stack(tuple(levels[full - 1 :]), tuple(levels[: full - 1]))


def accumulate_totals(levels: Sequence[Level], own: Sequence[Array]) -> list[Array]:
    """Total coefficients (E,) of each level from the own ones (K,) of each: t = prolongation t_coarser + own."""
    totals: list[Array] = []
    for level, coefficients in zip(levels, own, strict=True):
        total = level.prolongation @ totals[-1] if totals else np.zeros(len(level.nodes))
        total[level.own] += coefficients
        totals.append(total)
    return totals


def prolongation_matrix(coarse: Level, nodes: Indices) -> Sparse:
    """Weights (E, E of the coarse level) of fine functions in coarse ones: 3/4 and 1/4 on each axis."""
    near, far = _parents(nodes)
    columns = np.empty((len(nodes), 8), dtype=np.int32)
    values = np.empty(8)
    for corner, choice in enumerate(itertools.product((0, 1), repeat=3)):
        columns[:, corner] = coarse.node_index(np.where(choice, far, near))
        values[corner] = np.prod(np.where(choice, 0.25, 0.75))
    if columns.size and columns.min() < 0:
        raise AssertionError("a fine band reaches beyond the coarser one")
    pointer = np.arange(0, 8 * len(nodes) + 1, 8)
    return sparse.csr_array(
        (np.tile(values, len(nodes)), columns.reshape(-1), pointer), shape=(len(nodes), len(coarse.nodes))
    )


def parent_nodes(nodes: Indices, size: int) -> Indices:
    """Nodes of the coarser lattice, `size` an axis, whose functions contain those of nodes (E, 3)."""
    near, far = _parents(nodes)
    return unique_nodes(
        np.concatenate([np.where(choice, far, near) for choice in itertools.product((0, 1), repeat=3)]), size
    )


def _parents(nodes: Indices) -> tuple[Indices, Indices]:
    """Coarse nodes of weight 3/4 on each axis, and of weight 1/4, (E, 3) each."""
    function = nodes - 1
    near = function >> 1
    return near + 1, near + np.where(function & 1, 1, -1) + 1
