"""Quantised, compressed B-spline correction of a prior, stored beside its code."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from ..core.arrays import Array, Indices
from ..core.field import SDF
from .bspline import Level, cell_key, dilate, nodes_from_keys, unique_nodes
from .levels import COARSEST, FINEST, accumulate_totals, parent_nodes, prolongation_matrix
from .spline_field import SplineField

PRECISION = 3e-4
"""Largest error of a stored coefficient, unit frame; the field's is at most the sum over its levels."""
_HEAD, _LEVEL = struct.Struct("<II"), struct.Struct("<IfI")


@dataclass(frozen=True, eq=False)
class Correction:
    """A field that is added to a prior in the unit frame, as the bytes that a space file stores.

    Coefficients are whole multiples of a step and zeros are left out, so the field decoded from the bytes is the same
    on every machine. B-splines sum to one, so rounding changes no value by more than it changes a coefficient.

    One that stands `alone` replaces the prior, where data refute all of it.

    Attributes:
        packed: bytes in the layout of `docs/format.md`, "Corrections".
    """

    packed: bytes
    smooth: ClassVar[bool] = True

    @property
    def nbytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.packed)

    @cached_property
    def _contents(self) -> tuple[bool, list[_QuantisedLevel]]:
        return _unpack(self.packed)

    @property
    def alone(self) -> bool:
        """Whether it is the whole field, and not added to a prior.

        Raises:
            ValueError: the bytes are damaged.
        """
        return self._contents[0]

    @cached_property
    def field(self) -> SplineField:
        """The decoded levels.

        Raises:
            ValueError: the bytes are damaged.
        """
        levels, own = _rebuild_levels(self._contents[1])
        return SplineField(levels, accumulate_totals(levels, own))

    def __call__(self, points: Tensor) -> Tensor:
        """Correction (N,) at points (N, 3) of the unit frame, outside the cube that at its nearest point.

        If it stands alone: signed distances, outside the cube as those of `SplineField`.
        """
        return self.field(points) if self.alone else self.field.evaluate_clamped(points)

    def on(self, prior: SDF) -> SDF:
        """The field of a prior (unit frame) with this correction."""
        return Corrected(prior, self)

    @staticmethod
    def of(field: SplineField, precision: float = PRECISION, alone: bool = False) -> Correction:
        """Quantise and pack a field.

        Args:
            field: its levels and totals.
            precision: largest error of a coefficient, unit frame; larger takes fewer bytes.
            alone: whether it replaces the prior.

        Raises:
            ValueError: a precision that is not positive, or a field that is not finite.
        """
        if not precision > 0:
            raise ValueError(f"the precision of a correction must be positive, got {precision}")
        levels: list[_QuantisedLevel] = []
        before = np.zeros(0)
        for number, (level, total) in enumerate(zip(field.levels, field.totals, strict=True)):
            if not np.isfinite(total).all():
                raise ValueError("a correction that is not finite cannot be stored")
            # A finer level corrects the rounding of a coarser one, so coarse levels, which are small, are rounded less.
            step = float(np.float32(2 * precision / (1 if number == len(field.levels) - 1 else 4)))
            before = level.prolongation @ before if number else np.zeros(len(total))
            numbers = np.rint((total - before)[level.own] / step).astype(np.int64)
            before[level.own] += numbers * step
            nonzero = np.flatnonzero(numbers)
            keys = cell_key(level.nodes[level.own[nonzero]], level.cells + 2)
            levels.append(_QuantisedLevel(level.cells, step, keys, numbers[nonzero]))
        while len(levels) > 1 and not len(levels[-1].keys):
            levels.pop()
        return Correction(_pack(levels, alone))


class Corrected:
    """A prior plus a correction, as smooth as the prior; or a correction that stands alone."""

    def __init__(self, prior: SDF, correction: SDF):
        self.prior, self.correction = prior, correction
        self.alone: bool = getattr(correction, "alone", False)
        self.smooth: bool = self.alone or getattr(prior, "smooth", True)

    def __call__(self, points: Tensor) -> Tensor:
        value = self.correction(points)
        return value if self.alone else self.prior(points) + value


class _QuantisedLevel(NamedTuple):
    """One level: cells an axis, step, sorted keys (K,) of the non-zero nodes, coefficients (K,) in steps."""

    cells: int
    step: float
    keys: Indices
    numbers: Indices


def _pack(levels: Sequence[_QuantisedLevel], alone: bool) -> bytes:
    """Pack gaps between keys, and coefficients in zigzag code (0, -1, 1, -2 ... -> 0, 1, 2, 3 ...)."""
    parts = [_HEAD.pack(int(alone), len(levels))]
    parts += [_LEVEL.pack(level.cells, level.step, len(level.keys)) for level in levels]
    for level in levels:
        folded = np.where(level.numbers < 0, -2 * level.numbers - 1, 2 * level.numbers)
        parts += [_byte_planes(np.diff(level.keys, prepend=0)), _byte_planes(folded)]
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    return packer.compress(b"".join(parts)) + packer.flush()


def _unpack(packed: bytes) -> tuple[bool, list[_QuantisedLevel]]:
    try:
        raw = zlib.decompress(packed)
        alone, count = _HEAD.unpack_from(raw)
        heads = [_LEVEL.unpack_from(raw, _HEAD.size + _LEVEL.size * number) for number in range(count)]
        start, levels = _HEAD.size + _LEVEL.size * count, []
        for cells, step, length in heads:
            columns = np.frombuffer(raw, np.uint8, 8 * length, start).reshape(2, 4, length)
            gaps, folded = (np.ascontiguousarray(part.T).view("<u4")[:, 0].astype(np.int64) for part in columns)
            levels.append(_QuantisedLevel(cells, step, np.cumsum(gaps), (folded >> 1) ^ -(folded & 1)))
            start += 8 * length
        valid = start == len(raw) and count > 0 and alone in (0, 1) and all(_is_valid(level) for level in levels)
    except (zlib.error, struct.error, ValueError, IndexError) as error:
        raise ValueError("the bytes of a correction are damaged") from error
    if not valid or any(fine.cells != 2 * coarse.cells for coarse, fine in pairwise(levels)):
        raise ValueError("the bytes of a correction are damaged")
    return bool(alone), levels


def _is_valid(level: _QuantisedLevel) -> bool:
    inside = bool((np.diff(level.keys) > 0).all()) and level.keys.max(initial=0) < (level.cells + 2) ** 3
    return inside and COARSEST <= level.cells <= FINEST and 0 < level.step < np.inf


def _byte_planes(numbers: Indices) -> bytes:
    """Lowest bytes of all numbers (K,), then their second bytes, and so on."""
    return numbers.astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()


def _rebuild_levels(quantised: Sequence[_QuantisedLevel]) -> tuple[list[Level], list[Array]]:
    """Levels and their own coefficients; coarse functions that were zero are added where a finer level needs them."""
    owned: list[Indices] = []
    needed = np.zeros((0, 3), dtype=np.int64)
    for level in reversed(quantised[1:]):
        size = level.cells + 2
        own = unique_nodes(np.concatenate([nodes_from_keys(level.keys, size), needed]), size)
        owned.insert(0, own)
        needed = parent_nodes(dilate(own, 2, size), level.cells // 2 + 2)
    levels, values = [_full_level(quantised[0].cells)], []
    for level, own in zip(quantised[1:], owned, strict=True):
        size = level.cells + 2
        nodes = dilate(own, 2, size)
        rows = np.flatnonzero(np.isin(cell_key(nodes, size), cell_key(own, size), assume_unique=True))
        levels.append(Level(level.cells, nodes, rows, prolongation_matrix(levels[-1], nodes)))
    for level, source in zip(levels, quantised, strict=True):
        own = np.zeros(len(level.own))
        own[np.searchsorted(cell_key(level.nodes[level.own], level.cells + 2), source.keys)] = (
            source.numbers * source.step
        )
        values.append(own)
    return levels, values


def _full_level(cells: int) -> Level:
    count = (cells + 2) ** 3
    return Level(cells, nodes_from_keys(np.arange(count), cells + 2), np.arange(count), None)
