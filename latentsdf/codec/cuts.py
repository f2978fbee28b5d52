"""Boxes that are cut out of a decoded field, or filled in, as the few bytes that a space file stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array
from ..core.field import SDF

KIND = 3
"""First byte of the stream of cuts."""
STEPS = 255
"""Steps of a coordinate over the cube [-1, 1]^3."""
MOST = 32
"""Most boxes of a stream, so that bytes that are damaged cannot make a field slow."""
_BOX = 6


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
class Cuts:
    """The set operations f' = min(max(f, -b_1, ..., -b_k), b_(k + 1), ...) with distances b to boxes, unit frame.

    They leave out pieces of a decoded field that the true shape lacks, and close holes in its inside.

    Attributes:
        packed: bytes in the layout of `docs/format.md`, "Cuts".
    """

    packed: bytes
    smooth: ClassVar[bool] = False

    @staticmethod
    def of(cut: Sequence[Array], filled: Sequence[Array] = ()) -> Cuts:
        """Pack boxes (2, 3) of low and high corners in the unit frame; each grows to whole steps.

        Raises:
            ValueError: no box, more than `MOST`, or one that is empty.
        """
        boxes = np.asarray([*cut, *filled], dtype=np.float64).reshape(-1, 2, 3)
        if not 1 <= len(boxes) <= MOST:
            raise ValueError(f"cuts are 1 to {MOST} boxes, got {len(boxes)}")
        if not (boxes[:, 0] < boxes[:, 1]).all():
            raise ValueError("a box of cuts must have its low corner below its high one")
        steps = (boxes.clip(-1.0, 1.0) + 1.0) * (STEPS / 2.0)
        steps[:, 0], steps[:, 1] = np.floor(steps[:, 0]), np.ceil(steps[:, 1])
        return Cuts(bytes([KIND, len(cut)]) + steps.astype(np.uint8).tobytes())

    @property
    def nbytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.packed)

    @cached_property
    def boxes(self) -> Boxes:
        """The stored boxes.

        Raises:
            ValueError: the bytes are damaged.
        """
        count, rest = divmod(len(self.packed) - 2, _BOX)
        if rest or not 1 <= count <= MOST or self.packed[0] != KIND or self.packed[1] > count:
            raise ValueError("the bytes of cuts are damaged")
        steps = np.frombuffer(self.packed, np.uint8, offset=2).reshape(count, 2, 3).astype(np.float64)
        corners = steps * (2.0 / STEPS) - 1.0
        return Boxes(corners[:, 0], corners[:, 1], self.packed[1])

    def on(self, prior: SDF) -> SDF:
        """The field of a prior (unit frame) with these boxes cut out and filled in."""
        return CutField(prior, self)


class CutField:
    """A prior with boxes cut out of it and filled in: a bound of the distance, exact at the surface."""

    smooth: ClassVar[bool] = False

    def __init__(self, prior: SDF, cuts: Cuts):
        self.prior, self.cuts = prior, cuts

    def __call__(self, points: Tensor) -> Tensor:
        values, boxes = self.prior(points), self.cuts.boxes
        for row, (low, high) in enumerate(zip(boxes.low, boxes.high, strict=True)):
            distances = _box_distances(points, points.new_tensor(low), points.new_tensor(high))
            values = torch.maximum(values, -distances) if row < boxes.cut else torch.minimum(values, distances)
        return values


def _box_distances(points: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Signed distances (N,) of points (N, 3) to a box, negative inside."""
    beyond = torch.maximum(low - points, points - high)
    return beyond.clamp_min(0.0).norm(dim=-1) + beyond.amax(dim=-1).clamp_max(0.0)
