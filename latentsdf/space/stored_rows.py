"""Rows of a space file as arrays, read without PyTorch: mapped into memory where they are many."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..core.hdf5 import end_of_hdf5, file_handle
from ..core.segments import read_tail
from .array_stream import pack_arrays, unpack_arrays
from .byte_column import ByteColumn
from .row_places import RowPlaces
from .text_blocks import TextBlocks

Arrays = Mapping[str, NDArray[Any]]
AT_ONCE = 4096
"""Up to so many shapes are read, and all of them checked, when a file is opened; more are mapped, and read and checked
when they are asked for."""
SHARED = ("code_unit", "code_steps", "code_deviation", "code_limit")
"""Arrays that all codes share."""
_COUNT = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class AddedRows:
    """Rows that were added to a file in one write.

    Attributes:
        rows: (K,) of the space: an earlier row is replaced.
        hashes: (K,) of their names, `name_hashes`.
        packed: their columns, see `array_stream`.
    """

    rows: NDArray[np.uint32]
    hashes: NDArray[np.uint32]
    packed: bytes

    @cached_property
    def arrays(self) -> Arrays:
        """Their columns; ValueError where they are damaged."""
        return {**unpack_arrays(self.packed), "name_hash": self.hashes}

    @staticmethod
    def of(rows: Sequence[int], arrays: Arrays) -> AddedRows:
        """Rows with given columns (K, ...)."""
        kept = {name: array for name, array in arrays.items() if name != "name_hash"}
        return AddedRows(np.array(rows, dtype=np.uint32), arrays["name_hash"].astype(np.uint32), pack_arrays(kept))

    @staticmethod
    def of_payload(payload: bytes) -> AddedRows:
        """The rows of a segment; ValueError where it is too short."""
        (count,) = _COUNT.unpack_from(payload) if len(payload) >= _COUNT.size else (1 << 30,)
        start = _COUNT.size + 8 * count
        if len(payload) < start:
            raise ValueError("added rows are damaged: they end early")
        rows, hashes = np.frombuffer(payload, "<u4", 2 * count, _COUNT.size).reshape(2, -1)
        return AddedRows(rows, hashes, payload[start:])

    @property
    def payload(self) -> bytes:
        """The segment of the rows."""
        numbers = np.stack([self.rows, self.hashes]).astype("<u4")
        return _COUNT.pack(len(self.rows)) + numbers.tobytes() + self.packed


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Columns of a space file of version 7 as stored.

    Attributes:
        count: of the rows that were written as a whole.
        base: their columns.
        added: rows that came since.
        start: of the segments in the file.
        end: of the last segment.
    """

    count: int
    base: Arrays
    added: tuple[AddedRows, ...]
    start: int
    end: int

    @staticmethod
    def of_file(file: Any, newest: int) -> StoredRows:
        """Read the rows of an open HDF5 file.

        Raises:
            ValueError: damaged, or of a later version.
        """
        group = file["shapes"]
        count = int(group.attrs["count"])
        with file_handle(file) as handle:
            start = end_of_hdf5(handle)
            tail = read_tail(handle, start, newest)
            base = _mapped(group, handle) if count > AT_ONCE else {key: item[()] for key, item in group.items()}
        added = tuple(AddedRows.of_payload(payload) for payload in tail.payloads)
        return StoredRows(count, base, added, start, tail.end)

    def __len__(self) -> int:
        return max([self.count, *(int(part.rows.max(initial=0)) + 1 for part in self.added)])

    @cached_property
    def places(self) -> RowPlaces:
        """Where each row lies, in the base or in all added rows; ValueError where one is missing."""
        return RowPlaces(self.count, [np.concatenate([part.rows for part in self.added])] if self.added else ())

    def names(self) -> list[str]:
        """All names, in the order of the rows."""
        added = [name for part in self.added for name in texts_of(part.arrays, "name", len(part.rows))]
        parts = [list(self._base_names), added]
        return [name for part, rows in self.places.pieces() for name in parts[part][rows]]

    def rows_of(self, names: Sequence[str]) -> dict[str, int]:
        """Rows of those of some names that the file holds, few texts opened; ValueError where it is damaged."""
        wanted, found = name_hashes(names), {}
        known = set(names)
        for part in self.added:
            for at in _matching(part.hashes, wanted):
                name = texts_of(part.arrays, "name", len(part.rows))[at]
                if name in known:
                    found[name] = int(part.rows[at])
        hashes = self.base["name_hash"]
        if len(hashes) != self.count:
            raise ValueError(f"{self.count} shapes have {len(hashes)} hashes of names")
        at_base = ((self._base_names[row], row) for row in _matching(hashes, wanted))
        return found | {name: row for name, row in at_base if name in known}

    @cached_property
    def _base_names(self) -> TextBlocks:
        return texts_of(self.base, "name", self.count)


def texts_of(arrays: Arrays, key: str, count: int) -> TextBlocks:
    """The column of names (`name`) or metadata (`info`) of so many rows; ValueError where it is damaged."""
    return TextBlocks(ByteColumn.of_lengths(arrays[f"{key}_blocks"], arrays[f"{key}_length"]), count)


def stored_texts(texts: TextBlocks, key: str) -> dict[str, NDArray[Any]]:
    """The arrays (B,) of a file of a column of texts."""
    blocks = texts.blocks
    return {f"{key}_blocks": blocks.data, f"{key}_length": blocks.lengths.astype(np.uint32)}


def name_hashes(names: Sequence[str]) -> NDArray[np.uint32]:
    """CRC-32 of the UTF-8 of names, (K,): by it a name is found among a million."""
    return np.fromiter((crc32(name.encode()) for name in names), np.uint32, len(names))


def _matching(hashes: NDArray[np.uint32], wanted: NDArray[np.uint32]) -> list[int]:
    """Rows whose hash is among those wanted."""
    same = hashes == wanted[0] if len(wanted) == 1 else np.isin(hashes, wanted)
    return np.flatnonzero(same).tolist()


def write_base(file: Any, count: int, arrays: Arrays, shared: Arrays) -> None:
    """Write the columns of rows to an empty HDF5 file."""
    group = file.create_group("shapes")
    group.attrs["count"] = count
    for key, array in {**shared, **arrays}.items():
        group.create_dataset(key, data=array)


def _mapped(group: Any, handle: int) -> Arrays:
    """Columns as parts of the file that is mapped; the map outlives the open file, and its replacement."""
    whole, arrays = mmap.mmap(handle, 0, access=mmap.ACCESS_READ), {}
    for key, item in group.items():
        offset = item.id.get_offset()
        if offset is None:
            arrays[key] = item[()]
        else:
            arrays[key] = np.frombuffer(whole, item.dtype, item.size, offset).reshape(item.shape)
    return arrays


def correction_rows(arrays: Arrays) -> NDArray[Any]:
    """Rows (K,) of the shapes with a correction, of the arrays of a file that has some: all where none are named."""
    return arrays.get("correction_row", np.arange(len(arrays["correction_length"])))
