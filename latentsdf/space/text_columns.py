"""Names and metadata in a space file: one text a shape, or compressed blocks of many."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

BLOCK = 4096
"""Texts of one block."""
LARGEST_BLOCK = 1 << 28
"""Bytes of a block, inflated, above which it counts as damaged."""
_TEXT = h5py.string_dtype("utf-8")
_BYTES = h5py.vlen_dtype(np.uint8)
_BLOCKS = {"name": "name_blocks", "info": "info_blocks"}


def create_texts(group: Any, compact: bool) -> None:
    """Create the columns of texts, empty; compact ones are in blocks."""
    for key, blocks in _BLOCKS.items():
        if compact:
            group.create_dataset(blocks, (0,), _BYTES, maxshape=(None,), chunks=(16,))
        else:
            group.create_dataset(key, (0,), _TEXT, maxshape=(None,), chunks=(64,))


def read_texts(group: Any, key: str) -> list[str]:
    """All texts of a column, `name` or `info`.

    Raises:
        ValueError: a block is damaged.
    """
    if key in group:
        return [text.decode() for text in group[key][:]]
    return [text for block in group[_BLOCKS[key]][:] for text in _unpack(block.tobytes())]


def write_texts(group: Any, key: str, start: int, texts: Sequence[str]) -> None:
    """Write texts to the rows from `start` on, which may begin or go on at the end of the column."""
    if key in group:
        if start + len(texts) > len(group[key]):
            group[key].resize(start + len(texts), axis=0)
        if texts:
            group[key][start : start + len(texts)] = list(texts)
        return
    column, texts = group[_BLOCKS[key]], list(texts)
    while texts:
        block, place = divmod(start, BLOCK)
        if block == len(column):
            column.resize(block + 1, axis=0)
        packed = column[block].tobytes()
        kept = _unpack(packed) if packed else []
        here, texts = texts[: BLOCK - place], texts[BLOCK - place :]
        kept[place : place + len(here)] = here
        column[block] = np.frombuffer(zlib.compress(json.dumps(kept, ensure_ascii=False).encode(), 9), np.uint8)
        start += len(here)


def text_bytes(group: Any) -> int:
    """Bytes of names and metadata as stored."""
    return sum(len(item) for key in _BLOCKS for item in group[key if key in group else _BLOCKS[key]][:])


def _unpack(packed: bytes) -> list[str]:
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, LARGEST_BLOCK)
        texts = json.loads(data.decode())
    except (zlib.error, ValueError) as error:
        raise ValueError(f"a block of texts is damaged: {error}") from error
    if (
        not inflate.eof
        or not isinstance(texts, list)
        or len(texts) > BLOCK
        or not all(isinstance(t, str) for t in texts)
    ):
        raise ValueError("a block of texts is damaged: it holds something else")
    return texts
