"""Streams of rows: exact round trips, sizes near the entropy, damage noticed."""

from __future__ import annotations

import numpy as np
import pytest

from latentsdf.codec.row_streams import TOTAL_BITS, ColumnModel, pack_rows, unpack_rows


def drawn(count: int, columns: int, seed: int = 0) -> np.ndarray:
    """Rows of normal integers, the deviation of their columns between 1 and 50."""
    generator = np.random.default_rng(seed)
    return np.rint(generator.normal(size=(count, columns)) * np.geomspace(1.0, 50.0, columns)).astype(np.int64)


def models_of(rows: np.ndarray) -> list[ColumnModel]:
    return [ColumnModel.of(column) for column in rows.T]


def test_rows_return_exactly_at_nearly_the_entropy_of_normal_numbers() -> None:
    rows = drawn(500, 128)
    streams = pack_rows(rows, models_of(rows))
    assert np.array_equal(unpack_rows(streams, models_of(rows)), rows)
    entropy = 0.5 * np.log2(2 * np.pi * np.e * rows.var(0)).sum() / 8
    assert entropy < np.mean([len(stream) for stream in streams]) < entropy + 6


def test_a_row_is_coded_alike_alone_and_beside_others() -> None:
    rows = drawn(20, 16)
    models = models_of(rows)
    assert pack_rows(rows[7:8], models) == pack_rows(rows, models)[7:8]


def test_numbers_beyond_the_model_are_stored_as_they_are() -> None:
    rows = drawn(30, 8)
    models = models_of(rows)
    odd = np.array([[30_000, -32_767, 0, 1, 2, 3, 4, 5], rows[0]])
    streams = pack_rows(odd, models)
    assert len(streams[0]) == 16
    assert np.array_equal(unpack_rows(streams, models), odd)


def test_frequencies_are_fixed_for_ever() -> None:
    """Files of earlier versions are read with these numbers."""
    assert ColumnModel(32, 3).frequencies().tolist() == [176, 1048, 3844, 6248, 3844, 1048, 176]
    for eighths in (0, 31, 77, 127):
        for limit in (1, 9, 1023):
            frequencies = ColumnModel(eighths, limit).frequencies()
            assert frequencies.sum() == 1 << TOTAL_BITS
            assert frequencies.min() >= 1


def test_a_random_change_is_an_error_or_other_numbers() -> None:
    rows = drawn(50, 32)
    models, generator = models_of(rows), np.random.default_rng(1)
    streams, refused = pack_rows(rows, models), 0
    for number in range(1000):
        damaged = bytearray(streams[number % 50])
        damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        if number % 3 == 0:
            damaged = damaged[: generator.integers(len(damaged))]
        try:
            assert unpack_rows([bytes(damaged)], models).shape == (1, 32)
        except ValueError:
            refused += 1
    assert refused > 900


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of 2 numbers"):
        pack_rows(np.zeros((1, 3), dtype=np.int64), [ColumnModel(8, 1)] * 2)
    with pytest.raises(ValueError, match="two bytes"):
        pack_rows(np.full((1, 1), 40_000), [ColumnModel(8, 1)])
    assert unpack_rows([], [ColumnModel(8, 1)]).shape == (0, 1)
