"""Integer coefficients on nested lattices as binary decisions: significance by blocks, then signs and magnitudes.

Levels are coded from coarse to fine. A level's nodes are split into blocks of 4^3 nodes, and blocks into groups of 4^3
blocks; a decision says for each group, each block of a group that is not empty, and each node of such a block whether
anything in it is not zero. Models are chosen by what is coded before: neighbours of the same level, and the level above
(embedded zero trees, Shapiro 1993, with the contexts of EZBC, Hsiang and Woods 2000). One function walks the decisions
in both directions, so that encoder and decoder cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.arrays import Indices
from .range_coder import BinaryCoder

BLOCK = 4
"""Nodes an axis of a block, and blocks an axis of a group."""
LEVELS = 4
"""Levels that have models of their own."""
GREATEST = 1 << 12
"""Magnitudes are below this."""
_NEAR, _PARENT, _AROUND = 6, 3, 4
_UNARY, _SIZES = 14, 6
GROUP = 0
FLAG = GROUP + LEVELS * _PARENT
NODE = FLAG + LEVELS * _AROUND * _PARENT
SIGN = NODE + LEVELS * _NEAR * _PARENT
SIZE = SIGN + LEVELS * 3
MODELS = SIZE + LEVELS * 2 * _SIZES
"""Number of models; those of each kind start at the constants before it."""
FLAGGED = 3 * BLOCK
"""Lattices of more nodes an axis have flags of blocks."""
_NEAR_CLASS = (0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4) + (5,) * 60
"""Class of a node by its coded neighbours that are not zero: two for one across a face, one for any other."""


def code_coefficients(
    coder: BinaryCoder, sizes: Sequence[int], values: Sequence[Indices] | None = None
) -> list[Indices]:
    """Code the coefficients of all levels.

    Args:
        coder: an encoder or a decoder.
        sizes: nodes an axis of each level, coarse to fine.
        values: (R, R, R) integers of each level, magnitudes below `GREATEST`; None where the coder is a decoder.

    Returns:
        (R, R, R) int64 of each level.

    Raises:
        ValueError: a decoder meets the end of its stream, or a magnitude out of range.
    """
    coded: list[Indices] = []
    for level, size in enumerate(sizes):
        parent = parent_classes(coded[-1], size) if coded else np.zeros((size,) * 3, dtype=np.int64)
        given = None if values is None else np.asarray(values[level], dtype=np.int64)
        coded.append(_LevelCoder(coder, level, parent, given).run())
    return coded


def parent_classes(coarse: Indices, size: int) -> Indices:
    """Class (R, R, R) of each node by the nodes of the level above (M, M, M) beside it: 0, 1 to 2, more not zero."""
    active = (coarse != 0).astype(np.int64)
    low = np.arange(size) // 2
    high = (np.arange(size) + 1) // 2
    for axis in range(3):
        one = np.take(active, low, axis)
        active = one + np.where(_along(low != high, axis), np.take(active, high, axis), one * 0)
    return np.minimum(active, 3) - (active > 1)


def block_maximum(values: Indices) -> Indices:
    """Largest value (B, B, B) in each block of `BLOCK`^3 nodes of (R, R, R); the last blocks may be smaller."""
    for axis in range(3):
        values = np.maximum.reduceat(values, np.arange(0, values.shape[axis], BLOCK), axis)
    return values


def near_classes(near: Indices) -> Indices:
    """Class (...) of each node by the score (...) of its neighbours, as `_LevelCoder` has it."""
    return np.asarray(_NEAR_CLASS)[np.minimum(near, len(_NEAR_CLASS) - 1)]


def flag_model(level: int, beside: Any, parent: Any) -> Any:
    """Models of the flags of blocks with `beside` coded blocks around them that are not empty; broadcasts."""
    return FLAG + (level * _AROUND + np.minimum(beside, _AROUND - 1)) * _PARENT + parent


def node_model(level: int, near: Any, parent: Any) -> Any:
    """Models of the significance of nodes of classes `near` and `parent`; broadcasts."""
    return NODE + (level * _NEAR + near) * _PARENT + parent


def size_model(level: int, crowded: bool, count: int) -> int:
    """Model of the decision whether a magnitude is above `count`; crowded nodes have many neighbours."""
    return SIZE + (2 * level + crowded) * _SIZES + min(count, _SIZES) - 1


def _along(flags: np.ndarray, axis: int) -> np.ndarray:
    return flags.reshape([-1 if axis == k else 1 for k in range(3)])


class _LevelCoder:
    """Walk of the decisions of one level; `parent` (R, R, R) are classes by the level above."""

    def __init__(self, coder: BinaryCoder, level: int, parent: Indices, values: Indices | None):
        self.coder, self.level = coder, level
        self.size = len(parent)
        self.parent = parent
        self.values = values
        self.padded = self.size + 2
        steps = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) != (0, 0, 0)]
        flat = [(i * self.padded + j) * self.padded + k for i, j, k in steps]
        self.faces = [place for place, step in zip(flat, steps, strict=True) if sum(map(abs, step)) == 1]
        self.others = [place for place, step in zip(flat, steps, strict=True) if sum(map(abs, step)) > 1]

    def run(self) -> Indices:
        """The coefficients (R, R, R)."""
        size, count = self.size, self.padded**3
        self.near, self.signs = [0] * count, [0] * count
        found = np.zeros((size,) * 3, dtype=np.int64)
        blocks = -(-size // BLOCK)
        grouped = blocks > BLOCK + 1
        own = None if self.values is None else block_maximum(np.abs(self.values))
        above = block_maximum(self.parent)
        groups = -(-blocks // BLOCK) if grouped else 1
        span = BLOCK if grouped else blocks
        group_above = block_maximum(above) if grouped else above.max(keepdims=True)
        group_own = None if own is None else block_maximum(own) if grouped else own.max(keepdims=True)
        around = np.zeros((blocks + 2,) * 3, dtype=np.int64)
        for group in np.ndindex(groups, groups, groups):
            model = GROUP + self.level * _PARENT + int(group_above[group])
            if not self.coder.bit(model, int(group_own is not None and group_own[group] > 0)):
                continue
            ranges = [range(span * g, min(span * (g + 1), blocks)) for g in group]
            for i in ranges[0]:
                for j in ranges[1]:
                    for k in ranges[2]:
                        self._code_block((i, j, k), found, own, above, around)
        return found

    def _code_block(
        self,
        block: tuple[int, int, int],
        found: Indices,
        own: Indices | None,
        above: Indices,
        around: Indices,
    ) -> None:
        i, j, k = block
        if self.size > FLAGGED:
            beside = int(around[i : i + 3, j : j + 3, k : k + 3].sum())
            model = int(flag_model(self.level, beside, above[block]))
            if not self.coder.bit(model, int(own is not None and own[block] > 0)):
                return
            around[i + 1, j + 1, k + 1] = 1
        nodes = [range(BLOCK * b, min(BLOCK * (b + 1), self.size)) for b in block]
        for x in nodes[0]:
            for y in nodes[1]:
                for z in nodes[2]:
                    value = 0 if self.values is None else int(self.values[x, y, z])
                    found[x, y, z] = self._code_node(value, int(self.parent[x, y, z]), x, y, z)

    def _code_node(self, value: int, parent: int, x: int, y: int, z: int) -> int:
        coder, level = self.coder, self.level
        place = ((x + 1) * self.padded + y + 1) * self.padded + z + 1
        near = _NEAR_CLASS[self.near[place]]
        if not coder.bit(node_model(level, near, parent), int(value != 0)):
            return 0
        beside = self.signs[place]
        negative = coder.bit(SIGN + level * 3 + (beside > 0) - (beside < 0) + 1, int(value < 0))
        size = _code_size(coder, size_model(level, near > 2, 1), abs(value))
        sign = -1 if negative else 1
        for step in self.faces:
            self.near[place + step] += 2
            self.signs[place + step] += sign
        for step in self.others:
            self.near[place + step] += 1
        return sign * size


def _code_size(coder: BinaryCoder, first: int, size: int) -> int:
    """Code a magnitude from 1: in unary up to `_UNARY`, the rest in Elias gamma code."""
    for count in range(1, _UNARY + 1):
        if not coder.bit(first + min(count, _SIZES) - 1, int(size > count)):
            return count
    rest, length = size - _UNARY, 0
    while coder.even(int(rest >> (length + 1) != 0)):
        length += 1
        if 1 << length >= GREATEST:
            raise ValueError("a coefficient of a residual is out of range; the stream is damaged")
    found = 1
    for place in range(length - 1, -1, -1):
        found = found << 1 | coder.even(rest >> place & 1)
    return found + _UNARY
