"""Exact t-SNE: points in the plane whose neighbours are those of the given distances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array

PERPLEXITY = 15.0
"""Effective number of neighbours of a shape; larger shows coarser structure."""
STEPS, EARLY_STEPS, EXAGGERATION = 500, 250, 12.0

_FLOOR = 1e-30


def tsne(distances: Array, start: Array, on_progress: Callable[[float], None] | None = None) -> Array:
    """Embed points in the plane by exact t-SNE (van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008).

    Minimises KL(P || Q) over y by gradient descent with momentum and gains, where p_ij is a symmetrised Gaussian of the
    distance with a width by perplexity, and q_ij is proportional to 1 / (1 + |y_i - y_j|^2). Attraction is exaggerated
    in the first half, and the start is given (Kobak and Berens, "The art of using t-SNE", 2019), so nothing is random.
    Time and memory are of order S^2.

    Args:
        distances: (S, S), symmetric, S >= 3.
        start: (S, 2), such as principal components; it is scaled to a standard deviation of 1e-4.
        on_progress: called with the share of the steps taken.

    Returns:
        (S, 2), centred.
    """
    count = len(distances)
    similar = _similarities(distances, min(PERPLEXITY, max(2.0, (count - 1) / 3)))
    rate = np.float32(max(count / EXAGGERATION / 4, 50.0))
    points: NDArray[np.float32] = (start * (1e-4 / max(float(start.std(axis=0).max()), 1e-12))).astype(np.float32)
    velocity, gains = np.zeros_like(points), np.ones_like(points)
    for step in range(STEPS):
        early = step < EARLY_STEPS
        gradient = _gradient(similar * np.float32(EXAGGERATION) if early else similar, points)
        gains = np.maximum(np.where(gradient * velocity > 0, gains * 0.8, gains + 0.2), 0.01).astype(np.float32)
        velocity = np.float32(0.5 if early else 0.8) * velocity - rate * gains * gradient
        points += velocity
        if on_progress is not None:
            on_progress((step + 1) / STEPS)
    return (points - points.mean(axis=0)).astype(np.float64)


def _gradient(similar: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient (S, 2): 4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2)."""
    weights = points @ points.T
    weights *= -2
    squared = np.square(points).sum(1)
    weights += squared[:, None]
    weights += squared
    np.maximum(weights, 0, out=weights)
    weights += 1
    np.reciprocal(weights, out=weights)
    np.fill_diagonal(weights, 0)
    forces = weights * np.float32(-1 / max(float(weights.sum(dtype=np.float64)), _FLOOR))
    forces += similar
    forces *= weights
    return 4 * (forces.sum(1)[:, None] * points - forces @ points)


def _similarities(distances: Array, perplexity: float) -> NDArray[np.float32]:
    """Probabilities P (S, S) of sum 1, with Gaussian widths by bisection to the entropy log(perplexity)."""
    squared = np.square(distances)
    np.fill_diagonal(squared, np.inf)
    squared -= squared.min(axis=1, keepdims=True)
    low, high = np.full(len(squared), -20.0), np.full(len(squared), 40.0)
    for _ in range(50):
        middle = (low + high) / 2
        near = np.exp(-squared * np.exp(middle)[:, None])
        near /= near.sum(axis=1, keepdims=True)
        wide = -(near * np.log(np.maximum(near, _FLOOR))).sum(axis=1) > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return ((near + near.T) / (2 * len(near))).astype(np.float32)
