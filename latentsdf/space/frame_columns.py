"""Frames of a space file: scales and centres in the precision that they need, and the rotations that turn anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices
from ..core.frame import Frame
from .byte_column import Piece

NEEDED = 1e-6
"""Change of a scale, or of a centre over the scale, by single precision, up to which that is enough."""


@dataclass(frozen=True, eq=False)
class FrameColumn:
    """Frames of S rows.

    Attributes:
        scales: (S,) float32 or float64.
        centers: (S, 3) likewise.
        turned: (K,) rows whose rotation is not the identity, rising.
        rotations: (K, 3, 3) float64.

    Raises:
        ValueError: the columns do not belong together.
    """

    scales: NDArray[Any]
    centers: NDArray[Any]
    turned: Indices
    rotations: NDArray[np.float64]

    def __post_init__(self):
        count, turned = len(self.scales), self.turned
        if self.centers.shape != (count, 3) or self.rotations.shape != (len(turned), 3, 3):
            raise ValueError(f"{count} frames with centers {self.centers.shape}, rotations {self.rotations.shape}")
        if len(turned) and (turned[-1] >= count or (np.diff(turned.astype(np.int64)) <= 0).any()):
            raise ValueError("the rows of the rotations of frames do not rise")

    @staticmethod
    def of(frames: Sequence[Frame]) -> FrameColumn:
        """The column of frames."""
        rotations = np.array([frame.rotation for frame in frames], dtype=np.float64).reshape(-1, 3, 3)
        scales = np.array([frame.scale for frame in frames], dtype=np.float64)
        return FrameColumn.of_arrays(scales, np.array([frame.center for frame in frames]).reshape(-1, 3), rotations)

    @staticmethod
    def of_arrays(scales: NDArray[Any], centers: NDArray[Any], rotations: NDArray[Any]) -> FrameColumn:
        """The column of scales (S,), centres (S, 3) and rotations (S, 3, 3) in double precision."""
        turned = np.flatnonzero((rotations != np.eye(3)).any((1, 2)))
        if _is_enough(scales, scales) and _is_enough(centers, scales):
            scales, centers = scales.astype(np.float32), centers.astype(np.float32)
        return FrameColumn(scales, centers, turned, rotations[turned].astype(np.float64))

    @staticmethod
    def joined(columns: Sequence[FrameColumn], pieces: Sequence[Piece]) -> FrameColumn:
        """Rows of several columns as one."""
        scales, centers, turned, rotations, start = [], [], [], [], 0
        for number, rows in pieces:
            column, (first, last, _) = columns[number], rows.indices(len(columns[number]))
            scales.append(column.scales[rows])
            centers.append(column.centers[rows])
            inside = slice(*np.searchsorted(column.turned, (first, last)))
            turned.append(column.turned[inside].astype(np.int64) - first + start)
            rotations.append(column.rotations[inside])
            start += last - first
        if not scales:
            return FrameColumn.of(())
        return FrameColumn(*(np.concatenate(parts) for parts in (scales, centers, turned, rotations)))

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]]) -> FrameColumn:
        """The column of the arrays (S, ...) of a file."""
        none = np.zeros(0, dtype=np.int64), np.zeros((0, 3, 3))
        turned = arrays.get("rotation_row", none[0]), arrays.get("rotation", none[1])
        return FrameColumn(arrays["scale"], arrays["center"], *turned)

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays (S, ...) of a file."""
        out: dict[str, NDArray[Any]] = {"scale": self.scales, "center": self.centers}
        if len(self.turned):
            out |= {"rotation_row": self.turned.astype(np.uint32), "rotation": self.rotations}
        return out

    def __len__(self) -> int:
        return len(self.scales)

    def __getitem__(self, row: int) -> Frame:
        """A frame; ValueError where it is not valid."""
        at = int(np.searchsorted(self.turned, row))
        turned = at < len(self.turned) and self.turned[at] == row
        rotation = self.rotations[at] if turned else np.eye(3)
        return Frame(rotation, float(self.scales[row]), self.centers[row].astype(np.float64))


def _is_enough(rows: NDArray[Any], scales: NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        change = np.abs(rows.astype(np.float32).astype(np.float64) - rows)
    return bool((change <= NEEDED * scales.reshape(-1, *[1] * (rows.ndim - 1))).all())
