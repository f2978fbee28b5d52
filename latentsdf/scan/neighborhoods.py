"""Planes, and slightly curved ones, through the neighbours of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import KDTree


def local_pca(points: NDArray[np.float64], around: NDArray[np.int64]) -> NDArray[np.float64]:
    """Principal axes of the neighbourhood of each point (Hoppe et al. 1992), signs arbitrary.

    Args:
        points: (M, 3) in any frame.
        around: (N, K) rows of the neighbours of each point that is asked for, K >= 3, the point itself among them if it
            is to count.

    Returns:
        (N, 3, 3) unit axes as columns, that of the least spread (the normal of the plane) first.
    """
    axes = np.empty((len(around), 3, 3))
    for part in np.array_split(np.arange(len(around)), 1 + len(around) // 100_000):
        local = points[around[part]]
        local = local - local.mean(1, keepdims=True)
        axes[part] = np.linalg.eigh(np.einsum("nka,nkb->nab", local, local))[1]
    return axes


def noise_level(points: NDArray[np.float64], *, neighbors: int = 14, watched: int = 2000, seed: int = 0) -> float:
    """Standard deviation of the noise across the surface, from what paraboloids through neighbours leave over.

    The lower quartile over the points is taken, as it is of normal noise: edges, thin walls and strays do not count.
    Waves that are not wider than a neighbourhood do.

    Args:
        points: (N, 3) in any frame.
        neighbors: that make a paraboloid, which has 6 numbers; more find smaller noise, and take waves for it.
        watched: how many of the points are looked at.
        seed: of the choice of points.

    Returns:
        In the unit of the points; 0 where there are too few points to tell.
    """
    if len(points) <= neighbors or neighbors <= 6:
        return 0.0
    chosen = points[np.random.default_rng(seed).permutation(len(points))[:watched]]
    around = np.asarray(KDTree(points).query(chosen, neighbors)[1], dtype=np.int64)
    local = points[around] - points[around].mean(1, keepdims=True)
    height, x, y = np.moveaxis(np.einsum("nka,nab->nkb", local, local_pca(points, around)), 2, 0)
    size = np.maximum(np.sqrt((x**2 + y**2).mean(1, keepdims=True)), np.finfo(np.float64).tiny)
    x, y = x / size, y / size
    terms, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2))
    left = height - np.einsum("nkt,njt,nj->nk", terms, terms, height)
    return float(np.sqrt(np.quantile((left**2).sum(1), 0.25) / stats.chi2.ppf(0.25, neighbors - 6)))


def neighbor_distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (N,) from each point to its sixth neighbour, or to the last where there are fewer."""
    return np.asarray(KDTree(points).query(points, min(7, len(points)))[0])[:, -1]
