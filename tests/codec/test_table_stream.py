"""Streams of tables of integers: exact round trips, sizes near the entropy, damage that is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from latentsdf.codec.table_stream import pack_table, unpack_table


def _laplace(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Integers whose magnitude falls from row to row and differs between columns."""
    generator = np.random.default_rng(seed)
    scale = np.geomspace(20, 0.1, rows)[:, None] * generator.gamma(0.5, 2.0, columns)
    return np.round(generator.laplace(0, 1, (rows, columns)) * scale).astype(np.int64)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 1024), (2, 1500), (40, 3000)])
def test_tables_come_back_exactly(shape: tuple[int, int]) -> None:
    table = _laplace(*shape)
    assert np.array_equal(unpack_table(pack_table(table), shape), table)


def test_numbers_beyond_the_symbols_come_back() -> None:
    table = np.array([[0, 32, -32, 31, -31, 32767, -32767, 5]] * 3)
    assert np.array_equal(unpack_table(pack_table(table), table.shape), table)


def test_all_zeros_take_next_to_nothing() -> None:
    assert len(pack_table(np.zeros((256, 4096), np.int64))) < 7000


def test_size_is_near_the_entropy_of_the_source() -> None:
    generator = np.random.default_rng(1)
    table = np.round(generator.laplace(0, 2.0, (100, 8192))).astype(np.int64)
    counts = np.unique(table, return_counts=True)[1] / table.size
    entropy = -(counts * np.log2(counts)).sum() * table.size / 8
    assert entropy <= len(pack_table(table)) < 1.03 * entropy


def test_columns_of_their_own_magnitude_are_told_apart() -> None:
    table = _laplace(100, 8192)
    mixed = np.unique(table, return_counts=True)[1] / table.size
    assert len(pack_table(table)) < 0.85 * -(mixed * np.log2(mixed)).sum() * table.size / 8


def test_damage_is_an_error_or_a_table_of_the_same_shape() -> None:
    table, generator = _laplace(12, 600), np.random.default_rng(2)
    stream, found = pack_table(table), 0
    for _ in range(300):
        damaged = bytearray(stream)
        kind = generator.integers(3)
        if kind == 0:
            damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        elif kind == 1:
            del damaged[generator.integers(len(damaged)) :]
        else:
            damaged[generator.integers(len(damaged)) :] = generator.bytes(20)
        try:
            assert unpack_table(bytes(damaged), table.shape).shape == table.shape
        except ValueError:
            found += 1
    assert found > 250


def test_tables_that_cannot_be_coded_are_refused() -> None:
    with pytest.raises(ValueError, match="two bytes"):
        pack_table(np.array([[40000]]))
    with pytest.raises(ValueError, match="shape"):
        pack_table(np.zeros(3, np.int64))
