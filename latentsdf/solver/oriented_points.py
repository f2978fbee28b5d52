"""Oriented points of a solve: validated, with unit normals, in an order independent of the input's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from ..scan.normals import outward_normals
from ..scan.reliability import learned_weights
from ..scan.scan import Scan

LEAST_POINTS = 10
"""Fewer points than this are refused."""
NEIGHBOURS = 16
"""Points to a plane where normals are estimated; more smooth noise and round edges."""
RELIABLE = 0.5
"""Learned reliability below which points take no part in the estimation of normals."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in the unit frame with normals and weights, ready for a solve.

    Attributes:
        points: (N, 3) in the cube [-1, 1]^3, sorted.
        normals: (N, 3) of length one, outward.
        weights: (N,) not negative.
        order: (N,) row of each among the points given.
        reliability: (N,) learned, in (0, 1), or 1 each where it was not asked for.
    """

    points: Array
    normals: Array
    weights: Array
    order: Indices
    reliability: Array


def checked_cloud(
    points: Scan | ArrayLike, normals: ArrayLike | None, weights: ArrayLike | None, *, learned: bool = False
) -> Cloud:
    """Validate and sort points, and estimate normals where there are none.

    Args:
        points: a scan, or (N, 3), in the unit frame.
        normals: (N, 3) of any length, outward, or None; None with a scan.
        weights: (N,), or None for 1 each.
        learned: whether to find the learned reliability of the points, and estimate normals from reliable ones alone.

    Raises:
        ValueError: as for `solve`.
    """
    sensor = None
    if isinstance(points, Scan):
        if normals is not None:
            raise ValueError("a scan brings its own normals; give points and normals, or a scan")
        points, normals, sensor = points.points, points.normals, points.sensor
    points = _checked_points(np.asarray(points, dtype=np.float64))
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    keys = [_checked_weights(weights, points), *points.T[::-1]]
    directions = None if normals is None else _checked_normals(np.asarray(normals, dtype=np.float64), points)
    order = np.lexsort(keys if directions is None else [*directions.T[::-1], *keys])
    points, directions = points[order], None if directions is None else directions[order]
    reliability = learned_weights(points, directions) if learned else np.ones(len(points))
    if directions is None:
        sensor = sensor[order] if sensor is not None and sensor.ndim == 2 else sensor
        directions = _estimate_normals(points, reliability, sensor)
    return Cloud(points, directions, weights[order], order, reliability)


def _estimate_normals(points: Array, reliability: Array, sensor: Array | None) -> Array:
    """Normals (N, 3) by planes through reliable points; each other point takes that of the nearest reliable one."""
    rows = np.flatnonzero(reliability >= min(RELIABLE, float(np.median(reliability))))
    reliable = points[rows]
    if sensor is not None and sensor.ndim == 2:
        sensor = sensor[rows]
    normals = outward_normals(reliable, sensor, neighbours=NEIGHBOURS)
    if len(rows) == len(points):
        return normals
    return normals[np.asarray(KDTree(reliable).query(points)[1])]


def _checked_points(points: Array) -> Array:
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must have shape (N, 3), got {points.shape}")
    if len(points) < LEAST_POINTS:
        raise ValueError(f"a solve needs at least {LEAST_POINTS} points, got {len(points)}")
    _require_finite("point", points)
    outside = int((np.abs(points) > 1.0).any(1).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(points)} points lie outside the cube [-1, 1]^3, the farthest coordinate is "
            f"{np.abs(points).max():g}; bring them to the unit frame, as scan.transformed(scan.frame()) does"
        )
    centred = points - points.mean(0)
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(centred.T @ centred / len(points)), 0.0))
    # The root of a rounding error of the second moments is about 1e-8 of the largest spread.
    if not spread[1] > max(1e-6 * spread[2], 1e-9):
        raise ValueError("all points lie at one place or on one line, so they span no surface; scan more of it")
    return points


def _checked_weights(weights: Array, points: Array) -> Array:
    if weights.shape != (len(points),):
        raise ValueError(f"{len(points)} points need as many weights, got shape {weights.shape}")
    _require_finite("weight", weights[:, None])
    if weights.min() < 0 or weights.max() <= 0:
        raise ValueError(f"weights must not be negative, nor all zero, got {weights.min():g} to {weights.max():g}")
    return weights


def _checked_normals(normals: Array, points: Array) -> Array:
    if normals.shape != points.shape:
        raise ValueError(f"{len(points)} points need as many normals, got shape {normals.shape}")
    _require_finite("normal", normals)
    lengths = np.linalg.norm(normals, axis=1)
    if not lengths.min() > 0:
        raise ValueError(
            f"{int((lengths == 0).sum())} normals have length zero, the first at row {int(lengths.argmin())}; "
            "drop those points, or give none of the normals to have them estimated"
        )
    return normals / lengths[:, None]


def _require_finite(kind: str, rows: Array) -> None:
    bad = ~np.isfinite(rows).all(1)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(rows)} {kind}s are not finite, the first at row {int(bad.argmax())}; drop them"
        )
