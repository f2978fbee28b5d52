"""The range coder: round trips, lengths near the entropy, carries, and streams that are cut or damaged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from latentsdf.codec.range_coder import ONE, RangeDecoder, RangeEncoder

START = [ONE // 2, ONE * 9 // 10, 1, ONE - 1]


def _encoded(models: np.ndarray, values: np.ndarray, start: list[int] = START) -> bytes:
    encoder = RangeEncoder(start)
    for model, value in zip(models.tolist(), values.tolist(), strict=True):
        if model < 0:
            encoder.even(value)
        else:
            encoder.bit(model, value)
    return encoder.finish()


def _decoded(data: bytes, models: np.ndarray, start: list[int] = START) -> list[int]:
    decoder = RangeDecoder(data, start)
    values = [decoder.even() if model < 0 else decoder.bit(model) for model in models.tolist()]
    decoder.finish()
    return values


@pytest.mark.parametrize("count", [0, 1, 7, 100, 5000])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_decisions_come_back(count: int, share: float) -> None:
    generator = np.random.default_rng(count)
    models = generator.integers(-1, len(START), count)
    values = (generator.random(count) < share).astype(int)
    assert _decoded(_encoded(models, values), models) == values.tolist()


def test_the_length_is_near_the_entropy() -> None:
    generator = np.random.default_rng(0)
    values = (generator.random(20_000) < 0.05).astype(int)
    data = _encoded(np.zeros(20_000, int), values)
    entropy = -(0.05 * math.log2(0.05) + 0.95 * math.log2(0.95)) * 20_000 / 8
    assert entropy < len(data) < 1.04 * entropy


def test_the_bytes_of_a_stream_are_fixed() -> None:
    models = np.arange(200) % 4
    values = (np.arange(200) * 7 % 11 < 4).astype(int)
    assert _encoded(models, values).hex() == EXPECTED


EXPECTED = "b2efd1c6243a513423660a15e8825f3335b219aa9f731f084d67861874d956435085"


def test_carries_run_through() -> None:
    generator = np.random.default_rng(3)
    for trial in range(300):
        models = generator.integers(2, 4, 60)
        values = np.where(models == 2, 1, 0) ^ (generator.random(60) < 0.03)
        assert _decoded(_encoded(models, values), models) == values.tolist(), trial


def test_a_stream_without_decisions_is_empty() -> None:
    assert _encoded(np.zeros(0, int), np.zeros(0, int)) == b""


def test_reading_past_the_end_is_an_error() -> None:
    decoder = RangeDecoder(b"\x12\x34", START)
    for _ in range(2 * 8):
        decoder.even()
    with pytest.raises(ValueError, match="ends too early"):
        [decoder.even() for _ in range(100)]


def test_bytes_that_are_left_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 bytes too many"):
        RangeDecoder(b"\x00" * 6, START).finish()
