"""Bytes of the rows of space files of versions 1 to 6, read without PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arrays import Indices
from .text_columns import text_bytes

_FRAMES = ("rotation", "scale", "center")


def earlier_corrections(shapes: Any) -> tuple[Indices, Indices]:
    """Bytes of each correction (K,), and its first byte."""
    packed = [item for item in shapes["correction"][:] if len(item)] if "correction" in shapes else []
    lengths, kinds = [len(item) for item in packed], [int(item[0]) for item in packed]
    return np.array(lengths, dtype=np.int64), np.array(kinds, dtype=np.int64)


def earlier_sizes(shapes: Any) -> dict[str, int]:
    """Bytes of a code, of all records, frames and texts."""
    return {
        "code": _code_bytes(shapes),
        "records": shapes["record"].id.get_storage_size() if "record" in shapes else 0,
        "frames": sum(shapes[key].id.get_storage_size() for key in _FRAMES),
        "texts": text_bytes(shapes),
    }


def _code_bytes(shapes: Any) -> int:
    if "code_steps" in shapes:
        count, length = len(shapes["code_length"]), shapes["code_length"].dtype.itemsize
        return -(-shapes["code_streams"].nbytes // max(1, count)) + length
    code = shapes["code"]
    step = shapes["code_step"].dtype.itemsize if "code_step" in shapes else 0
    return code.shape[1] * code.dtype.itemsize + step
