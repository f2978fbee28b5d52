"""Coefficients by rate and distortion: nothing for a right prior, a missing ball for few bytes, no floaters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.codec.rate_distortion import RateDescent, RatePoint, RateSamples
from latentsdf.codec.rate_model import RateModel
from latentsdf.codec.residual import TRUNCATION, Coefficients, Residual, nearest_step, step_of
from latentsdf.codec.starting_probabilities import STARTING_PROBABILITIES

STEP = nearest_step(0.02)


def _ball(points: np.ndarray, centre: tuple[float, float, float] = (0.0, 0.0, 0.0), radius: float = 0.5) -> np.ndarray:
    return np.linalg.norm(points - np.asarray(centre), axis=1) - radius


def _points(seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(16_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    near = 0.5 * directions + generator.normal(size=directions.shape) * 0.03
    return np.concatenate([near, generator.uniform(-1, 1, (8000, 3))])


def _field(points: np.ndarray, prior: np.ndarray, residual: Residual) -> np.ndarray:
    return np.clip(prior, -TRUNCATION, TRUNCATION) + residual(torch.from_numpy(points)).numpy()


def test_a_prior_that_is_right_needs_nothing() -> None:
    points = _points()
    distances = _ball(points)
    found = RateDescent(RateSamples(points, distances, distances), 3).solve(RatePoint(1e-3, STEP))
    assert not any(level.any() for level in found.levels)


def test_a_prior_that_is_wrong_only_where_nothing_is_asked_needs_nothing() -> None:
    points = _points()
    distances = _ball(points)
    prior = np.where(np.abs(distances) < TRUNCATION, distances, 3.0 * distances)
    found = RateDescent(RateSamples(points, distances, prior), 3).solve(RatePoint(1e-3, STEP))
    assert not any(level.any() for level in found.levels)


def test_a_missing_ball_is_found_in_few_bytes_and_nothing_else() -> None:
    points, unseen = _points(), _points(1)
    prior = np.ones(len(points))
    descent = RateDescent(RateSamples(points, _ball(points), prior), 3)
    descent.solve(RatePoint(1e-2, STEP))
    residual = Residual.of(descent.solve(RatePoint(1e-3, STEP)))
    assert residual.nbytes < 250
    field, truth = _field(unseen, np.ones(len(unseen)), residual), _ball(unseen)
    assert np.abs(field - truth)[np.abs(truth) < 0.02].mean() < 0.006
    assert (field[truth > 0.03] > 0).all()
    assert (field[truth < -0.03] < 0).all()


def test_a_smaller_weight_of_bits_takes_more_of_them_and_comes_closer() -> None:
    points = _points()
    distances = _ball(points)
    prior = _ball(points, (0.06, 0.0, 0.0), 0.45)
    descent = RateDescent(RateSamples(points, distances, prior), 3)
    sizes, errors = [], []
    for weight in (1e-2, 1e-3, 1e-4):
        residual = Residual.of(descent.solve(RatePoint(weight, nearest_step(0.02 * (weight / 1e-3) ** 0.25))))
        sizes.append(residual.nbytes)
        errors.append(float(np.abs(_field(points, prior, residual) - distances)[np.abs(distances) < 0.03].mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_a_descent_goes_on_from_earlier_coefficients() -> None:
    points = _points()
    descent = RateDescent(RateSamples(points, _ball(points), np.ones(len(points))), 2)
    first = descent.solve(RatePoint(1e-2, STEP))
    second = descent.solve(RatePoint(1e-3, STEP))
    descent.restart(first)
    again = descent.solve(RatePoint(1e-3, STEP))
    # The field is summed up in another order, so that single coefficients may differ.
    assert Residual.of(again).nbytes == pytest.approx(Residual.of(second).nbytes, rel=0.05)


def test_the_priced_bits_are_about_those_of_the_stream() -> None:
    generator = np.random.default_rng(0)
    levels = [np.zeros((size,) * 3, dtype=np.int64) for size in (9, 17)]
    for level in levels:
        chosen = generator.random(level.shape) < 0.02
        level[chosen] = np.rint(generator.normal(size=int(chosen.sum())) * 2)
    rates = RateModel(STARTING_PROBABILITIES)
    bits = 0.0
    for number, level in enumerate(levels):
        price = rates.prices(level, rates.surroundings(levels, number), np.arange(level.size))
        bits += price(level.ravel()).sum()
    assert bits / 8 == pytest.approx(Residual.of(Coefficients(levels, 10)).nbytes, rel=0.25)


def test_the_nearest_step_is_the_nearest() -> None:
    assert all(nearest_step(step_of(number)) == number for number in range(64))
