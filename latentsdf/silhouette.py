"""Where a sensor looks past a shape: on a ray that met no surface, nothing is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

__all__ = ["seen_past"]

Array = NDArray[np.float64]

_RANK = 8
_CLEAR = 2.0
"""Times the usual angle to the neighbour of that rank by which a ray is clear of all points."""


def seen_past(points: Array, sensor: Array, places: Array) -> NDArray[np.bool_]:
    """Whether places lie beside everything that a sensor saw, before it or behind.

    Source: this library's; the silhouette of space carving (Kutulakos and Seitz 2000), of points instead of pixels.

    Args:
        points: (M, 3) that were seen, M at least 2.
        sensor: (3,) from where, same frame.
        places: (N, 3).

    Returns:
        (N,), true where the ray through a place is clear of the points, twice the angle at which they usually have
        eight neighbours.
    """
    seen = KDTree(_ways(points, sensor))
    rank = min(_RANK, len(points) - 1)
    apart = float(np.median(np.asarray(seen.query(seen.data, rank + 1)[0])[:, -1]))
    return np.asarray(seen.query(_ways(places, sensor), distance_upper_bound=_CLEAR * apart)[0]) == np.inf


def _ways(points: Array, sensor: Array) -> Array:
    ways = points - sensor
    return ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), np.finfo(np.float64).tiny)
