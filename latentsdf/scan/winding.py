"""Which side of oriented points is out: winding numbers, rough signed distances, and how open a scan is."""

from __future__ import annotations

import igl
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .neighborhoods import neighbor_distance, noise_level

_WATCHED = 2000


def approximate_distance(
    points: NDArray[np.float64], normals: NDArray[np.float64], queries: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance to the nearest point, signed by the winding number of the oriented points (Barill et al. 2018).

    Args:
        points: (M, 3) distinct, M > 6.
        normals: (M, 3), outward.
        queries: (N, 3).

    Returns:
        (N,), about 0 where the winding number does not tell the sides apart.
    """
    winding = winding_numbers(points, normals, queries)
    return np.asarray(KDTree(points).query(queries)[0]) * np.clip(4 * (0.5 - winding), -1, 1)


def winding_numbers(
    points: NDArray[np.float64], normals: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Winding numbers (N,) of oriented points (M, 3) about places (N, 3) (Barill et al. 2018)."""
    areas = np.pi * neighbor_distance(points) ** 2 / 6
    found = igl.fast_winding_number(points, np.ascontiguousarray(normals), areas, np.ascontiguousarray(places))
    return np.asarray(found, dtype=np.float64)


CLOSED = 0.07
"""Scans of a smaller openness cover their surface; most whole virtual scans have 0.02 to 0.06."""
_CLEAR = 5.0
"""Times the noise by which a place is clearly outside."""


def openness(points: NDArray[np.float64], normals: NDArray[np.float64]) -> float:
    """The share of the full sphere that oriented points are missing of a closed surface.

    A little outside of a whole surface the winding number is zero; what is missing shows there. The median over the
    points is taken. Noise makes normals wrong, which looks the same: the places are chosen beyond it, and what is found
    counts less in the measure in which the noise is as large as the points' spacing.

    Args:
        points: (M, 3) in any frame.
        normals: (M, 3) unit, outward.

    Returns:
        From 0 to about 1/2, that of a flat patch.
    """
    chosen = np.random.default_rng(0).permutation(len(points))[:_WATCHED]
    apart, noise = neighbor_distance(points), noise_level(points)
    outside = points[chosen] + np.maximum(apart[chosen, None], _CLEAR * noise) * normals[chosen]
    missing = float(np.median(np.abs(winding_numbers(points, normals, outside))))
    return missing / (1.0 + noise / max(float(np.median(apart)), np.finfo(np.float64).tiny))
