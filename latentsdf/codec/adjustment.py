"""A level, and boxes that are cut out of a decoded field or filled in, as the few bytes that a space file stores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array
from ..core.field import SDF

KIND = 3
"""First byte of the stream of an adjustment."""
LEVEL = 2.0**-14
"""Step of levels, unit frame."""
LARGEST_LEVEL = 255 * LEVEL
"""Largest level, unit frame."""
STEPS = 255
"""Steps of a coordinate over the cube [-1, 1]^3."""
MOST = 32
"""Most boxes of a stream, so that bytes that are damaged cannot make a field slow."""
_HEAD, _BOX = 3, 6
_OCTAVE = 16
"""Steps of the smallest piece that is kept, for each halving of its share of the area."""


class Boxes(NamedTuple):
    """Boxes along the axes of the unit frame.

    Attributes:
        low, high: (K, 3) corners, multiples of 2 / `STEPS` from -1 on.
        cut: number of boxes that are cut out; those behind them are filled in.
    """

    low: Array
    high: Array
    cut: int


@dataclass(frozen=True, eq=False)
class Adjustment:
    """f' = min(max(f - c, -b_1, ..., -b_k), b_(k + 1), ...) with a level c and distances b to boxes, unit frame.

    The level thickens walls that a decoder makes too thin to enclose anything; boxes leave out pieces that the true
    shape lacks, and close holes in its inside. Beside the field, it says how small a piece of the surface may be to be
    kept in a mesh.

    Attributes:
        packed: bytes in the layout of `docs/format.md`, "Adjustments".
    """

    packed: bytes

    @staticmethod
    def of(
        level: float, cut: Sequence[Array] = (), filled: Sequence[Array] = (), least_piece: float = 0.0
    ) -> Adjustment:
        """Pack a level, and boxes (2, 3) of low and high corners in the unit frame; each grows to whole steps.

        Args:
            level: unit frame.
            cut, filled: boxes.
            least_piece: share of the surface's area, 0 or from 2^-16 to under 1.

        Raises:
            ValueError: a level that is negative or above 255 `LEVEL`, more than `MOST` boxes, or one that is empty, a
                share of 1 or more, or negative.
        """
        if not 0 <= least_piece < 1:
            raise ValueError(f"the least piece must be a share from 0 to under 1, got {least_piece:g}")
        boxes = np.asarray([*cut, *filled], dtype=np.float64).reshape(-1, 2, 3)
        if len(boxes) > MOST:
            raise ValueError(f"an adjustment has at most {MOST} boxes, got {len(boxes)}")
        if not (boxes[:, 0] < boxes[:, 1]).all():
            raise ValueError("a box of an adjustment must have its low corner below its high one")
        number = round(level / LEVEL)
        if not 0 <= number <= round(LARGEST_LEVEL / LEVEL):
            raise ValueError(f"the level of an adjustment must lie from 0 to {LARGEST_LEVEL:.4f}, got {level:g}")
        steps = (boxes.clip(-1.0, 1.0) + 1.0) * (STEPS / 2.0)
        steps[:, 0], steps[:, 1] = np.floor(steps[:, 0]), np.ceil(steps[:, 1])
        packed = bytes([KIND, number, len(cut)]) + steps.astype(np.uint8).tobytes()
        if least_piece > 0:
            packed += bytes([min(max(round(-_OCTAVE * math.log2(least_piece)), 1), 255)])
        return Adjustment(packed)

    @property
    def nbytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.packed)

    @property
    def level(self) -> float:
        """The level, unit frame.

        Raises:
            ValueError: the bytes are damaged.
        """
        if len(self.packed) < _HEAD or self.packed[0] != KIND:
            raise ValueError("the bytes of an adjustment are damaged")
        return self.packed[1] * LEVEL

    @cached_property
    def boxes(self) -> Boxes:
        """The stored boxes.

        Raises:
            ValueError: the bytes are damaged.
        """
        count, rest = divmod(len(self.packed) - _HEAD, _BOX)
        if rest > 1 or not 0 <= count <= MOST or self.packed[0] != KIND or self.packed[2] > count:
            raise ValueError("the bytes of an adjustment are damaged")
        steps = np.frombuffer(self.packed, np.uint8, count * _BOX, offset=_HEAD).reshape(count, 2, 3).astype(np.float64)
        corners = steps * (2.0 / STEPS) - 1.0
        return Boxes(corners[:, 0], corners[:, 1], self.packed[2])

    @property
    def least_piece(self) -> float:
        """Share of the surface's area below which meshes leave a connected piece out; 0 keeps all of them."""
        has = (len(self.packed) - _HEAD) % _BOX == 1 and self.packed[-1] > 0
        return 2.0 ** (-self.packed[-1] / _OCTAVE) if has else 0.0

    @property
    def smooth(self) -> bool:
        """Whether an adjusted field has second derivatives where the field has them: without boxes."""
        return len(self.packed) < _HEAD + _BOX

    def on(self, prior: SDF) -> SDF:
        """The field of a prior (unit frame), adjusted."""
        return AdjustedField(prior, self)


class AdjustedField:
    """A prior less a level, with boxes cut out of it and filled in: a bound of the distance, exact at the surface."""

    def __init__(self, prior: SDF, adjustment: Adjustment):
        self.prior, self.adjustment = prior, adjustment

    @property
    def smooth(self) -> bool:
        """Whether it has second derivatives."""
        return self.adjustment.smooth and getattr(self.prior, "smooth", False)

    def __call__(self, points: Tensor) -> Tensor:
        boxes, values = self.adjustment.boxes, self.prior(points) - self.adjustment.level
        for row, (low, high) in enumerate(zip(boxes.low, boxes.high, strict=True)):
            distances = _box_distances(points, points.new_tensor(low), points.new_tensor(high))
            values = torch.maximum(values, -distances) if row < boxes.cut else torch.minimum(values, distances)
        return values


def _box_distances(points: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Signed distances (N,) of points (N, 3) to a box, negative inside."""
    beyond = torch.maximum(low - points, points - high)
    return beyond.clamp_min(0.0).norm(dim=-1) + beyond.amax(dim=-1).clamp_max(0.0)
