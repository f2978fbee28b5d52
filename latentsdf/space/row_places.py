"""Places of the rows of a space: in the columns that were written as a whole, or in those added since."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from .byte_column import Piece


class RowPlaces:
    """Places of S rows in several parts, of which later ones replace rows of earlier ones or come after them.

    Args:
        count: rows of the first part.
        added: of each further part, the rows (K,) of the space that it holds.

    Raises:
        ValueError: a part leaves rows of the space out.
    """

    def __init__(self, count: int, added: Iterable[ArrayLike] = ()):
        self._first = self._count = count
        self._part = self._row = np.zeros(0, dtype=np.int64)
        self._added = [np.asarray(rows, dtype=np.int64) for rows in added]
        for rows in self._added:
            fresh = np.unique(rows[rows >= self._count])
            if len(fresh) and fresh[-1] != self._count + len(fresh) - 1:
                raise ValueError(f"row {fresh[-1]} was added, but only {len(fresh)} after the first {self._count}")
            self._count += len(fresh)
        if self._added:
            self._part, self._row = np.zeros(self._count, dtype=np.int64), np.arange(self._count)
            for part, rows in enumerate(self._added, 1):
                self._part[rows], self._row[rows] = part, np.arange(len(rows))

    def and_rows(self, rows: ArrayLike) -> RowPlaces:
        """The places with one part more, of which the rows (K,) of the space are given; ValueError as for all parts."""
        return RowPlaces(self._first, [*self._added, rows])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> tuple[int, int]:
        """The part of a row of the space, and its row there."""
        return (int(self._part[row]), int(self._row[row])) if len(self._part) else (0, row)

    def pieces(self) -> list[Piece]:
        """Runs of rows that lie together, in the order of the space."""
        if not len(self._part):
            return [(0, slice(0, self._count))] if self._count else []
        breaks = np.flatnonzero((np.diff(self._part) != 0) | (np.diff(self._row) != 1)) + 1
        starts = np.concatenate([[0], breaks])
        lengths = np.diff(np.append(starts, self._count))
        firsts = self._row[starts]
        places = zip(self._part[starts].tolist(), firsts.tolist(), (firsts + lengths).tolist(), strict=True)
        return [(part, slice(first, last)) for part, first, last in places]
