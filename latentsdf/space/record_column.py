"""Search records of a space file: compact records as entropy-coded streams, one a shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codec.row_streams import ColumnModel, pack_rows, unpack_rows
from ..mesh.record import RECORD_BYTES
from ..mesh.search_record import DISTINCT_VIEWS, SEARCH_BYTES, SearchRecord, compact_record, view_part
from ..mesh.view_records import NUMBERS
from .byte_column import ByteColumn, Piece
from .record_models import VIEW_EIGHTHS, VIEW_LIMIT, WHOLE_EIGHTHS, WHOLE_LIMIT

_TOGETHER = 1 << 14


@dataclass(frozen=True, eq=False)
class RecordColumn:
    """Search records of S rows.

    Attributes:
        coded: stream of each row, empty where it has none: the number of its views, one byte, then its numbers.
        plain: (S, 704) in place of streams, zeros where a row has none: of a file of an earlier version.
    """

    coded: ByteColumn | None = None
    plain: NDArray[np.int8] | None = None

    @staticmethod
    def of(records: Iterable[SearchRecord | None]) -> RecordColumn:
        """The column of records (704,), which are made compact."""
        none = np.zeros(SEARCH_BYTES, dtype=np.int8)
        compact = [none if record is None or not record.any() else compact_record(record) for record in records]
        streams = [b""] * len(compact)
        views = np.array([_view_count(record) if record.any() else -1 for record in compact], dtype=np.int64)
        for count in np.unique(views[views >= 0]).tolist():
            at = np.flatnonzero(views == count)
            rows = np.stack([compact[row][: RECORD_BYTES + count * NUMBERS].astype(np.int64) for row in at.tolist()])
            for start in range(0, len(at), _TOGETHER):
                part = slice(start, start + _TOGETHER)
                for row, stream in zip(at[part].tolist(), pack_rows(rows[part], _models(count)), strict=True):
                    streams[row] = bytes([count]) + stream
        return RecordColumn(ByteColumn.of(streams))

    @property
    def streams(self) -> ByteColumn:
        """The stream of each row."""
        if self.coded is not None:
            return self.coded
        assert self.plain is not None
        return RecordColumn.of(self.plain).streams

    @staticmethod
    def joined(columns: Sequence[RecordColumn], pieces: Sequence[Piece]) -> RecordColumn:
        """Rows of several columns as one."""
        return RecordColumn(ByteColumn.joined([column.streams for column in columns], pieces))

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]], count: int) -> RecordColumn:
        """The column of the arrays (S,) and (B,) of a file with so many rows."""
        if "record_streams" not in arrays:
            return RecordColumn(ByteColumn(np.zeros(0, np.uint8), np.zeros(count, np.int64)))
        return RecordColumn(ByteColumn.of_lengths(arrays["record_streams"], arrays["record_length"]))

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays (S,) and (B,) of a file."""
        streams = self.streams
        if not len(streams.data):
            return {}
        return {"record_streams": streams.data, "record_length": streams.lengths.astype(np.uint16)}

    def __len__(self) -> int:
        return len(self.plain) if self.plain is not None else len(self.streams)

    def records(self, rows: slice = slice(None), whole: bool = False) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
        """Which of a run of rows have a record, (K,), and all their records (K, 704), zeros where there is none.

        Args:
            rows: the run.
            whole: only the numbers (K, 128) of the whole shapes, which is faster.

        Raises:
            ValueError: a stream is damaged.
        """
        if self.plain is not None:
            part = self.plain[rows]
            return np.asarray(part.any(1)), part[:, :RECORD_BYTES] if whole else part
        first, last, _ = rows.indices(len(self))
        if not len(self.streams.data):
            size = RECORD_BYTES if whole else SEARCH_BYTES
            return np.zeros(last - first, dtype=bool), np.zeros((last - first, size), dtype=np.int8)
        streams = self.streams.items(rows)
        views = np.array([stream[0] if stream else -1 for stream in streams], dtype=np.int64)
        if len(views) and views.max() > DISTINCT_VIEWS:
            raise ValueError(f"the record of row {int(views.argmax())} is damaged: it has {int(views.max())} views")
        out = np.zeros((len(streams), RECORD_BYTES if whole else SEARCH_BYTES), dtype=np.int8)
        for count in np.unique(views[views >= 0]).tolist():
            at, models = np.flatnonzero(views == count), _models(count)
            for start in range(0, len(at), _TOGETHER):
                part = at[start : start + _TOGETHER]
                packed = [streams[row][1:] for row in part.tolist()]
                values = unpack_rows(packed, models, RECORD_BYTES if whole else None)
                out[part, : values.shape[1]] = np.clip(values, -127, 127)
        return views >= 0, out


def _view_count(record: SearchRecord) -> int:
    return int(view_part(record).any(1).sum())


@cache
def _models(views: int) -> list[ColumnModel]:
    """Models of the numbers of a record with so many views."""
    whole = [ColumnModel(eighths, WHOLE_LIMIT) for eighths in WHOLE_EIGHTHS]
    return whole + views * [ColumnModel(eighths, VIEW_LIMIT) for eighths in VIEW_EIGHTHS]
