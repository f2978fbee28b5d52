"""Point-to-plane registration of one surface on another: with scale, or with an affine map."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.arrays import Array
from .similarity import Similarity
from .surface import Surface

POINTS = 300
"""Samples of the moved surface in each step."""
_DAMPING, _STILL = 1e-6, 1e-7
_LARGEST, _GROWTH = 0.5, 0.2


def refine(
    a: Surface, b: Surface, start: Similarity, steps: int, *, robust: bool = False, exact: bool = True
) -> Similarity:
    """Refine a transform between the normalised frames of two surfaces by point-to-plane ICP with scale.

    Each step minimises sum v (n . (p + w x p + g p + t - q))^2 over the rotation vector w, growth g and shift t, with
    q the point of b closest to p and n its normal (Chen and Medioni, "Object modelling by registration", 1992). The
    weights v are one, or for robust steps (1 + d^2 / c^2)^-2 (Geman and McClure) of the distance d from p to q, with c
    twice the median distance.

    Args:
        a, b: the moved and the fixed surface.
        start: first transform, which may mirror.
        steps: at most.
        robust: for parts of a, less than half of it, that lie nowhere on b.
        exact: whether q is the closest point of b, or the closest one of its samples, which is faster.
    """
    current, points = start, a.points[:POINTS]
    for _ in range(steps):
        moved = current.apply(points)
        distances, nearest, normals = b.closest(moved) if exact else b.nearest_samples(moved)
        columns = [np.cross(moved, normals), (moved * normals).sum(1, keepdims=True), normals]
        weights = _weights(distances) if robust else np.ones(len(distances))
        step = _solve(np.concatenate(columns, axis=1), ((nearest - moved) * normals).sum(1), weights)
        step[:3] *= min(1.0, _LARGEST / max(float(np.linalg.norm(step[:3])), 1e-12))
        growth = float(np.exp(np.clip(step[3], -_GROWTH, _GROWTH)))
        current = Similarity(Rotation.from_rotvec(step[:3]).as_matrix(), growth, step[4:]) @ current
        if np.abs(step).max() < _STILL:
            break
    return current


def refine_affine(a: Surface, b: Surface, start: Similarity, steps: int) -> tuple[Array, Array]:
    """Refine an affine map p -> M p + t between the normalised frames of two surfaces by point-to-plane steps.

    Returns:
        M (3, 3) and t (3,).
    """
    points = a.points[:POINTS]
    matrix, shift = start.scale * start.rotation, start.shift
    for _ in range(steps):
        moved = points @ matrix.T + shift
        _, nearest, normals = b.closest(moved)
        products = (normals[:, :, None] * moved[:, None, :]).reshape(-1, 9)
        columns = np.concatenate([products, normals], axis=1)
        step = _solve(columns, ((nearest - moved) * normals).sum(1), np.ones(len(points)))
        growth = np.eye(3) + step[:9].reshape(3, 3).clip(-_GROWTH, _GROWTH)
        matrix, shift = growth @ matrix, growth @ shift + step[9:]
        if np.abs(step).max() < _STILL:
            break
    return matrix, shift


def _weights(distances: Array) -> Array:
    width = max(2 * float(np.median(distances)), 1e-4)
    return (1 + np.square(distances / width)) ** -2


def _solve(matrix: Array, values: Array, weights: Array) -> Array:
    """Weighted least squares with a little damping, which stops motions that leave the surface on itself."""
    weighted = matrix * weights[:, None]
    damping = _DAMPING * weights.sum() * np.eye(matrix.shape[1])
    return np.linalg.solve(weighted.T @ matrix + damping, weighted.T @ values)
