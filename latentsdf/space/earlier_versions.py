"""Rows of space files of versions 1 to 6, whose columns grew by chunks, as the columns of today."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..mesh.search_record import SEARCH_BYTES
from .byte_column import ByteColumn
from .code_columns import CodeColumn, CodeForm
from .frame_columns import FrameColumn
from .record_column import RecordColumn
from .shape_columns import ShapeColumns
from .text_blocks import TextBlocks
from .text_columns import read_texts


def read_earlier_rows(file: Any) -> ShapeColumns:
    """Read the rows of an open file of version 1 to 6.

    Raises:
        KeyError, TypeError, ValueError: damaged.
    """
    group = file["shapes"]
    names, infos = read_texts(group, "name"), read_texts(group, "info")
    for text in infos:
        json.loads(text)
    scales, centers, rotations = (group[key][:].astype(np.float64) for key in ("scale", "center", "rotation"))
    packed = group["correction"][:] if "correction" in group else [b""] * len(names)
    records = group["record"][:] if "record" in group else np.zeros((len(names), SEARCH_BYTES), np.int8)
    if records.shape[1:] != (SEARCH_BYTES,) or records.dtype != np.int8:
        raise TypeError(f"a search record is {SEARCH_BYTES} int8 numbers, not {records.shape[1:]} of {records.dtype}")
    return ShapeColumns(
        TextBlocks.of(names),
        TextBlocks.of(infos),
        _codes(group),
        FrameColumn.of_arrays(scales, centers, rotations),
        ByteColumn.of(bytes(item) for item in packed),
        RecordColumn(plain=records),
    )


def _codes(group: Any) -> CodeColumn:
    shared = {
        key: group[key][()] for key in ("code_unit", "code_steps", "code_deviation", "code_limit") if key in group
    }
    if "code_steps" in shared:
        arrays = {key: group[key][:] for key in ("code_streams", "code_length")}
        return CodeColumn.of_stored(arrays, CodeForm.of_stored(shared))
    arrays = {key: group[key][:] for key in ("code", "code_step") if key in group}
    return CodeColumn.of_stored(arrays, CodeForm.of_stored(shared | arrays))
