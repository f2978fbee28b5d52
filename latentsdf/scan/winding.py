"""Winding numbers of oriented points, approximate signed distances by them, and the openness of a surface."""

from __future__ import annotations

import igl
import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array
from .neighbourhoods import neighbour_distances, noise_level

CLOSED = 0.07
"""Openness below which a scan covers its surface; most whole virtual scans have 0.02 to 0.06."""
_COUNT = 2000
"""Points whose median gives the openness."""
_OFFSET = 5.0
"""Distance of the queries from the surface, at least, in standard deviations of the noise: outside for certain."""


def approximate_distance(
    points: Array, normals: Array, queries: Array, tree: KDTree | None = None, distances: Array | None = None
) -> Array:
    """Distance to the nearest point, signed by the winding number w: |x - p| clip(4 (1/2 - w(x)), -1, 1).

    Args:
        points: (M, 3) distinct, M > 6, in any frame.
        normals: (M, 3) unit, outward.
        queries: (N, 3), same frame.
        tree: of the points, where there is one already.
        distances: (M,) their `neighbour_distances`, where known.

    Returns:
        (N,), near 0 where the winding number does not tell the sides apart.
    """
    tree = tree or KDTree(points)
    distances = neighbour_distances(points, tree) if distances is None else distances
    winding = winding_numbers(points, normals, queries, distances)
    return np.asarray(tree.query(queries)[0]) * np.clip(4 * (0.5 - winding), -1, 1)


def winding_numbers(points: Array, normals: Array, queries: Array, distances: Array | None = None) -> Array:
    """Generalised winding numbers of oriented points (Barill et al., "Fast winding numbers", 2018).

    w(x) = sum_i a_i n_i . (p_i - x) / (4 pi |p_i - x|^3), with the area a_i = pi d_i^2 / 6 of a point whose sixth
    neighbour is d_i away: 1 inside a closed surface, 0 outside.

    Args:
        points: (M, 3) in any frame.
        normals: (M, 3) unit, outward.
        queries: (N, 3), same frame.
        distances: (M,) `neighbour_distances` of the points, where known.

    Returns:
        (N,).
    """
    areas = np.pi * (neighbour_distances(points) if distances is None else distances) ** 2 / 6
    winding = igl.fast_winding_number(points, np.ascontiguousarray(normals), areas, np.ascontiguousarray(queries))
    return np.asarray(winding, dtype=np.float64)


def openness(points: Array, normals: Array, distances: Array | None = None, noise: float | None = None) -> float:
    """Solid angle that oriented points lack of a closed surface, over 4 pi.

    Just outside a closed surface the winding number is zero; what is missing of the surface shows there. The result is
    the median of |w| over queries on the normals, outside the noise, divided by 1 + noise / spacing: noise tilts
    normals, which raises |w| too.

    Args:
        points: (M, 3) in any frame, M > 6.
        normals: (M, 3) unit, outward.
        distances: (M,) `neighbour_distances` of the points, where known.
        noise: their `noise_level`, where known.

    Returns:
        From 0 to about 1/2, that of a flat patch.
    """
    rows = np.random.default_rng(0).permutation(len(points))[:_COUNT]
    distances = neighbour_distances(points) if distances is None else distances
    noise = noise_level(points) if noise is None else noise
    queries = points[rows] + np.maximum(distances[rows, None], _OFFSET * noise) * normals[rows]
    missing = float(np.median(np.abs(winding_numbers(points, normals, queries, distances))))
    return missing / (1.0 + noise / max(float(np.median(distances)), np.finfo(np.float64).tiny))
