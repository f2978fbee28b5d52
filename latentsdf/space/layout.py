"""Layout of shapes in the plane, by the likeness of their search records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from ..core.arrays import Array
from ..mesh.record import Record, record_distances, unit_records
from .tsne import tsne

METHODS = ("tsne", "pca", "umap")
LEAST = 3
"""Fewest shapes that have a layout."""
LARGEST_TSNE = 2000
"""Most shapes that t-SNE is the default for; time and memory grow with their square."""

_ROWS = 256


def check_method(method: str | None) -> None:
    """Refuse a method of `layout` that cannot be used here.

    Raises:
        ValueError: an unknown name.
        ImportError: `umap` without the package umap-learn.
    """
    if method not in (None, *METHODS):
        raise ValueError(f"no layout method {method!r}; choose one of {', '.join(METHODS)}")
    if method == "umap":
        _umap_package()


def default_method(count: int) -> str:
    """The method that `layout` takes for so many shapes: t-SNE up to `LARGEST_TSNE` of them, else PCA."""
    return "tsne" if count <= LARGEST_TSNE else "pca"


def layout(
    records: Sequence[Record] | Record,
    method: str | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> Array:
    """Embed search records in the plane, so that near points are shapes that `record_distances` calls alike.

    Args:
        records: (S, 128), S at least 3.
        method: `tsne` keeps neighbours together, begins at the PCA and draws nothing; `pca` is the projection of the
            unit records on their first two principal components; `umap` needs the package umap-learn. None is
            `default_method`.
        seed: of UMAP.
        on_progress: called with the share of the work done by t-SNE.

    Returns:
        (S, 2), centred, with the axis of largest variance horizontal and coordinates from -1 to 1; without a unit.

    Raises:
        ValueError: fewer than 3 records, or an unknown method.
        ImportError: as `check_method`.

    Example:
        >>> records = list(shape_records(space.values()).values())
        >>> points, labels = layout(records), clusters(records)
    """
    check_method(method)
    unit = unit_records(records, np.float64)
    if len(unit) < LEAST:
        raise ValueError(f"a layout needs at least {LEAST} shapes, got {len(unit)}")
    method = method or default_method(len(unit))
    points = _principal(unit)
    if method == "tsne":
        points = tsne(record_distances(records, records), points, on_progress)
    elif method == "umap":
        points = _umap(unit, points, seed)
    points = _principal(points)
    return points / max(float(np.abs(points).max()), 1e-12)


def trustworthiness(records: Sequence[Record] | Record, points: Array, neighbours: int = 5) -> float:
    """Measure how far neighbours in the plane are neighbours by record (Venna and Kaski, 2001).

    T = 1 - 2 / (S k (2 S - 3 k - 1)) sum_i sum_(j in U_i) (r(i, j) - k), where U_i are those of the k nearest points of
    i that are not among its k nearest by record, and r(i, j) is the rank of j by record.

    Args:
        records: (S, 128).
        points: (S, 2).
        neighbours: k; at most (S - 1) // 2 are used.

    Returns:
        From 0 to 1; 1 where no neighbour in the plane is a false one, about 1/2 for points at random.

    Raises:
        ValueError: fewer than 3 records, or another number of points.
    """
    unit = unit_records(records, np.float64)
    count, k = len(unit), min(neighbours, (len(unit) - 1) // 2)
    if count < LEAST or len(points) != count:
        raise ValueError(f"trustworthiness needs at least {LEAST} records and as many points, not {len(points)}")
    excess = 0
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        by_record, by_place = cdist(unit[rows], unit), cdist(points[rows], points)
        by_record[np.arange(len(rows)), rows] = by_place[np.arange(len(rows)), rows] = -1.0
        ranks = by_record.argsort(axis=1, kind="stable").argsort(axis=1)
        near = by_place.argsort(axis=1, kind="stable")[:, 1 : k + 1]
        excess += int(np.maximum(np.take_along_axis(ranks, near, 1) - k, 0).sum())
    return 1.0 - 2.0 * excess / (count * k * (2 * count - 3 * k - 1))


def _principal(values: Array) -> Array:
    """Scores (S, 2) on the first two principal components of (S, D), signs fixed by the largest loading."""
    centred = values - values.mean(axis=0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    components = components[:2]
    largest = np.abs(components).argmax(axis=1)
    return centred @ (components * np.sign(components[np.arange(2), largest])[:, None]).T


def _umap(unit: Array, start: Array, seed: int) -> Array:
    """UMAP (McInnes et al., 2018) of unit records (S, 128), begun at points (S, 2)."""
    start = 10 * start / max(float(np.abs(start).max()), 1e-12)
    neighbours = min(15, len(unit) - 1)
    reducer = _umap_package().UMAP(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(unit), dtype=np.float64)


def _umap_package() -> Any:
    try:
        return importlib.import_module("umap")
    except ImportError as error:
        raise ImportError("the method umap needs umap-learn: pip install umap-learn; or choose tsne or pca") from error
