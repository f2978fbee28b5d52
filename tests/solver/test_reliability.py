"""The learned reliability: invariance of its features, separation of outliers, and its effect on a solve."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsdf.primitives import torus
from latentsdf.scan.local_features import FEATURES, local_features
from latentsdf.scan.reliability import LEAST_POINTS, network_weights, shipped_network
from latentsdf.scan.scan import Scan
from latentsdf.solver import SolveConfig, learned_weights, merge_views, solve

SHAPE = torus(0.55, 0.22)
ROOT = Path(__file__).parents[2]


def directions(count: int, random: np.random.Generator) -> np.ndarray:
    ways = random.normal(size=(count, 3))
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)


def ring(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) of the torus, uniform by area, and its normals."""
    random = np.random.default_rng(seed)
    around, across = random.uniform(0, 2 * np.pi, (2, 3 * count))
    kept = random.uniform(0, 0.77, 3 * count) < 0.55 + 0.22 * np.cos(across)
    around, across = around[kept][:count], across[kept][:count]
    normals = np.stack([np.cos(across) * np.cos(around), np.cos(across) * np.sin(around), np.sin(across)], 1)
    points = 0.22 * normals + 0.55 * np.stack([np.cos(around), np.sin(around), 0 * around], 1)
    return points, normals


def ring_with_outliers(count: int, kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The torus with every tenth point made an outlier: points, normals, and a mask of the outliers."""
    points, normals = ring(count, seed)
    random = np.random.default_rng(seed + 1)
    outliers = np.zeros(count, dtype=bool)
    outliers[random.permutation(count)[: count // 10]] = True
    number = int(outliers.sum())
    if kind == "uniform":
        points[outliers] = random.uniform(-0.8, 0.8, (number, 3))
    else:
        centres = np.array([[0.0, 0.0, 0.1], [0.5, 0.5, 0.5], [-0.4, 0.0, 0.45]])
        points[outliers] = centres[random.integers(0, 3, number)] + 0.04 * random.normal(size=(number, 3))
    normals[outliers] = directions(number, random)
    near = np.abs(SHAPE(torch.from_numpy(points)).numpy()) < 0.01
    return points, normals, outliers & ~near


def test_features_do_not_change_with_the_place_the_turn_and_the_size_of_a_scan() -> None:
    points, normals, _ = ring_with_outliers(1000, "uniform")
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    first = local_features(points, normals)
    second = local_features(37.0 * points @ turn.T + [5.0, -2.0, 1.0], normals @ turn.T)
    assert first.shape == (1000, FEATURES)
    np.testing.assert_allclose(first, second, atol=1e-7)
    bare = local_features(points)
    assert not np.allclose(bare, first)


def test_features_are_finite_where_neighbourhoods_degenerate() -> None:
    points, normals = ring(200)
    for odd in (np.zeros((60, 3)), np.repeat(points[:20], 10, axis=0), points * [1.0, 1.0, 0.0], points[:4]):
        found = local_features(odd, normals[: len(odd)])
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 4.0 + 1e-12
    with pytest.raises(ValueError, match="at least 4"):
        local_features(points[:3])


@pytest.mark.parametrize("kind", ["uniform", "clustered"])
@pytest.mark.parametrize("given", [True, False])
def test_outliers_get_small_weights_and_points_of_the_surface_large_ones(kind: str, given: bool) -> None:
    points, normals, outliers = ring_with_outliers(4000, kind)
    weights = learned_weights(points, normals if given else None)
    assert weights.shape == (4000,)
    assert 0 < weights.min() < weights.max() < 1
    near = np.abs(SHAPE(torch.from_numpy(points)).numpy()) < 1e-6
    assert np.mean(weights[outliers] < 0.5) > 0.8
    assert np.mean(weights[near] > 0.5) > 0.9
    assert np.median(weights[outliers]) < np.quantile(weights[near], 0.05)


def test_the_network_is_small_and_reads_as_layers() -> None:
    network = shipped_network()
    assert sum(part.size for part in network[2:]) < 5000
    assert all(np.isfinite(part).all() for part in network)
    random = np.random.default_rng(0)
    features = random.normal(size=(7, FEATURES))
    mean, deviation, *layers = (torch.from_numpy(part) for part in network)
    state = (torch.from_numpy(features) - mean) / deviation
    for number in range(0, len(layers), 2):
        state = state @ layers[number] + layers[number + 1]
        state = state.relu() if number < len(layers) - 2 else state.sigmoid()
    np.testing.assert_allclose(network_weights(features, network), state[:, 0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(learned_weights(np.zeros((LEAST_POINTS - 1, 3))), 1.0)


@pytest.mark.parametrize("kind", ["uniform", "clustered"])
def test_learned_weights_beat_none_where_there_are_strays(kind: str) -> None:
    points, normals, outliers = ring_with_outliers(3000, kind)
    # Outliers make false surface around them, so the field is evaluated there too.
    queries = torch.from_numpy(np.concatenate([ring(300, seed=5)[0], points[outliers]]))
    truth, errors = SHAPE(queries).clamp(-0.1, 0.1), {}
    for robust in ("none", "learned"):
        solution = solve(points, normals, SolveConfig(resolution=32, dense=16, robust=robust))
        errors[robust] = float((solution.sdf(queries).clamp(-0.1, 0.1) - truth).abs().mean())
        if robust == "learned":
            assert np.median(solution.weights[outliers]) < 0.1 < np.median(solution.weights[~outliers])
    assert errors["learned"] < errors["none"] / 2


def test_bare_points_take_their_normals_from_reliable_ones_in_any_order() -> None:
    points, normals, outliers = ring_with_outliers(3000, "uniform")
    config = SolveConfig(resolution=16, dense=16, robust="learned")
    solution = solve(points, config=config)
    assert np.einsum("nd,nd->n", solution.normals, normals)[~outliers].mean() > 0.9
    shuffled = np.random.default_rng(3).permutation(3000)
    second = solve(points[shuffled], config=config)
    np.testing.assert_allclose(second.normals, solution.normals[shuffled], atol=1e-8)
    np.testing.assert_allclose(second.weights, solution.weights[shuffled], atol=1e-8)


def test_views_that_are_merged_face_their_own_sensors() -> None:
    points, normals = ring(4000)
    sensors = [np.array([0.0, 0.0, 30.0]), np.array([0.0, 0.0, -30.0])]
    views = [
        Scan(points[side], sensor=sensor)
        for side, sensor in zip((points[:, 2] > 0, points[:, 2] < 0), sensors, strict=True)
    ]
    whole = merge_views(views)
    assert whole.sensor is not None
    np.testing.assert_array_equal(whole.sensor, np.repeat(sensors, [len(view) for view in views], axis=0))
    truth = np.concatenate([normals[points[:, 2] > 0], normals[points[:, 2] < 0]])
    assert whole.normals is not None
    # At the rims a plane is seen edge on, and the error of the estimate may turn it.
    clear = np.abs(truth[:, 2]) > 0.2
    assert np.einsum("nd,nd->n", whole.normals, truth)[clear].min() > 0.8
    with pytest.raises(ValueError, match="view 1 .* has no sensor"):
        merge_views([views[0], Scan(points)])
    with pytest.raises(ValueError, match="no view"):
        merge_views([])


def test_the_example_of_the_page_runs() -> None:
    text = (ROOT / "docs" / "solver.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
