"""What a sensor shows by what it did not see: rays that met no surface, or met one farther back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.arrays import Array

_RANK = 8
_CLEAR = 2.0
"""Times the usual angle to the neighbour of that rank by which a ray is clear of all points."""
_ABOUT = 4
"""Points next to a ray that say how far it goes."""
_VIEW = 50
"""Fewer points from one place are no view that says by its gaps what is not there."""


def in_free_space(points: Array, sensor: Array, places: Array) -> NDArray[np.bool_]:
    """Whether places lie beside everything that a sensor saw, before it or behind.

    Source: this library's; the silhouette of space carving (Kutulakos and Seitz 2000), of points instead of pixels.

    Args:
        points: (M, 3) that were seen, M at least 2.
        sensor: (3,) from where, or (M, 3) where each was, same frame.
        places: (N, 3).

    Returns:
        (N,), true where the ray through a place from some view is clear of that view's points, twice the angle at which
        they usually have eight neighbours.
    """
    found = np.zeros(len(places), dtype=bool)
    for seen, eye in _views(points, sensor):
        found |= _clear(KDTree(_ways(seen, eye)), _ways(places, eye))
    return found


def refuted_by_sensor(points: Array, sensor: Array, places: Array, slack: float) -> NDArray[np.bool_]:
    """Whether a sensor saw that no surface is at places: it looked past them, or through them at something behind.

    Args:
        points: (M, 3) that were seen, M at least 4.
        sensor: (3,) from where, or (M, 3) where each was, same frame.
        places: (N, 3).
        slack: how far in front of the points is still on the surface, same unit.
    """
    found = np.zeros(len(places), dtype=bool)
    for view, eye in _views(points, sensor):
        seen, ways = KDTree(_ways(view, eye)), _ways(places, eye)
        depth = np.linalg.norm(view - eye, axis=1)
        about = np.asarray(seen.query(ways, _ABOUT)[1])
        before = np.linalg.norm(places - eye, axis=1) < depth[about].min(1) - slack
        found |= before | _clear(seen, ways)
    return found


def _views(points: Array, sensor: Array) -> list[tuple[Array, Array]]:
    """The points (V, 3) seen from each place (3,), where there are enough of them."""
    if sensor.ndim == 1:
        return [(points, sensor)]
    places, view_of, counts = np.unique(sensor, axis=0, return_inverse=True, return_counts=True)
    view_of = view_of.reshape(-1)
    return [(points[view_of == row], places[row]) for row in np.flatnonzero(counts >= _VIEW)]


def _clear(seen: KDTree, ways: Array) -> NDArray[np.bool_]:
    apart = float(np.median(np.asarray(seen.query(seen.data, min(_RANK, seen.n - 1) + 1)[0])[:, -1]))
    return np.asarray(seen.query(ways, distance_upper_bound=_CLEAR * apart)[0]) == np.inf


def _ways(points: Array, sensor: Array) -> Array:
    ways = points - sensor
    return ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), np.finfo(np.float64).tiny)
