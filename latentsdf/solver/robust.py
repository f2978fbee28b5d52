"""How far each point is to be trusted: robust weights from residuals, and the way back from a field to its weights."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..scan.reliability import LEAST_WEIGHT
from .linear_system import Misfit, System

Falling = Literal["none", "geman-mcclure", "welsch"]
"""Names of weight functions: 1 near a residual of zero, falling to 0."""
Robust = Literal["none", "geman-mcclure", "welsch", "learned"]
"""Ways to weigh points: by a function of their residuals, or by the learned reliability of `learned_weights`."""


def robust_scale(residuals: Array, least: float) -> float:
    """Spread of residuals that outliers do not move: 1.4826 times their median size, or `least` if that is more."""
    return max(1.4826 * float(np.median(np.abs(residuals))), least)


def robust_weights(residuals: Array, scale: float, kind: Falling) -> Array:
    """Weights of iteratively reweighted least squares (Holland and Welsch 1977; Geman and McClure 1985).

    Args:
        residuals: (N,) in any unit.
        scale: same unit, positive: residuals of this size keep a quarter (Geman-McClure) or e^-1 (Welsch).
        kind: which function.

    Returns:
        (N,) from `FLOOR` to 1.

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


def isolation_weights(points: Array, kind: Falling, neighbours: int = 8) -> Array:
    """Weights to start from: points farther from their neighbours than most lose theirs.

    Args:
        points: (N, 3) in any frame.
        kind: which weight function; it is applied to the mean distance to the neighbours over twice its median.
        neighbours: how many.

    Returns:
        (N,) from `FLOOR` to 1.
    """
    count = min(neighbours + 1, len(points))
    spacing = np.asarray(KDTree(points).query(points, count)[0])[:, 1:].mean(1)
    return robust_weights(spacing, 2.0 * robust_scale(spacing, np.finfo(np.float64).tiny) / 1.4826, kind)


def weight_gradient(
    system: System, misfit: Misfit, coefficients: Array, cotangent: Array, *, tolerance: float = 1e-6, limit: int = 2000
) -> Array:
    """Derivative of a loss by the weights of a misfit, through the solve (adjoint of A c = b).

    With A y = dL/dc, the derivative by the weight of row i is (row_i . y) (target_i - row_i . c).

    Args:
        system: whose solution the coefficients are.
        misfit: one of the system's misfits, M rows.
        coefficients: (K,), the solution c.
        cotangent: (K,), dL/dc; for a loss of readings of the field this is `System.gathered` of their transpose.
        tolerance: of the adjoint solve.
        limit: iterations of the adjoint solve.

    Returns:
        (M,), dL/dw for each row of the misfit.
    """
    answer, _, _ = system.solve(cotangent, None, tolerance, limit)
    distance = misfit.targets - misfit.reading(system.totals(coefficients))
    return misfit.reading(system.totals(answer)) * distance
