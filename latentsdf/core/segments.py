"""Segments of bytes added at the end of a file, each of which counts from the instant at which it is complete.

A segment is written with the state 0, flushed to the disk, then marked by one byte, and that is flushed too. A process
or machine that stops on the way leaves a segment of state 0, or a part of one: readers take no notice of it, and the
next writer cuts it off. What lay in the file before is never written again.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

MAGIC = b"LSDFrows"
_FIELDS = struct.Struct("<8sBBHQI")
_HEADER_BYTES = _FIELDS.size + 4
_STATE = len(MAGIC)
_COMPLETE = 1


class Tail(NamedTuple):
    """The segments of a file.

    Attributes:
        payloads: of the complete segments, in order.
        end: of the last complete segment in the file.
    """

    payloads: tuple[bytes, ...]
    end: int


def read_tail(handle: int, start: int, newest: int) -> Tail:
    """Read the complete segments of a file.

    Args:
        handle: of the open file.
        start: of the first segment.
        newest: latest version of a segment that the caller reads.

    Raises:
        ValueError: a complete segment is damaged or of a later version, or the bytes are no segments.
    """
    data = memoryview(_read_from(handle, start))
    payloads, at = [], 0
    while len(data) - at >= _HEADER_BYTES:
        magic, state, version, _, length, checksum = _FIELDS.unpack_from(data, at)
        if state != _COMPLETE and all(byte in (0, there) for byte, there in zip(magic, MAGIC, strict=True)):
            break
        header, check = data[at : at + _FIELDS.size], data[at + _FIELDS.size : at + _HEADER_BYTES]
        if magic != MAGIC or zlib.crc32(header) != int.from_bytes(check, "little"):
            raise ValueError(f"the bytes from {start + at} on are no rows that were added; restore it from a copy")
        if version > newest:
            raise ValueError(
                f"added rows are of format version {version}, this latentsdf reads up to {newest}; upgrade"
            )
        payload = bytes(data[at + _HEADER_BYTES : at + _HEADER_BYTES + length])
        if len(payload) != length or zlib.crc32(payload) != checksum:
            raise ValueError(f"the rows added from byte {start + at} on are damaged; restore it from a copy")
        payloads.append(payload)
        at += _HEADER_BYTES + length
    return Tail(tuple(payloads), start + at)


def add_segment(path: str | Path, end: int, payload: bytes, version: int) -> None:
    """Add a segment after the last complete one; the caller holds the lock on writing the file.

    Args:
        path: of the file.
        end: of its last complete segment; what lies behind is cut off.
        payload: of the new segment.
        version: of the format that reads it.

    Raises:
        OSError: the disk refused; what was in the file still is.
    """
    try:
        with open(path, "rb+", buffering=0) as file:
            file.truncate(end)
            try:
                for at, data in ((end, _segment(payload, version)), (end + _STATE, bytes([_COMPLETE]))):
                    file.seek(at)
                    rest = memoryview(data)
                    while len(rest):
                        rest = rest[file.write(rest) :]
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise OSError(
            f"could not write {path}: {error.strerror or error}; the file that was there is unchanged"
        ) from error


def _segment(payload: bytes, version: int) -> bytes:
    """A segment of state 0; the checksum of its header is that of the complete one."""
    complete = _FIELDS.pack(MAGIC, _COMPLETE, version, 0, len(payload), zlib.crc32(payload))
    begun = complete[:_STATE] + b"\0" + complete[_STATE + 1 :]
    return begun + zlib.crc32(complete).to_bytes(4, "little") + payload


def read_at(handle: int, count: int, start: int) -> bytes:
    """Up to so many bytes of an open file from a place on."""
    if hasattr(os, "pread"):
        return os.pread(handle, count, start)
    os.lseek(handle, start, os.SEEK_SET)
    return os.read(handle, count)


def _read_from(handle: int, start: int) -> bytes:
    """All bytes of a file from a place on."""
    parts, size = [], os.fstat(handle).st_size
    while start < size and (part := read_at(handle, size - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)
