"""Prices in bits of coefficients under the starting models, by which coefficients are chosen.

They are those of the coder but for two things: a node's neighbours count by half, since half of them are coded before
it, and models do not adapt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..core.arrays import Array, Indices
from .coefficient_coding import (
    BLOCK,
    FLAGGED,
    block_maximum,
    flag_model,
    near_classes,
    node_model,
    parent_classes,
    size_model,
)
from .range_coder import ONE

Price = Callable[[Indices], Array]
"""Bits (K,) of values (K,) at K nodes of a level."""
_LARGEST = 64
"""Larger magnitudes are priced one bit a unit more."""


class Surroundings(NamedTuple):
    """What the prices of a level take from the level above it: classes of its nodes and of its blocks."""

    level: int
    parent: Indices
    blocks: Indices


class RateModel:
    """Prices of the values of nodes, given the other coefficients.

    Args:
        start: probability of a 0 of each model, of `ONE`.
    """

    def __init__(self, start: Sequence[int]):
        zero = np.asarray(start, dtype=np.float64) / ONE
        self._zero, self._one = -np.log2(zero), -np.log2(1.0 - zero)
        self._sizes = {
            (level, crowded): self._size_prices(level, crowded) for level in range(4) for crowded in (False, True)
        }

    def surroundings(self, levels: Sequence[Indices], level: int) -> Surroundings:
        """What the prices of a level take from the level above it.

        Args:
            levels: (R, R, R) integers of each lattice, coarse to fine.
            level: whose prices are wanted.
        """
        parent = parent_classes(levels[level - 1], len(levels[level])) if level else np.zeros_like(levels[0])
        return Surroundings(level, parent, block_maximum(parent))

    def prices(self, values: Indices, around: Surroundings, nodes: Indices) -> Price:
        """Prices of the values of some nodes of a level.

        Args:
            values: (R, R, R) integers of the level.
            around: its surroundings.
            nodes: (K,) rows of its flattened lattice.
        """
        active = (values != 0).astype(np.int64)
        near = near_classes((_neighbour_scores(active).ravel()[nodes] + 1) // 2)
        models = node_model(around.level, near, around.parent.ravel()[nodes])
        zero, one = self._zero[models], self._one[models] + 1.0
        if len(values) > FLAGGED:
            one = one + self._block_prices(active, around, nodes, zero)
        sizes = np.where((near > 2)[:, None], self._sizes[around.level, True], self._sizes[around.level, False])
        rows = np.arange(len(nodes))

        def price(of: Indices) -> Array:
            size = np.abs(of)
            some = one + sizes[rows, np.minimum(size, _LARGEST)] + np.maximum(size - _LARGEST, 0)
            return np.where(size == 0, zero, some)

        return price

    def _block_prices(self, active: Indices, around: Surroundings, nodes: Indices, zero: Array) -> Array:
        """Bits (K,) that a node costs beyond its own where its block is empty without it: the flag, the other nodes."""
        size = len(active)
        blocks = -(-size // BLOCK)
        padded = np.pad(active, (0, blocks * BLOCK - size))
        counts = padded.reshape(blocks, BLOCK, blocks, BLOCK, blocks, BLOCK).sum((1, 3, 5))
        beside = (_box_sums((counts > 0).astype(np.int64)) - (counts > 0) + 1) // 2
        models = flag_model(around.level, beside, around.blocks)
        place = tuple(part // BLOCK for part in np.unravel_index(nodes, active.shape))
        alone = counts[place] == active.ravel()[nodes]
        return np.where(alone, (self._one[models] - self._zero[models])[place] + BLOCK**3 * zero, 0.0)

    def _size_prices(self, level: int, crowded: bool) -> Array:
        """Bits of magnitudes 0 to `_LARGEST`; 0 is priced elsewhere."""
        models = [size_model(level, crowded, count) for count in range(1, _LARGEST + 1)]
        before = np.concatenate([[0.0], np.cumsum(self._one[models])[:-1]])
        return np.concatenate([[0.0], before + self._zero[models]])


def _box_sums(values: Indices) -> Indices:
    """Sum over the 3^3 nodes around each node, itself included."""
    padded = np.pad(values, 1)
    padded = padded[:-2] + padded[1:-1] + padded[2:]
    padded = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]


def _neighbour_scores(active: Indices) -> Indices:
    """Neighbours of each node that are not zero: two for one across a face, one for any other."""
    padded = np.pad(active, 1)
    faces = padded[2:, 1:-1, 1:-1] + padded[:-2, 1:-1, 1:-1]
    faces += padded[1:-1, 2:, 1:-1] + padded[1:-1, :-2, 1:-1] + padded[1:-1, 1:-1, 2:] + padded[1:-1, 1:-1, :-2]
    return _box_sums(active) - active + faces
