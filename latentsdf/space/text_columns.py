"""Names and metadata in space files of versions 1 to 6: one text a shape, or compressed blocks of many."""

from __future__ import annotations

from typing import Any

from .text_blocks import unpack_texts

_BLOCKS = {"name": "name_blocks", "info": "info_blocks"}


def read_texts(group: Any, key: str) -> list[str]:
    """All texts of a column, `name` or `info`.

    Raises:
        ValueError: a block is damaged.
    """
    if key in group:
        return [text.decode() for text in group[key][:]]
    return [text for block in group[_BLOCKS[key]][:] for text in unpack_texts(block.tobytes())]


def text_bytes(group: Any) -> int:
    """Bytes of names and metadata as stored."""
    return sum(len(item) for key in _BLOCKS for item in group[key if key in group else _BLOCKS[key]][:])
