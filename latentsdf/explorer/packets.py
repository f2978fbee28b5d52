"""Binary answers of the server: a JSON header and arrays behind each other, read in the browser without copying."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 4
_NAMES = {"float32": "<f4", "uint32": "<u4", "uint16": "<u2", "uint8": "u1", "int8": "i1", "int16": "<i2"}


def pack_packet(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Pack a header and arrays: the length of the JSON text (uint32), the text, then each array on 4 bytes.

    Args:
        header: plain JSON values.
        arrays: by name, each (...) of float32, uint32, uint16, int16, uint8 or int8. The header gains `arrays`, with
            the dtype, the shape and the offset behind the text of each.

    Raises:
        ValueError: an array of another dtype.
    """
    parts, places, offset = [], {}, 0
    for name, array in arrays.items():
        if array.dtype.name not in _NAMES:
            raise ValueError(f"a packet holds no array of {array.dtype.name} ({name!r}); use {', '.join(_NAMES)}")
        data = np.ascontiguousarray(array, dtype=_NAMES[array.dtype.name]).tobytes()
        places[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": offset}
        parts.append(_padded(data))
        offset += len(parts[-1])
    text = _padded(json.dumps({**header, "arrays": places}, allow_nan=False).encode(), b" ")
    return len(text).to_bytes(4, "little") + text + b"".join(parts)


def unpack_packet(packet: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a packet, each of the shape (...) that it states."""
    start = 4 + int.from_bytes(packet[:4], "little")
    header = json.loads(packet[4:start])
    arrays = {}
    for name, place in header.pop("arrays").items():
        count = int(np.prod(place["shape"]))
        flat = np.frombuffer(packet, _NAMES[place["dtype"]], count, start + place["offset"])
        arrays[name] = flat.reshape(place["shape"])
    return header, arrays


def _padded(data: bytes, filler: bytes = b"\0") -> bytes:
    return data + filler * (-len(data) % _ALIGNMENT)
