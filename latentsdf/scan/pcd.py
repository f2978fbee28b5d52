"""Point clouds in the PCD format of the Point Cloud Library, version 0.7: ascii, binary and binary_compressed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .point_table import PointTable, named_columns

_TYPES = {"F": {4: "<f4", 8: "<f8"}, "U": {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"}}
_TYPES["I"] = {1: "i1", 2: "<i2", 4: "<i4", 8: "<i8"}
_STANDING = ("0", "0", "0", "1", "0", "0", "0")
"""Viewpoint of a file that knows none."""


class _Header(NamedTuple):
    dtype: np.dtype
    points: int
    data: str
    viewpoint: tuple[str, ...]


def read_pcd(path: Path) -> PointTable:
    """Read the points of a PCD file, with `normal_x y z` and `rgb` or `rgba` where it has them.

    The viewpoint of the header is named in a note and not applied, since programs differ in what they mean by it.

    Raises:
        ValueError: a damaged header or body, or no x, y and z.
    """
    with path.open("rb") as file:
        header = _read_header(file)
        body = file.read()
    if header.data == "ascii":
        table = _ascii_table(body, header)
    elif header.data == "binary":
        table = _binary_table(body, header)
    elif header.data == "binary_compressed":
        table = _compressed_table(body, header)
    else:
        raise ValueError(f"DATA {header.data} is none of ascii, binary, binary_compressed")
    found = _points(table)
    if header.viewpoint and tuple(f"{float(word):g}" for word in header.viewpoint) != _STANDING:
        place = " ".join(header.viewpoint[:3])
        note = (
            f"{path.name} states the viewpoint {place}; if the points are in its frame's world, give it as the sensor"
        )
        found = found._replace(notes=(note,))
    return found


def _read_header(file) -> _Header:
    entries: dict[str, list[str]] = {}
    while "DATA" not in entries:
        line = file.readline(4096)
        if not line:
            raise ValueError("its header has no DATA line")
        words = line.decode("ascii", errors="replace").split()
        if words and not words[0].startswith("#"):
            entries[words[0].upper()] = words[1:]
    names = entries.get("FIELDS") or entries.get("COLUMNS") or []
    sizes, kinds = entries.get("SIZE", []), entries.get("TYPE", [])
    counts = entries.get("COUNT", ["1"] * len(names))
    if not names or not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError("FIELDS, SIZE, TYPE and COUNT of its header do not have as many words")
    fields = []
    for number, (name, size, kind, count) in enumerate(zip(names, sizes, kinds, counts, strict=True)):
        unique = name if name != "_" and name not in names[:number] else f"_{number}"
        if int(size) not in _TYPES.get(kind, {}):
            raise ValueError(f"field {name}: TYPE {kind} SIZE {size} is unknown")
        code = _TYPES[kind][int(size)]
        fields.append((unique, code) if int(count) == 1 else (unique, code, (int(count),)))
    sizes = [int(entries.get(name, ["1"])[0]) for name in ("WIDTH", "HEIGHT")]
    points = int(entries["POINTS"][0]) if "POINTS" in entries else sizes[0] * sizes[1]
    if points < 0:
        raise ValueError(f"it states {points} points")
    return _Header(np.dtype(fields), points, " ".join(entries["DATA"]), tuple(entries.get("VIEWPOINT", ())))


def _ascii_table(body: bytes, header: _Header) -> NDArray[Any]:
    rows = [line.split() for line in body.decode("ascii").splitlines() if line.strip()][: header.points]
    table, column = np.zeros(len(rows), header.dtype), 0
    widths = {len(row) for row in rows}
    for name in header.dtype.names or ():
        shape = header.dtype[name].shape
        count = shape[0] if shape else 1
        kind = header.dtype[name].base
        if widths and min(widths) < column + count:
            raise ValueError(f"a row has {min(widths)} numbers, too few for its FIELDS")
        words = [row[column : column + count] for row in rows]
        # Large integers do not pass through a float unharmed.
        values = np.array(words, dtype=object if kind.kind in "ui" else np.float64)
        if kind.kind in "ui":
            values = np.array([[int(float(word)) for word in row] for row in words], dtype=np.int64).reshape(-1, count)
        table[name] = values.astype(kind) if shape else values.astype(kind)[:, 0]
        column += count
    return table


def _binary_table(body: bytes, header: _Header) -> NDArray[Any]:
    size = header.points * header.dtype.itemsize
    if len(body) < size:
        raise ValueError(f"it ends after {len(body):,} of {size:,} bytes")
    return np.frombuffer(body, header.dtype, header.points)


def _compressed_table(body: bytes, header: _Header) -> NDArray[Any]:
    """Fields one after the other, compressed together."""
    if len(body) < 8:
        raise ValueError("it ends before its compressed points")
    packed, size = struct.unpack("<II", body[:8])
    if len(body) < 8 + packed or size < header.points * header.dtype.itemsize:
        raise ValueError(f"it ends after {len(body) - 8:,} of {packed:,} compressed bytes")
    flat, start = lzf_decompressed(body[8 : 8 + packed], size), 0
    table = np.zeros(header.points, header.dtype)
    for name in header.dtype.names or ():
        kind = header.dtype[name]
        table[name] = np.frombuffer(flat, kind, header.points, start)
        start += header.points * kind.itemsize
    return table


def lzf_decompressed(packed: bytes, size: int) -> bytes:
    """Decompress the LZF format (Lehmann's liblzf): literal runs, and copies from up to 8 KiB before.

    Args:
        packed: compressed bytes.
        size: of the result.

    Raises:
        ValueError: damaged.
    """
    out, at, end = bytearray(), 0, len(packed)
    while at < end:
        control = packed[at]
        at += 1
        if control < 32:
            out += packed[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7 and at < end:
            length += packed[at]
            at += 1
        if at >= end:
            raise ValueError("its compressed points are damaged")
        start = len(out) - ((control & 31) << 8) - packed[at] - 1
        at += 1
        length += 2
        if start < 0:
            raise ValueError("its compressed points are damaged")
        piece = out[start : start + length]
        while len(piece) < length:  # the copy runs into what it writes
            piece += piece[: length - len(piece)]
        out += piece
    if len(out) != size:
        raise ValueError(f"its compressed points are damaged: {len(out):,} bytes in place of {size:,}")
    return bytes(out)


def _points(table: NDArray[Any]) -> PointTable:
    names = list(table.dtype.names or ())
    packed = next((name for name in ("rgb", "rgba") if name in names), None)
    found = named_columns(names, lambda name: table[name])
    if packed is None:
        return found
    bits = np.ascontiguousarray(table[packed])
    # Colours are packed in four bytes, which older files declare to be a float.
    number = bits.view("<u4") if bits.dtype.itemsize == 4 else bits.astype(np.uint32)
    colors = np.stack([number >> 16 & 255, number >> 8 & 255, number & 255], axis=1).astype(np.uint8)
    return found._replace(colors=colors)
