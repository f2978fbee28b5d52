"""A sum of B-spline levels in few bytes: what is added to a prior, and is kept beside its code."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Array, Indices
from ..core.field import SDF
from .bspline import Level, cell_key, distinct, grown
from .levels import COARSEST, FINEST, parent_places, refinement
from .spline_field import SplineField

PRECISION = 3e-4
"""Largest error of a kept coefficient, unit frame; the field's error is at most that of each of its levels together."""
_HEAD, _LEVEL = struct.Struct("<II"), struct.Struct("<IfI")


@dataclass(frozen=True, eq=False)
class Correction:
    """A field that is added to another one in the unit frame, as the bytes that a space file keeps.

    Coefficients are whole multiples of a step and those below it are left out, so the field read from the bytes is the
    same on every machine. B-splines sum to one, so rounding moves no value by more than it moves a coefficient.

    One that stands `alone` takes the place of the other field: data may leave nothing of a prior to be corrected.

    Attributes:
        packed: what `docs/format.md` describes under "Corrections".
    """

    packed: bytes
    smooth: ClassVar[bool] = True

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return len(self.packed)

    @cached_property
    def _read(self) -> tuple[bool, list[_Kept]]:
        return _unpacked(self.packed)

    @property
    def alone(self) -> bool:
        """Whether it is the whole field, and not what is added to another.

        Raises:
            ValueError: the bytes are damaged.
        """
        return self._read[0]

    @cached_property
    def field(self) -> SplineField:
        """The levels, ready to be read.

        Raises:
            ValueError: the bytes are damaged.
        """
        levels, values = _rebuilt(self._read[1])
        totals: list[Array] = []
        for level, own in zip(levels, values, strict=True):
            total = level.parents @ totals[-1] if totals else np.zeros(len(level.places))
            total[level.own] += own
            totals.append(total)
        return SplineField(levels, totals)

    def __call__(self, points: Tensor) -> Tensor:
        """What is added at points (N, 3) of the unit frame, (N,); outside the cube as at its nearest point.

        If it stands alone, its distances, which outside the cube grow as `SplineField` says.
        """
        return self.field(points) if self.alone else self.field.inside(points)

    @staticmethod
    def of(field: SplineField, precision: float = PRECISION, alone: bool = False) -> Correction:
        """Keep a field.

        Args:
            field: its levels and totals.
            precision: how much a coefficient may be off, unit frame; larger takes fewer bytes.
            alone: it is to be the whole field.

        Raises:
            ValueError: a precision that is not positive, or a field that is not finite.
        """
        if not precision > 0:
            raise ValueError(f"the precision of a correction must be positive, got {precision}")
        kept: list[_Kept] = []
        before = np.zeros(0)
        for number, (level, total) in enumerate(zip(field.levels, field.totals, strict=True)):
            if not np.isfinite(total).all():
                raise ValueError("a correction that is not finite cannot be kept")
            # A finer level makes good what a coarser one rounds, so coarse levels, which are small, are rounded less.
            step = float(np.float32(2 * precision / (1 if number == len(field.levels) - 1 else 4)))
            before = level.parents @ before if number else np.zeros(len(total))
            numbers = np.rint((total - before)[level.own] / step).astype(np.int64)
            before[level.own] += numbers * step
            there = np.flatnonzero(numbers)
            keys = cell_key(level.places[level.own[there]], level.cells + 2)
            kept.append(_Kept(level.cells, step, keys, numbers[there]))
        while len(kept) > 1 and not len(kept[-1].keys):
            kept.pop()
        return Correction(_packed(kept, alone))


class Corrected:
    """A prior plus what is added to it, as smooth as the prior; or a correction that stands alone."""

    def __init__(self, prior: SDF, correction: SDF):
        self.prior, self.correction = prior, correction
        self.alone: bool = getattr(correction, "alone", False)
        self.smooth: bool = self.alone or getattr(prior, "smooth", True)

    def __call__(self, points: Tensor) -> Tensor:
        value = self.correction(points)
        return value if self.alone else self.prior(points) + value


class _Kept(NamedTuple):
    """One level: cells an axis, what a step is worth, sorted places that are not zero (K,), their steps (K,)."""

    cells: int
    step: float
    keys: NDArray[np.int64]
    numbers: NDArray[np.int64]


def _packed(levels: Sequence[_Kept], alone: bool) -> bytes:
    """The bytes of levels: gaps between places, and numbers of steps as 0, -1, 1, -2 ... -> 0, 1, 2, 3 ..."""
    parts = [_HEAD.pack(int(alone), len(levels))]
    parts += [_LEVEL.pack(level.cells, level.step, len(level.keys)) for level in levels]
    for level in levels:
        folded = np.where(level.numbers < 0, -2 * level.numbers - 1, 2 * level.numbers)
        parts += [_planes(np.diff(level.keys, prepend=0)), _planes(folded)]
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    return packer.compress(b"".join(parts)) + packer.flush()


def _unpacked(packed: bytes) -> tuple[bool, list[_Kept]]:
    try:
        raw = zlib.decompress(packed)
        alone, count = _HEAD.unpack_from(raw)
        heads = [_LEVEL.unpack_from(raw, _HEAD.size + _LEVEL.size * number) for number in range(count)]
        start, levels = _HEAD.size + _LEVEL.size * count, []
        for cells, step, length in heads:
            columns = np.frombuffer(raw, np.uint8, 8 * length, start).reshape(2, 4, length)
            gaps, folded = (np.ascontiguousarray(part.T).view("<u4")[:, 0].astype(np.int64) for part in columns)
            levels.append(_Kept(cells, step, np.cumsum(gaps), (folded >> 1) ^ -(folded & 1)))
            start += 8 * length
        sound = start == len(raw) and count > 0 and alone in (0, 1) and all(_sound(level) for level in levels)
    except (zlib.error, struct.error, ValueError, IndexError) as error:
        raise ValueError("the bytes of a correction are damaged") from error
    if not sound or any(fine.cells != 2 * coarse.cells for coarse, fine in pairwise(levels)):
        raise ValueError("the bytes of a correction are damaged")
    return bool(alone), levels


def _sound(level: _Kept) -> bool:
    inside = bool((np.diff(level.keys) > 0).all()) and level.keys.max(initial=0) < (level.cells + 2) ** 3
    return inside and COARSEST <= level.cells <= FINEST and 0 < level.step < np.inf


def _planes(numbers: NDArray[np.int64]) -> bytes:
    """Lowest bytes of all numbers (K,), then the second ones, and so on."""
    return numbers.astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()


def _rebuilt(kept: Sequence[_Kept]) -> tuple[list[Level], list[Array]]:
    """Levels and their own coefficients; where a finer level needs a coarse function that was zero, it is added."""
    owned: list[Indices] = []
    needed = np.zeros((0, 3), dtype=np.int64)
    for level in reversed(kept[1:]):
        size = level.cells + 2
        own = distinct(np.concatenate([_places(level.keys, size), needed]), size)
        owned.insert(0, own)
        needed = parent_places(grown(own, 2, size), level.cells // 2 + 2)
    levels, values = [_whole(kept[0].cells)], []
    for level, own in zip(kept[1:], owned, strict=True):
        size = level.cells + 2
        places = grown(own, 2, size)
        rows = np.flatnonzero(np.isin(cell_key(places, size), cell_key(own, size), assume_unique=True))
        levels.append(Level(level.cells, places, rows, refinement(levels[-1], places)))
    for level, source in zip(levels, kept, strict=True):
        own = np.zeros(len(level.own))
        own[np.searchsorted(cell_key(level.places[level.own], level.cells + 2), source.keys)] = (
            source.numbers * source.step
        )
        values.append(own)
    return levels, values


def _whole(cells: int) -> Level:
    count = (cells + 2) ** 3
    return Level(cells, _places(np.arange(count), cells + 2), np.arange(count), None)


def _places(keys: NDArray[np.int64], size: int) -> Indices:
    return np.stack(np.unravel_index(keys, (size,) * 3), 1)
