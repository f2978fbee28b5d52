"""Rows of integers as short byte streams: each column has a fixed model, all rows are coded side by side.

Range asymmetric numeral systems (rANS: Duda 2013), a state for each row; a table of many rows is decoded column by
column in NumPy. Models are made of additions, products and quotients of floats alone, which every machine rounds alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core.arrays import Indices

TOTAL_BITS = 14
"""Frequencies of a column's symbols sum to 2^14."""
LOWEST = 1 << 16
"""Least state of a coder between two symbols; it is below 256 times as much."""
STATE_BYTES = 3
GREATEST = 1023
"""Largest magnitude that a column may hold."""


class ColumnModel(NamedTuple):
    """Model of the integers of one column: frequencies near those of a normal distribution, with heavier tails.

    Attributes:
        eighths: deviation is 2^(eighths / 8 - 4), 0 to 127.
        limit: largest magnitude, 1 to `GREATEST`.
    """

    eighths: int
    limit: int

    def frequencies(self) -> Indices:
        """Frequencies (2 limit + 1,) of -limit ... limit, each at least 1, in sum 2^14.

        f(k) is proportional to (1 + k^2 / (16 s^2))^-8, Student's t up to its scale, with the deviation s.
        """
        fine = (1.0, 1.0905077326652577, 1.189207115002721, 1.2968395546510096)
        fine = (*fine, *(1.4142135623730951 * item for item in fine))
        deviation = fine[self.eighths % 8] * 2.0 ** (self.eighths // 8) / 16.0
        scaled = np.arange(-self.limit, self.limit + 1, dtype=np.float64) / (4.0 * deviation)
        weight = 1.0 / (1.0 + scaled * scaled)
        for _ in range(3):
            weight = weight * weight
        whole = np.floor(weight * 2.0**40).astype(np.int64)
        free = (1 << TOTAL_BITS) - len(whole)
        out = 1 + (whole * free) // int(whole.sum())
        out[self.limit] += (1 << TOTAL_BITS) - int(out.sum())
        return out

    @staticmethod
    def of(column: Indices, margin: float = 4.0) -> ColumnModel:
        """The model of a column of integers (S,), with room for magnitudes `margin` times as large as its own."""
        greatest = int(np.abs(column).max(initial=0))
        limit = min(GREATEST, max(greatest, int(margin * greatest) + 2))
        deviation = float(np.sqrt(np.mean(np.square(column, dtype=np.float64)))) if len(column) else 1.0
        eighths = round(8.0 * (4.0 + np.log2(max(deviation, 1e-9))))
        return ColumnModel(min(127, max(0, eighths)), limit)


def pack_rows(rows: Indices, models: list[ColumnModel]) -> list[bytes]:
    """Code rows of integers (S, D), each by itself, with a model for each column.

    A row with a number beyond its column's limit is stored as it is, in two bytes a number.

    Raises:
        ValueError: as many models as columns are needed; a number takes more than two bytes.
    """
    rows = np.asarray(rows, dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != len(models):
        raise ValueError(f"rows of {len(models)} numbers are needed, got an array of shape {rows.shape}")
    if len(rows) and np.abs(rows).max() > np.iinfo(np.int16).max:
        raise ValueError(f"a number of a row must take two bytes, got {int(np.abs(rows).max())}")
    limits = np.array([model.limit for model in models])
    fits = np.all(np.abs(rows) <= limits, axis=1).tolist()
    count, columns = rows.shape
    out = np.zeros((count, 2 * columns + 2 * STATE_BYTES + 2), dtype=np.uint8)
    length = np.zeros(count, dtype=np.int64)
    state = np.full(count, LOWEST, dtype=np.int64)

    def emit(at: Indices) -> None:
        out[at, length[at]] = state[at] & 255
        state[at] >>= 8
        length[at] += 1

    for column in reversed(range(columns)):
        frequency = models[column].frequencies()
        start = np.cumsum(frequency) - frequency
        symbol = np.clip(rows[:, column], -limits[column], limits[column]) + limits[column]
        width, low = frequency[symbol], start[symbol]
        while len(at := np.flatnonzero(state >= (LOWEST >> TOTAL_BITS << 8) * width)):
            emit(at)
        state = ((state // width) << TOTAL_BITS) + state % width + low
    for _ in range(STATE_BYTES):
        emit(np.arange(count))
    raw = rows.astype("<i2")
    coded = (bytes(row[:end][::-1]) for row, end in zip(out, length, strict=True))
    return [
        part if fit and len(part) < 2 * columns else bytes(plain.tobytes())
        for part, fit, plain in zip(coded, fits, raw, strict=True)
    ]


def unpack_rows(streams: list[bytes], models: list[ColumnModel], first: int | None = None) -> Indices:
    """Rows (S, D) of integers that `pack_rows` coded.

    Args:
        streams: of the rows.
        models: one a number.
        first: numbers (S, first) at the beginning of each row that are decoded; damage behind them is not noticed.

    Raises:
        ValueError: a stream is damaged; the text says which.
    """
    columns, count = len(models), len(streams)
    lengths = np.array([len(stream) for stream in streams], dtype=np.int64)
    raw = lengths == 2 * columns
    if count and (lengths.max() > 2 * columns or lengths.min() < STATE_BYTES):
        row = int(np.argmax((lengths > 2 * columns) | (lengths < STATE_BYTES)))
        raise ValueError(f"the stream of row {row} is damaged: it has {lengths[row]} bytes for {columns} numbers")
    table = np.zeros((count, 2 * columns + 1), dtype=np.int64)
    for row, stream in enumerate(streams):
        table[row, : len(stream)] = np.frombuffer(stream, np.uint8)
    position = np.zeros(count, dtype=np.int64)
    state = np.zeros(count, dtype=np.int64)
    every = np.arange(count)
    for _ in range(STATE_BYTES):
        state = (state << 8) | table[every, position]
        position += 1
    state[raw] = LOWEST
    rows = np.zeros((count, columns if first is None else first), dtype=np.int64)
    for column, model in enumerate(models[: rows.shape[1]]):
        frequency = model.frequencies()
        symbols = np.repeat(np.arange(len(frequency)), frequency)
        start = np.cumsum(frequency) - frequency
        slot = state & ((1 << TOTAL_BITS) - 1)
        symbol = symbols[slot]
        rows[:, column] = symbol - model.limit
        state = frequency[symbol] * (state >> TOTAL_BITS) + slot - start[symbol]
        while len(at := np.flatnonzero((state < LOWEST) & (position < lengths) & ~raw)):
            state[at] = (state[at] << 8) | table[at, position[at]]
            position[at] += 1
    damaged = ~raw & (first is None) & ((state != LOWEST) | (position != lengths))
    if damaged.any():
        raise ValueError(f"the stream of row {int(np.argmax(damaged))} is damaged: its numbers end elsewhere")
    for row in np.flatnonzero(raw):
        rows[row] = np.frombuffer(streams[row], "<i2")[: rows.shape[1]]
    return rows
