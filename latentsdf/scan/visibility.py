"""Free space of a scan: queries on sensor rays that met no surface, or met one farther back."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array, Mask

_RANK = 8
_CLEARANCE = 2.0
"""A ray meets no surface if it is this many times farther from all points, as an angle, than they usually are from
their neighbour of rank `_RANK`."""
_DEPTH_NEIGHBOURS = 4
"""Points nearest to a ray, whose least depth is that of the surface on it."""
_MIN_POINTS = 50
"""Views of fewer points are ignored: their gaps are no evidence of free space."""


def in_free_space(points: Array, sensor: Array, queries: Array) -> Mask:
    """Tell which queries lie on sensor rays that meet no surface, in front of its depth or behind.

    Source: this library's; the silhouette of space carving (Kutulakos and Seitz 2000), of points instead of pixels.

    Args:
        points: (M, 3) of the scan, M at least 2, in any frame.
        sensor: (3,) where they were seen from, or (M, 3) where each was, same frame.
        queries: (N, 3), same frame.

    Returns:
        (N,), true where the ray to a query from some view is farther from all directions of that view's points than
        twice the angle at which they usually have eight neighbours.
    """
    free = np.zeros(len(queries), dtype=bool)
    for view, origin in _views(points, sensor):
        free |= _misses(KDTree(_directions(view, origin)), _directions(queries, origin))
    return free


def refuted_by_sensor(points: Array, sensor: Array, queries: Array, slack: float) -> Mask:
    """Tell which queries cannot lie on the surface: their sensor rays meet none, or one farther back.

    Args:
        points: (M, 3) of the scan, M at least 4, in any frame.
        sensor: (3,) where they were seen from, or (M, 3) where each was, same frame.
        queries: (N, 3), same frame.
        slack: how far in front of the points a query may lie and still be on the surface, same unit.

    Returns:
        (N,).
    """
    refuted = np.zeros(len(queries), dtype=bool)
    for view, origin in _views(points, sensor):
        tree, rays = KDTree(_directions(view, origin)), _directions(queries, origin)
        depth = np.linalg.norm(view - origin, axis=1)
        surface = depth[np.asarray(tree.query(rays, _DEPTH_NEIGHBOURS)[1])].min(1)
        in_front = np.linalg.norm(queries - origin, axis=1) < surface - slack
        refuted |= in_front | _misses(tree, rays)
    return refuted


def _views(points: Array, sensor: Array) -> list[tuple[Array, Array]]:
    """The points (V, 3) of each view and its origin (3,), of views with enough points."""
    if sensor.ndim == 1:
        return [(points, sensor)]
    origins, view_of, counts = np.unique(sensor, axis=0, return_inverse=True, return_counts=True)
    view_of = view_of.reshape(-1)
    return [(points[view_of == row], origins[row]) for row in np.flatnonzero(counts >= _MIN_POINTS)]


def _misses(tree: KDTree, rays: Array) -> Mask:
    """Tell which rays (N, 3) have no direction of the tree near them."""
    angle = float(np.median(np.asarray(tree.query(tree.data, min(_RANK, tree.n - 1) + 1)[0])[:, -1]))
    return np.asarray(tree.query(rays, distance_upper_bound=_CLEARANCE * angle)[0]) == np.inf


def _directions(points: Array, origin: Array) -> Array:
    rays = points - origin
    return rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), np.finfo(np.float64).tiny)
