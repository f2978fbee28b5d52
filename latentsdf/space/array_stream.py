"""Named arrays as one byte string: what rows added to a space file are stored as."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1 << 32
"""Bytes of a stream, inflated, above which it counts as damaged."""
_LENGTH = struct.Struct("<I")
_KINDS = ("|u1", "|i1", "<u2", "<u4", "<f4", "<f8")


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Pack arrays (...) of the numbers that space files hold, by their names."""
    data = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in data.items()}
    head = json.dumps([[name, array.dtype.str, array.shape] for name, array in data.items()]).encode()
    return zlib.compress(_LENGTH.pack(len(head)) + head + b"".join(array.tobytes() for array in data.values()), 6)


def unpack_arrays(packed: bytes) -> dict[str, NDArray[Any]]:
    """The arrays (...) that `pack_arrays` packed, by their names.

    Raises:
        ValueError: the stream is damaged.
    """
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, LARGEST)
        (length,) = _LENGTH.unpack_from(data)
        at, out = _LENGTH.size + length, {}
        for name, kind, shape in json.loads(data[_LENGTH.size : at]):
            if kind not in _KINDS or any(size < 0 for size in shape):
                raise ValueError(f"an array of {kind} and shape {shape}")
            count = math.prod(shape)
            out[name] = np.frombuffer(data, kind, count, at).reshape(shape)
            at += out[name].nbytes
    except (zlib.error, struct.error, TypeError, ValueError) as error:
        raise ValueError(f"added rows are damaged: {error}") from error
    if not inflate.eof or at != len(data):
        raise ValueError("added rows are damaged: they end elsewhere")
    return out
