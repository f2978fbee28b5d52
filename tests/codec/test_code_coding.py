"""Packed codes: integers come back, lengths near the entropy, trailing zeros for nothing, damage noticed."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from latentsdf.codec.code_coding import STEP, pack_code, round_code, unpack_code


@pytest.mark.parametrize("size", [1, 8, 128, 300])
@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0, 60.0])
def test_integers_come_back(size: int, spread: float) -> None:
    generator = np.random.default_rng(size)
    numbers = np.clip(np.rint(generator.normal(size=size) * spread), -254, 254).astype(np.int64)
    assert np.array_equal(unpack_code(pack_code(numbers), size), numbers)


def test_the_length_is_near_the_entropy() -> None:
    numbers = np.rint(np.random.default_rng(0).normal(size=(40, 128)) * 4.0).astype(np.int64)
    entropy = 0.5 * np.log2(2 * np.pi * np.e * 16.0) * 128 / 8
    assert entropy * 0.97 < np.mean([len(pack_code(row)) for row in numbers]) < entropy * 1.06


def test_trailing_zeros_cost_nothing() -> None:
    numbers = np.zeros(128, dtype=np.int64)
    assert len(pack_code(numbers)) <= 2
    numbers[:16] = 3
    assert abs(len(pack_code(numbers)) - len(pack_code(numbers[:16]))) <= 1


def test_a_code_is_rounded_to_steps_of_its_units() -> None:
    unit = torch.tensor([1.0, 0.1, 4.0])
    code, numbers = round_code(torch.tensor([0.26, -0.09, 1e4]), unit)
    assert numbers.tolist() == [1, -4, 254]
    torch.testing.assert_close(code, torch.tensor([1.0, -0.4, 1016.0]) * STEP)
    again, same = round_code(code, unit)
    assert torch.equal(again, code)
    assert np.array_equal(same, numbers)


def test_what_cannot_be_packed_or_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="up to 254"):
        pack_code(np.array([255]))
    with pytest.raises(ValueError, match="damaged"):
        unpack_code(b"\xff\xff\xff\xff\xff", 128)
    with pytest.raises(ValueError, match="damaged"):
        unpack_code(b"\x05", 4)
    with pytest.raises(ValueError, match="damaged"):
        unpack_code(b"", 4)


def test_a_thousand_damaged_codes_are_errors_or_codes() -> None:
    generator = np.random.default_rng(1)
    packed = pack_code(np.rint(generator.normal(size=128) * 4.0).astype(np.int64))
    for _ in range(1000):
        damaged = bytearray(packed)
        damaged[int(generator.integers(len(damaged)))] = int(generator.integers(256))
        with contextlib.suppress(ValueError):
            assert unpack_code(bytes(damaged), 128).shape == (128,)
