"""Planes through the neighbours of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def local_axes(points: NDArray[np.float64], around: NDArray[np.int64]) -> NDArray[np.float64]:
    """Principal axes of the neighbourhood of each point (Hoppe et al. 1992), signs arbitrary.

    Args:
        points: (N, 3) in any frame.
        around: (N, K) rows of the neighbours of each point, K >= 3, the point itself among them if it is to count.

    Returns:
        (N, 3, 3) unit axes as columns, that of the least spread (the normal of the plane) first.
    """
    axes = np.empty((len(points), 3, 3))
    for part in np.array_split(np.arange(len(points)), 1 + len(points) // 100_000):
        local = points[around[part]]
        local = local - local.mean(1, keepdims=True)
        axes[part] = np.linalg.eigh(np.einsum("nka,nkb->nab", local, local))[1]
    return axes
