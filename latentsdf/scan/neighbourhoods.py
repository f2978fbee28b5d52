"""Local surface fits: principal axes, noise level and spacing of points from their nearest neighbours."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices


def local_pca(points: Array, around: Indices, weights: Array | None = None) -> Array:
    """Principal axes of the neighbourhood of each point (Hoppe et al. 1992), signs arbitrary.

    Args:
        points: (M, 3) in any frame.
        around: (N, K) rows of the neighbours of each query, K >= 3; a query counts if it is among its neighbours.
        weights: (N, K) of the neighbours, not negative and not all zero; None is 1 each.

    Returns:
        (N, 3, 3) unit axes as columns, that of the least spread (the normal of the plane) first.
    """
    axes = np.empty((len(around), 3, 3))
    for part in np.array_split(np.arange(len(around)), 1 + len(around) // 100_000):
        local = points[around[part]]
        if weights is None:
            local = local - local.mean(1, keepdims=True)
        else:
            weight = weights[part, :, None]
            local = np.sqrt(weight) * (local - (weight * local).sum(1, keepdims=True) / weight.sum(1, keepdims=True))
        axes[part] = np.linalg.eigh(np.einsum("nka,nkb->nab", local, local))[1]
    return axes


def noise_level(
    points: Array, *, neighbours: int = 14, count: int = 2000, seed: int = 0, tree: KDTree | None = None
) -> float:
    """Standard deviation of the noise across the surface, from residuals of local paraboloid fits.

    With r the residuals of a fit to k neighbours, sum r^2 / sigma^2 is chi-squared with k - 6 degrees of freedom; sigma
    matches the lower quartile of both over the points, which edges, thin walls and outliers hardly move. Waves no wider
    than a neighbourhood count as noise.

    Args:
        points: (M, 3) in any frame.
        neighbours: k, points per paraboloid, which has 6 coefficients; more resolve less noise, and count wider waves.
        count: how many of the points are fitted around.
        seed: of the choice of those points.
        tree: of the points, where there is one already.

    Returns:
        In the unit of the points; 0 where there are too few points for an estimate.
    """
    if len(points) <= neighbours or neighbours <= 6:
        return 0.0
    queries = points[np.random.default_rng(seed).permutation(len(points))[:count]]
    around = np.asarray((tree or KDTree(points)).query(queries, neighbours)[1], dtype=np.int64)
    local = points[around] - points[around].mean(1, keepdims=True)
    height, x, y = np.moveaxis(np.einsum("nka,nab->nkb", local, local_pca(points, around)), 2, 0)
    size = np.maximum(np.sqrt((x**2 + y**2).mean(1, keepdims=True)), np.finfo(np.float64).tiny)
    x, y = x / size, y / size
    terms, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2))
    residuals = height - np.einsum("nkt,njt,nj->nk", terms, terms, height)
    return float(np.sqrt(np.quantile((residuals**2).sum(1), 0.25) / stats.chi2.ppf(0.25, neighbours - 6)))


def neighbour_distances(points: Array, tree: KDTree | None = None) -> Array:
    """Distance (M,) from each point (M, 3) to its sixth neighbour, or to the last where there are fewer.

    Args:
        points: (M, 3) in any frame.
        tree: of the points, where there is one already.
    """
    return np.asarray((tree or KDTree(points)).query(points, min(7, len(points)))[0])[:, -1]
