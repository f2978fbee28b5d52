"""Residuals: integers come back from the bytes, fields have known values, damage is an error or a valid field."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.codec.coefficient_coding import GREATEST, MODELS
from latentsdf.codec.residual import STEPS, TRUNCATION, Coefficients, Residual, step_of
from latentsdf.codec.starting_probabilities import STARTING_PROBABILITIES

SIZES = (9, 17, 33, 65)


def _random(levels: int, share: float = 0.01, scale: float = 1.5, seed: int = 0) -> Coefficients:
    generator = np.random.default_rng(seed)
    parts = []
    for size in SIZES[:levels]:
        part = np.rint(generator.normal(size=(size,) * 3) * scale).astype(np.int64)
        part[generator.random(part.shape) > share] = 0
        parts.append(part)
    parts[-1][0, -1, 2] = 1
    return Coefficients(parts, 12)


def _assert_equal(found: Coefficients, given: Coefficients) -> None:
    assert found.step == given.step
    assert len(found.levels) == len(given.levels)
    assert all(np.array_equal(a, b) for a, b in zip(found.levels, given.levels, strict=True))


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_integers_come_back_from_the_bytes(levels: int) -> None:
    given = _random(levels)
    _assert_equal(Residual(Residual.of(given).packed).coefficients, given)


def test_dense_and_large_integers_come_back() -> None:
    given = _random(2, share=1.0, scale=40.0)
    given.levels[0][4, 4, 4] = 1 - GREATEST
    given.levels[1][16, 16, 16] = GREATEST - 1
    _assert_equal(Residual(Residual.of(given).packed).coefficients, given)


def test_a_residual_of_zeros_takes_almost_nothing_and_is_zero() -> None:
    residual = Residual.of(Coefficients([np.zeros((size,) * 3, dtype=np.int64) for size in SIZES], 3))
    assert residual.nbytes <= 4
    assert len(residual.coefficients.levels) == 1
    assert not residual(torch.rand(100, 3) * 2 - 1).any()


def test_a_coefficient_is_a_hat() -> None:
    levels = [np.zeros((size,) * 3, dtype=np.int64) for size in SIZES[:2]]
    levels[0][4, 4, 6] = 3
    levels[1][8, 8, 8] = -2
    residual = Residual.of(Coefficients(levels, 20))
    points = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, 0.375], [0.125, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = torch.tensor([3.0, 1.5, 1.5, -2.0, 0.0]) * step_of(20)
    torch.testing.assert_close(residual(points), expected)
    torch.testing.assert_close(residual(points.double()), expected.double())


def test_the_field_is_the_clipped_prior_plus_the_residual() -> None:
    levels = [np.zeros((9, 9, 9), dtype=np.int64)]
    levels[0][4, 4, 4] = -1
    residual = Residual.of(Coefficients(levels, 8))
    field = residual.on(lambda points: points[:, 0])
    points = torch.tensor([[0.01, 1.0, 0.0], [0.9, 0.0, 0.0], [-0.9, 0.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(field(points), torch.tensor([0.01, TRUNCATION, -TRUNCATION, -step_of(8)]))


def test_steps_fall_eight_an_octave() -> None:
    steps = [step_of(number) for number in range(STEPS)]
    assert all(a > b for a, b in zip(steps, steps[1:], strict=False))
    assert steps[8] == steps[0] / 2
    assert steps[0] == 15 / 128
    assert steps[-1] == 8 / 16384


def test_every_model_has_a_starting_probability() -> None:
    assert len(STARTING_PROBABILITIES) == MODELS
    assert all(0 < probability < 1 << 16 for probability in STARTING_PROBABILITIES)


@pytest.mark.parametrize(
    "coefficients",
    [
        Coefficients([], 0),
        Coefficients([np.zeros((9, 9, 9), dtype=np.int64)], STEPS),
        Coefficients([np.zeros((8, 9, 9), dtype=np.int64)], 0),
        Coefficients([np.full((9, 9, 9), GREATEST)], 0),
    ],
)
def test_what_cannot_be_stored_is_an_error(coefficients: Coefficients) -> None:
    with pytest.raises(ValueError, match="lattice"):
        Residual.of(coefficients)


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x00\x02ab", b"\x02\x02abcdef"])
def test_bytes_of_something_else_are_an_error(packed: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        _ = Residual(packed).coefficients


def test_a_thousand_damaged_streams_are_errors_or_fields() -> None:
    packed = Residual.of(_random(2, share=0.004)).packed
    generator = np.random.default_rng(1)
    errors = 0
    for _ in range(1000):
        damaged = bytearray(packed)
        for place in generator.integers(0, len(damaged), generator.integers(1, 4)):
            damaged[place] = int(generator.integers(256))
        if generator.random() < 0.3:
            damaged = damaged[: generator.integers(len(damaged))]
        try:
            field = Residual(bytes(damaged))
            assert torch.isfinite(field(torch.zeros(1, 3))).all()
        except ValueError:
            errors += 1
    assert errors > 500
