"""Map of a collection: shapes in the plane, by search records or codes, computed while the page is used already."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from ..core.arrays import Array
from ..mesh.record import unit_records
from ..mesh.search_record import whole_part
from ..space.space import LatentSpace
from ..space.tsne import tsne

LANDMARKS = 1200
"""Shapes placed by t-SNE at most, chosen evenly; the others lie among the nearest of them."""
_NEAREST = 4
_LEAST = 4


class PlaneMap:
    """The map of a space: principal components at once, then t-SNE from a thread.

    Args:
        space: whose shapes are placed.

    Attributes:
        by: `records` where every shape has one, else `codes`.
    """

    def __init__(self, space: LatentSpace):
        self._lock = threading.Lock()
        self.by, vectors = map_vectors(space)
        self._points, self._method, self._progress = principal_plane(vectors), "pca", 0.0
        self._done = len(vectors) < _LEAST
        self._ended = False
        self._thread: threading.Thread | None = None
        if not self._done:
            self._thread = threading.Thread(target=self._refine, args=(vectors,), daemon=True)
            self._thread.start()

    def state(self) -> dict[str, Any]:
        """Points (S, 2) from -1 to 1, method, progress, and whether they are final, as JSON values."""
        with self._lock:
            points = [[round(x, 5), round(y, 5)] for x, y in self._points.tolist()]
            return {
                "points": points,
                "method": self._method,
                "by": self.by,
                "progress": self._progress,
                "done": self._done,
            }

    def end(self, seconds: float = 0.0) -> None:
        """Give up what is still computed, and wait for that so many seconds at most."""
        self._ended = True
        if self._thread is not None:
            self._thread.join(seconds)

    def _refine(self, vectors: Array) -> None:
        def note(share: float) -> None:
            self._progress = share
            if self._ended:
                raise _Ended

        try:
            points = neighbour_plane(vectors, note)
        except _Ended:
            return
        with self._lock:
            self._points, self._method, self._done = points, "tsne", True


class _Ended(Exception):
    """The map is no longer wanted."""


def map_vectors(space: LatentSpace) -> tuple[str, Array]:
    """Vectors (S, D) to place shapes by: unit search records, called `records`, or `codes` where a shape has none."""
    records = [shape.record for shape in space.values()]
    if all(record is not None for record in records):
        whole = [whole_part(record) for record in records if record is not None]
        return "records", unit_records(whole, np.float64).astype(np.float64)
    return "codes", space.codes().detach().cpu().double().numpy()


def principal_plane(vectors: Array) -> Array:
    """Place vectors (S, D) by their first two principal components: (S, 2), from -1 to 1."""
    if len(vectors) < 3:
        return np.array([[-0.5, 0.0], [0.5, 0.0]])[: len(vectors)] * (len(vectors) > 1)
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return _scaled(centred @ axes[:2].T)


def neighbour_plane(vectors: Array, on_progress: Callable[[float], None] | None = None) -> Array:
    """Place vectors (S, D) by exact t-SNE: (S, 2), from -1 to 1.

    Of more than `LANDMARKS` vectors so many are placed, evenly chosen, and the others at the mean of their four nearest
    landmarks, weighted by the inverse of the distance.
    """
    chosen = np.unique(np.linspace(0, len(vectors) - 1, min(LANDMARKS, len(vectors))).round().astype(np.int64))
    landmarks = vectors[chosen]
    placed = tsne(cdist(landmarks, landmarks).astype(np.float64), principal_plane(landmarks), on_progress)
    points = np.zeros((len(vectors), 2))
    points[chosen] = placed
    others = np.setdiff1d(np.arange(len(vectors)), chosen)
    if len(others):
        distances, near = KDTree(landmarks).query(vectors[others], _NEAREST)
        weights = 1.0 / np.maximum(distances, 1e-9)
        weights /= weights.sum(axis=1, keepdims=True)
        points[others] = np.einsum("nk,nkd->nd", weights, placed[near])
    return _scaled(points)


def _scaled(points: Array) -> Array:
    """Points (S, 2) centred, and divided by the largest coordinate."""
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    return points / max(float(np.abs(points).max()), 1e-12)
