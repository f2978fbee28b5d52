"""Layouts and clusters of made-up records whose groups are known, and of the tiny space."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from latentsdf.mesh.record import RECORD_BYTES, record_distances
from latentsdf.mesh.search_record import whole_part
from latentsdf.space.clustering import clusters, purity
from latentsdf.space.layout import check_method, default_method, layout, trustworthiness
from latentsdf.space.shape_records import shape_records
from latentsdf.space.store import load


def groups(sizes: tuple[int, ...], noise: float = 12.0, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Records around one direction for each group, in random order, and the group of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    values = rng.normal(0, 50, (len(sizes), RECORD_BYTES))[truth] + rng.normal(0, noise, (sum(sizes), RECORD_BYTES))
    return np.rint(values).clip(-127, 127).astype(np.int8), truth


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_groups_lie_apart(method: str) -> None:
    records, truth = groups((20, 14, 9))
    points = layout(records, method)
    assert points.shape == (43, 2)
    assert np.abs(points).max() == pytest.approx(1.0)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-6)
    assert points[:, 0].var() >= points[:, 1].var()
    same = truth[:, None] == truth
    distances = cdist(points, points)
    assert distances[same].max() < 0.8 * distances[~same].min()


@pytest.mark.parametrize("sizes", [(20, 14, 9), (5, 5), (40, 3, 1, 8, 12)])
def test_clusters_are_the_groups(sizes: tuple[int, ...]) -> None:
    records, truth = groups(sizes)
    labels = clusters(records)
    assert len({*zip(labels.tolist(), truth.tolist(), strict=True)}) == len(sizes) == labels.max() + 1
    assert np.bincount(labels).tolist() == sorted(sizes, reverse=True)


def test_equal_records_are_one_cluster_in_one_place() -> None:
    records = np.repeat(groups((1,))[0], 6, axis=0)
    assert clusters(records).tolist() == [0] * 6
    for method in ("tsne", "pca"):
        np.testing.assert_allclose(layout(records, method), np.zeros((6, 2)), atol=1e-9)


def test_nothing_is_random_and_the_order_of_shapes_and_numbers_does_not_matter() -> None:
    records, _ = groups((12, 10, 8), noise=30.0)
    np.testing.assert_array_equal(layout(records, seed=0), layout(records, seed=1))
    np.testing.assert_array_equal(clusters(records), clusters(records))
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(len(records)), rng.permutation(RECORD_BYTES)
    distances = [cdist(points, points) for points in (layout(records, "pca"), layout(records[:, columns], "pca"))]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-9)
    np.testing.assert_allclose(layout(records[rows], "pca"), layout(records, "pca")[rows], atol=1e-9)
    assert len({*zip(clusters(records[rows]).tolist(), clusters(records)[rows].tolist(), strict=True)}) == 3


def test_neighbours_survive_better_than_by_components() -> None:
    records, _ = groups((15,) * 8, noise=40.0)
    scores = {method: trustworthiness(records, layout(records, method)) for method in ("tsne", "pca")}
    assert scores["tsne"] > max(0.85, scores["pca"])


def test_trustworthiness_of_known_layouts() -> None:
    rng = np.random.default_rng(0)
    plane = np.zeros((60, RECORD_BYTES))
    angles = np.sort(rng.uniform(0, np.pi, 60))
    plane[:, 0], plane[:, 1] = 120 * np.cos(angles), 120 * np.sin(angles)
    circle = plane[:, :2] / np.linalg.norm(plane[:, :2], axis=1, keepdims=True)
    records = plane.astype(np.float64)
    assert trustworthiness(records, circle) == 1.0  # pyright: ignore[reportArgumentType]
    assert 0.3 < trustworthiness(records, rng.normal(size=(60, 2))) < 0.7  # pyright: ignore[reportArgumentType]


def test_purity_of_a_known_table() -> None:
    assert purity(np.array([0, 0, 0, 1, 1]), ["a", "a", "b", "b", "b"]) == pytest.approx(0.8)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_shapes(count: int) -> None:
    records = groups((3,))[0][:count]
    with pytest.raises(ValueError, match=f"at least 3 shapes, got {count}"):
        layout(records)
    with pytest.raises(ValueError, match="at least 3 records"):
        trustworthiness(records, np.zeros((count, 2)))


def test_the_smallest_layouts_are_finite() -> None:
    for count in (3, 4, 5, 9):
        records = groups((count,))[0]
        assert np.isfinite(layout(records)).all()
        assert len(clusters(records)) == count


def test_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (default_method(2000), default_method(2001)) == ("tsne", "pca")
    with pytest.raises(ValueError, match="no layout method 'mds'; choose one of tsne, pca, umap"):
        layout(groups((4,))[0], "mds")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        check_method("umap")


def test_umap_gets_the_seed_and_the_components(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    class Reducer:
        def __init__(self, **options):
            seen.update(options)

        def fit_transform(self, values):
            return values[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Reducer))
    assert layout(groups((6,))[0], "umap", seed=7).shape == (6, 2)
    assert (seen["random_state"], seen["n_neighbors"], seen["init"].shape) == (7, 5, (6, 2))


def test_records_of_shapes_are_stored_ones_or_made(space_path: Path) -> None:
    first, second = list(load(space_path).values())[:2]
    empty = replace(first, name="empty", record=None, code=torch.full_like(first.code, 1e4))
    seen: list[tuple[str, bool]] = []
    shapes = [first, replace(second, record=None), empty]
    records = shape_records(shapes, lambda shape, mesh: seen.append((shape.name, mesh is not None)))
    assert first.record is not None
    assert second.record is not None
    np.testing.assert_array_equal(records[first.name], whole_part(first.record))
    assert float(record_distances(records[second.name], whole_part(second.record))[0, 0]) < 0.5
    assert seen[:2] == [(first.name, False), (second.name, True)]
    assert ("empty" in records) == seen[2][1]
