"""Column of texts in compressed blocks: any text is read by opening one block."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

from .byte_column import ByteColumn, Piece

BLOCK = 1024
"""Texts of one block; the last may hold fewer."""
LARGEST_BLOCK = 1 << 28
"""Bytes of a block, inflated, above which it counts as damaged."""
_KEPT = 64
_LEVEL = 6


class TextBlocks:
    """Texts of S rows, in blocks of `BLOCK`.

    Args:
        blocks: zlib streams of JSON lists of texts; all but the last are full.
        count: S.

    Raises:
        ValueError: there are more or fewer blocks than S texts fill.
    """

    def __init__(self, blocks: ByteColumn, count: int):
        if len(blocks) != -(-count // BLOCK):
            raise ValueError(f"{count} texts lie in {len(blocks)} blocks of {BLOCK}")
        self.blocks, self._count = blocks, count
        self._block = lru_cache(_KEPT)(self._read_block)

    @staticmethod
    def of(texts: Sequence[str]) -> TextBlocks:
        """The column of texts."""
        starts = range(0, len(texts), BLOCK)
        return TextBlocks(ByteColumn.of(_pack(texts[at : at + BLOCK]) for at in starts), len(texts))

    @staticmethod
    def joined(columns: Sequence[TextBlocks], pieces: Sequence[Piece]) -> TextBlocks:
        """Rows of several columns as one; blocks that stay whole are not opened."""
        out, waiting, count = [], [], 0
        for number, rows in pieces:
            column, (at, end, _) = columns[number], rows.indices(len(columns[number]))
            count += end - at
            while at < end:
                step = min(end - at, BLOCK - at % BLOCK)
                if not waiting and step == BLOCK:
                    out.append(column.blocks[at // BLOCK])
                else:
                    waiting += column._block(at // BLOCK)[at % BLOCK : at % BLOCK + step]
                at += step
                while len(waiting) >= BLOCK:
                    out.append(_pack(waiting[:BLOCK]))
                    del waiting[:BLOCK]
        if waiting:
            out.append(_pack(waiting))
        return TextBlocks(ByteColumn.of(out), count)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> str:
        """A text; ValueError where its block is damaged."""
        return self._block(row // BLOCK)[row % BLOCK]

    def __iter__(self) -> Iterator[str]:
        for block in range(len(self.blocks)):
            yield from self._read_block(block)

    def _read_block(self, number: int) -> list[str]:
        texts = unpack_texts(self.blocks[number])
        if len(texts) != min(BLOCK, self._count - number * BLOCK):
            raise ValueError("a block of texts is damaged: it holds more or fewer")
        return texts


def unpack_texts(packed: bytes) -> list[str]:
    """Texts of a block; ValueError where it is damaged."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, LARGEST_BLOCK)
        texts = json.loads(data.decode())
    except (zlib.error, ValueError) as error:
        raise ValueError(f"a block of texts is damaged: {error}") from error
    if not inflate.eof or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a block of texts is damaged: it holds something else")
    return texts


def _pack(texts: Sequence[str]) -> bytes:
    return zlib.compress(json.dumps(list(texts), ensure_ascii=False).encode(), _LEVEL)
