"""Tables of integers, such as the rounded weights of a decoder, as one byte stream.

Range asymmetric numeral systems (rANS: Duda 2013) with interleaved states (Giesen 2014), and frequencies that adapt to
what was coded: the context of a number is the magnitude expected of it, from those above it in its column and the mean
magnitude of its row. Integer arithmetic alone decides frequencies, so that every machine decodes alike.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from ..core.arrays import Indices

TOTAL_BITS = 14
"""Frequencies of a context's symbols sum to 2^14."""
LOWEST = 1 << 16
"""Least state of a coder between two symbols; it is below 2^32."""
LARGEST = 31
"""Largest magnitude with a symbol of its own; larger numbers are stored beside the stream."""
SYMBOLS = 2 * LARGEST + 2
LANES = 1024
"""Most states side by side."""
NUMBERS_PER_LANE = 1024
_ONE = 1 << 16
_MEMORY = 10
"""Rows over which the magnitude of a column is averaged."""
_COUNT = 24
"""What a symbol adds to the count of its context, which begins at 1."""
_THRESHOLDS = np.array(
    [1550, 3393, 5585, 8192, 11292, 14978, 19362, 24576, 30776, 38149, 46917, 57344, 69744, 84490, 102026, 122880]
    + [147680, 177172, 212244, 253952, 303552, 362536, 432680],
    dtype=np.int64,
)
"""Expected magnitudes (2^(b / 4) - 1) / 8, b = 1 ... 23, times 2^16, that part one context from the next."""
_EIGHTHS = (65536, 71468, 77936, 84990, 92682, 101070, 110218, 120194)
"""2^(j / 8), j = 0 ... 7, times 2^16."""
_LEVEL_OFFSET = 64
_HEADER = struct.Struct("<I")


def pack_table(table: Indices) -> bytes:
    """Code a table of integers (K, F), whose columns keep their magnitude from row to row.

    Raises:
        ValueError: not a table, or a number takes more than two bytes.
    """
    table = np.asarray(table, dtype=np.int64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"a table (K, F) of integers is needed, got an array of shape {table.shape}")
    if np.abs(table).max() > np.iinfo(np.int16).max:
        raise ValueError(f"a number of a table must take two bytes, got {int(np.abs(table).max())}")
    levels = np.array([_level_of(row) for row in table], dtype=np.uint8)
    model, widths, lows = _Model(table.shape[1]), [], []
    for row, level in zip(table, levels.tolist(), strict=True):
        contexts, frequencies = model.next_row(level)
        symbols = np.where(np.abs(row) > LARGEST, SYMBOLS - 1, row + LARGEST)
        starts = np.cumsum(frequencies, axis=1) - frequencies
        widths.append(frequencies[contexts, symbols])
        lows.append(starts[contexts, symbols])
        model.learn(contexts, symbols, np.abs(row))
    count = _lanes(table.size)
    state, words = np.full(count, LOWEST, dtype=np.int64), []
    for width, low in zip(reversed(widths), reversed(lows), strict=True):
        for part in reversed(list(_parts(table.shape[1], count))):
            states, wide = state[: part.stop - part.start], width[part]
            full = states >= wide << (32 - TOTAL_BITS)
            words.append((states[full] & (_ONE - 1))[::-1])
            states = np.where(full, states >> 16, states)
            state[: len(states)] = (states // wide << TOTAL_BITS) + states % wide + low[part]
    stream = np.concatenate(words)[::-1].astype("<u2")
    beyond = table[np.abs(table) > LARGEST].astype("<i2")
    parts = (_HEADER.pack(len(stream)), levels.tobytes(), state.astype("<u4").tobytes(), stream.tobytes())
    return b"".join(parts) + zlib.compress(beyond.tobytes(), 9)


def unpack_table(stream: bytes, shape: tuple[int, int]) -> Indices:
    """The table (K, F) of integers that `pack_table` coded.

    Args:
        stream: its bytes.
        shape: K and F.

    Raises:
        ValueError: the stream is damaged.
    """
    rows, columns = shape
    count = _lanes(rows * columns)
    if len(stream) < _HEADER.size + rows + 4 * count:
        raise ValueError(f"the stream of a table of {rows} x {columns} numbers is damaged: it has {len(stream)} bytes")
    length = _HEADER.unpack_from(stream)[0]
    at = _HEADER.size + rows + 4 * count
    if len(stream) < at + 2 * length:
        raise ValueError(f"the stream of a table is damaged: it has {len(stream)} bytes for {length} words")
    levels = np.frombuffer(stream, np.uint8, rows, _HEADER.size)
    state = np.frombuffer(stream, "<u4", count, _HEADER.size + rows).astype(np.int64)
    words = np.frombuffer(stream, "<u2", length, at).astype(np.int64)
    beyond = _numbers_beyond(stream[at + 2 * length :], rows * columns)
    out, position, used = np.zeros((rows, columns), dtype=np.int64), 0, 0
    model = _Model(columns)
    for row, level in enumerate(levels.tolist()):
        contexts, frequencies = model.next_row(level)
        starts = np.cumsum(frequencies, axis=1) - frequencies
        found = np.repeat(np.tile(np.arange(SYMBOLS), len(frequencies)), frequencies.ravel())
        found = found.reshape(len(frequencies), 1 << TOTAL_BITS)
        symbols = np.empty(columns, dtype=np.int64)
        for part in _parts(columns, count):
            states, context = state[: part.stop - part.start], contexts[part]
            slot = states & ((1 << TOTAL_BITS) - 1)
            symbols[part] = symbol = found[context, slot]
            states = frequencies[context, symbol] * (states >> TOTAL_BITS) + slot - starts[context, symbol]
            low = np.flatnonzero(states < LOWEST)
            if position + len(low) > length:
                raise ValueError("the stream of a table is damaged: it ends early")
            states[low] = (states[low] << 16) | words[position : position + len(low)]
            position += len(low)
            state[: len(states)] = states
        large = np.flatnonzero(symbols == SYMBOLS - 1)
        if used + len(large) > len(beyond):
            raise ValueError("the stream of a table is damaged: large numbers are missing")
        out[row] = symbols - LARGEST
        out[row, large] = beyond[used : used + len(large)]
        used += len(large)
        model.learn(contexts, symbols, np.abs(out[row]))
    if position != length or used != len(beyond) or (state != LOWEST).any():
        raise ValueError("the stream of a table is damaged: its numbers end elsewhere")
    return out


class _Model:
    """Contexts of a row's numbers and frequencies of their symbols, from the rows before."""

    def __init__(self, columns: int):
        self._magnitudes = np.full(columns, _ONE, dtype=np.int64)
        self._counts = np.ones((len(_THRESHOLDS) + 1, SYMBOLS), dtype=np.int64)
        self._counts[:, LARGEST] += 8
        self._rows = 0

    def next_row(self, level: int) -> tuple[Indices, Indices]:
        """Contexts (F,) of the numbers of the next row, and frequencies (contexts, symbols)."""
        mean = max(1, int(self._magnitudes.sum()) // len(self._magnitudes))
        expected = self._magnitudes * _magnitude_of(level) // mean
        totals = self._counts.sum(axis=1, keepdims=True)
        frequencies = 1 + self._counts * ((1 << TOTAL_BITS) - SYMBOLS) // totals
        frequencies[:, LARGEST] += (1 << TOTAL_BITS) - frequencies.sum(axis=1)
        return np.searchsorted(_THRESHOLDS, expected, side="right"), frequencies

    def learn(self, contexts: Indices, symbols: Indices, magnitudes: Indices) -> None:
        """Take a row in: contexts, symbols and magnitudes of its numbers, (F,) each."""
        places = np.bincount(contexts * SYMBOLS + symbols, minlength=self._counts.size)
        self._counts += _COUNT * places.reshape(self._counts.shape)
        self._rows += 1
        self._magnitudes += (magnitudes * _ONE - self._magnitudes) // min(self._rows, _MEMORY)


def _level_of(row: Indices) -> int:
    """Mean magnitude of a row in eighths of powers of two from 2^-8, one byte; 0 is below all of them."""
    mean = int(np.abs(row).sum()) * _ONE // len(row)
    return next((level for level in range(255, 0, -1) if _magnitude_of(level) <= mean), 0)


def _magnitude_of(level: int) -> int:
    """The mean magnitude times 2^16 that a level stands for."""
    return (_EIGHTHS[level % 8] << (level // 8)) >> (_LEVEL_OFFSET // 8)


def _lanes(numbers: int) -> int:
    """States that code a table of so many numbers side by side."""
    return min(LANES, max(1, numbers // NUMBERS_PER_LANE))


def _parts(columns: int, count: int) -> Iterator[slice]:
    """Runs of columns that are coded at once."""
    return (slice(start, min(columns, start + count)) for start in range(0, columns, count))


def _numbers_beyond(packed: bytes, most: int) -> Indices:
    """Numbers too large for a symbol, at most so many."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, 2 * most + 2)
    except zlib.error as error:
        raise ValueError(f"the stream of a table is damaged: {error}") from error
    if len(data) % 2 or len(data) > 2 * most or inflate.unused_data or not inflate.eof:
        raise ValueError("the stream of a table is damaged: its large numbers are not whole")
    return np.frombuffer(data, "<i2").astype(np.int64)
