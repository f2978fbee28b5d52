"""Frames of a space file: scales and centres in the precision that they need, and the rotations that turn anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from ..core.frame import Frame
from .byte_column import Piece

NEEDED = 1e-6
"""Change of a scale, or of a centre over the scale, by single precision, up to which that is enough."""


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Values of some of S rows.

    Attributes:
        rows: (K,) rising.
        values: (K, ...) float64.
    """

    rows: Indices
    values: Array

    def __getitem__(self, row: int) -> Array | None:
        """The value (...) of a row; None where it has none."""
        at = int(np.searchsorted(self.rows, row))
        return self.values[at] if at < len(self.rows) and self.rows[at] == row else None

    def check(self, count: int, item: tuple[int, ...]) -> None:
        """ValueError unless the rows are rising, of so many, with values (K, ...) of a shape."""
        if self.values.shape != (len(self.rows), *item):
            raise ValueError(f"{len(self.rows)} rows of frames have values of shape {self.values.shape}")
        if len(self.rows) and (self.rows[-1] >= count or (np.diff(self.rows.astype(np.int64)) <= 0).any()):
            raise ValueError(f"the rows of parts of {count} frames do not rise")

    @staticmethod
    def joined(columns: Sequence[SparseRows], counts: Sequence[int], pieces: Sequence[Piece]) -> SparseRows:
        """Rows of several columns of given lengths as one."""
        rows, values, start = [], [], 0
        for number, part in pieces:
            column, (first, last, _) = columns[number], part.indices(counts[number])
            inside = slice(*np.searchsorted(column.rows, (first, last)))
            rows.append(column.rows[inside].astype(np.int64) - first + start)
            values.append(column.values[inside])
            start += last - first
        return SparseRows(np.concatenate(rows), np.concatenate(values))


@dataclass(frozen=True, eq=False)
class FrameColumn:
    """Frames of S rows.

    Attributes:
        scales: (S,) float32.
        centers: (S, 3) float32.
        exact: scale and centre (4,) of the rows that need double precision.
        rotations: (3, 3) of the rows whose rotation is not the identity.

    Raises:
        ValueError: the columns do not belong together.
    """

    scales: NDArray[np.float32]
    centers: NDArray[np.float32]
    exact: SparseRows
    rotations: SparseRows

    def __post_init__(self) -> None:
        if self.centers.shape != (len(self.scales), 3):
            raise ValueError(f"{len(self.scales)} frames have centers of shape {self.centers.shape}")
        self.exact.check(len(self), (4,))
        self.rotations.check(len(self), (3, 3))

    @staticmethod
    def of(frames: Sequence[Frame]) -> FrameColumn:
        """The column of frames."""
        rotations = np.array([frame.rotation for frame in frames], dtype=np.float64).reshape(-1, 3, 3)
        scales = np.array([frame.scale for frame in frames], dtype=np.float64)
        centers = np.array([frame.center for frame in frames], dtype=np.float64).reshape(-1, 3)
        return FrameColumn.of_arrays(scales, centers, rotations)

    @staticmethod
    def of_arrays(scales: Array, centers: Array, rotations: Array) -> FrameColumn:
        """The column of scales (S,), centres (S, 3) and rotations (S, 3, 3) in double precision."""
        whole = np.column_stack([scales, centers])
        with np.errstate(over="ignore"):
            single = whole.astype(np.float32)
            change = np.abs(single.astype(np.float64) - whole)
        exact = np.flatnonzero(~(change <= NEEDED * whole[:, :1]).all(1))
        turned = np.flatnonzero((rotations != np.eye(3)).any((1, 2)))
        values = SparseRows(exact, whole[exact]), SparseRows(turned, rotations[turned].astype(np.float64))
        return FrameColumn(np.ascontiguousarray(single[:, 0]), np.ascontiguousarray(single[:, 1:]), *values)

    @staticmethod
    def joined(columns: Sequence[FrameColumn], pieces: Sequence[Piece]) -> FrameColumn:
        """Rows of several columns as one."""
        if not pieces:
            return FrameColumn.of(())
        counts = [len(column) for column in columns]
        return FrameColumn(
            np.concatenate([columns[number].scales[rows] for number, rows in pieces]),
            np.concatenate([columns[number].centers[rows] for number, rows in pieces]),
            SparseRows.joined([column.exact for column in columns], counts, pieces),
            SparseRows.joined([column.rotations for column in columns], counts, pieces),
        )

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]]) -> FrameColumn:
        """The column of the arrays (S, ...) of a file."""
        none, empty = np.zeros(0, dtype=np.int64), FrameColumn.of(())
        exact = SparseRows(arrays.get("frame_row", none), arrays.get("frame", empty.exact.values))
        turned = SparseRows(arrays.get("rotation_row", none), arrays.get("rotation", empty.rotations.values))
        return FrameColumn(arrays["scale"], arrays["center"], exact, turned)

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays (S, ...) of a file."""
        out: dict[str, NDArray[Any]] = {"scale": self.scales, "center": self.centers}
        for key, part in (("frame", self.exact), ("rotation", self.rotations)):
            if len(part.rows):
                out |= {f"{key}_row": part.rows.astype(np.uint32), key: part.values}
        return out

    def __len__(self) -> int:
        return len(self.scales)

    def __getitem__(self, row: int) -> Frame:
        """A frame; ValueError where it is not valid."""
        rotation, whole = self.rotations[row], self.exact[row]
        if whole is None:
            whole = np.array([self.scales[row], *self.centers[row]], dtype=np.float64)
        return Frame(np.eye(3) if rotation is None else rotation, float(whole[0]), whole[1:])
