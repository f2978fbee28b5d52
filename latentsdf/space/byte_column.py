"""Column of byte strings: all of them one after the other, and where each ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.arrays import Indices

Bytes = NDArray[np.uint8]
Piece = tuple[int, slice]
"""A column, by its place among several, and a run of its rows."""


@dataclass(frozen=True, eq=False)
class ByteColumn:
    """Byte strings of S rows.

    Attributes:
        data: (B,) uint8, those of all rows.
        ends: (S,) of each row in `data`.
    """

    data: Bytes
    ends: Indices

    @staticmethod
    def of(items: Iterable[bytes]) -> ByteColumn:
        """The column of byte strings."""
        items = list(items)
        return ByteColumn.of_lengths(np.frombuffer(b"".join(items), np.uint8), [len(item) for item in items])

    @staticmethod
    def of_lengths(data: Bytes, lengths: ArrayLike) -> ByteColumn:
        """The column of strings of given lengths (S,).

        Raises:
            ValueError: they take more or fewer bytes than there are.
        """
        ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
        if (int(ends[-1]) if len(ends) else 0) != len(data):
            raise ValueError(f"strings take {len(data)} bytes, their lengths say {int(ends[-1]) if len(ends) else 0}")
        return ByteColumn(data, ends)

    @staticmethod
    def joined(columns: Sequence[ByteColumn], pieces: Sequence[Piece]) -> ByteColumn:
        """Rows of several columns as one."""
        parts = [columns[number]._rows(rows) for number, rows in pieces]
        if not parts:
            return ByteColumn.of(())
        lengths = np.concatenate([part.lengths for part in parts])
        return ByteColumn.of_lengths(np.concatenate([part.data for part in parts]), lengths)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> Indices:
        """Bytes of each row, (S,)."""
        return np.diff(self.ends, prepend=0)

    def __getitem__(self, row: int) -> bytes:
        start = int(self.ends[row - 1]) if row else 0
        return self.data[start : int(self.ends[row])].tobytes()

    def items(self, rows: slice) -> list[bytes]:
        """Byte strings of a run of rows."""
        part = self._rows(rows)
        data, ends = part.data.tobytes(), part.ends.tolist()
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _rows(self, rows: slice) -> ByteColumn:
        first, last, _ = rows.indices(len(self))
        start, end = (int(self.ends[at - 1]) if at else 0 for at in (first, max(first, last)))
        return ByteColumn(self.data[start:end], self.ends[first:last] - start)
