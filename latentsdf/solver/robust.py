"""Robust weights of points from residuals, and the gradient of a loss in the weights through the solve."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..scan.reliability import LEAST_WEIGHT
from .linear_system import Misfit, System

Kernel = Literal["none", "geman-mcclure", "welsch"]
"""Names of robust kernels: weight functions that fall from 1 at residual zero to 0 (redescending M-estimators)."""
Weighting = Literal["none", "geman-mcclure", "welsch", "learned"]
"""Sources of the weights of points: a kernel of their residuals, or the learned reliability of `learned_weights`."""


def robust_scale(residuals: Array, least: float) -> float:
    """Robust standard deviation of residuals r (N,): 1.4826 median |r|, and at least `least`."""
    return max(1.4826 * float(np.median(np.abs(residuals))), least)


def robust_weights(residuals: Array, scale: float, kind: Kernel) -> Array:
    """Weights of iteratively reweighted least squares (Holland and Welsch 1977; Geman and McClure 1985).

    With q = (r / scale)^2: (1 + q)^-2 (Geman-McClure) or exp(-q) (Welsch).

    Args:
        residuals: (N,) in any unit.
        scale: same unit, positive: residuals of this size have weight 1/4 (Geman-McClure) or e^-1 (Welsch).
        kind: of kernel.

    Returns:
        (N,) from `LEAST_WEIGHT` to 1.

    Raises:
        ValueError: a scale that is not positive, or an unknown kind.
    """
    if not scale > 0:
        raise ValueError(f"the scale of robust weights must be positive, got {scale}")
    ratio = (residuals / scale) ** 2
    if kind == "none":
        return np.ones_like(ratio)
    if kind == "geman-mcclure":
        return np.maximum((1.0 + ratio) ** -2, LEAST_WEIGHT)
    if kind == "welsch":
        return np.maximum(np.exp(-ratio), LEAST_WEIGHT)
    raise ValueError(f"unknown robust weights {kind!r}; take 'none', 'geman-mcclure' or 'welsch'")


def isolation_weights(points: Array, kind: Kernel, neighbours: int = 8) -> Array:
    """Initial weights: isolated points, with mean distances to their neighbours above the median, get small ones.

    Args:
        points: (N, 3) in any frame.
        kind: of kernel, applied to the mean distance to the neighbours with twice the median as its scale.
        neighbours: of each point.

    Returns:
        (N,) from `LEAST_WEIGHT` to 1.
    """
    count = min(neighbours + 1, len(points))
    spacing = np.asarray(KDTree(points).query(points, count)[0])[:, 1:].mean(1)
    return robust_weights(spacing, 2.0 * robust_scale(spacing, np.finfo(np.float64).tiny) / 1.4826, kind)


def weight_gradient(
    system: System, misfit: Misfit, coefficients: Array, cotangent: Array, *, tolerance: float = 1e-6, limit: int = 2000
) -> Array:
    """Gradient of a loss in the weights of a misfit, through the solve (adjoint of A c = b).

    With A y = dL/dc, the derivative in the weight of row i is (row_i . y) (target_i - row_i . c).

    Args:
        system: solved by the coefficients.
        misfit: one of the system's misfits, M rows.
        coefficients: (K,), the solution c.
        cotangent: (K,), dL/dc; for values of the field, `System.restrict` of the transposed evaluation.
        tolerance: of the adjoint solve.
        limit: iterations of the adjoint solve.

    Returns:
        (M,), dL/dw for each row of the misfit.
    """
    adjoint, _, _ = system.solve(cotangent, None, tolerance, limit)
    distance = misfit.targets - misfit.evaluation(system.totals(coefficients))
    return misfit.evaluation(system.totals(adjoint)) * distance
