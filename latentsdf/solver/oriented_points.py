"""The points of a solve: checked, with unit normals, in an order that does not depend on the one they came in."""

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
TRUSTED = 0.5
"""Points of less learned reliability take no part in the estimation of normals."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in the unit frame with all that a solve needs of them.

    Attributes:
        points: (N, 3) in the cube [-1, 1]^3, sorted.
        normals: (N, 3) of length one, outward.
        weights: (N,) not negative.
        order: (N,) which of the points given each one is.
        trust: (N,) learned reliability in (0, 1), or 1 each where it was not asked for.
    """

    points: Array
    normals: Array
    weights: Array
    order: Indices
    trust: Array


def checked_cloud(
    points: Scan | ArrayLike,
    normals: ArrayLike | None,
    weights: ArrayLike | None,
    neighbours: int,
    learned: bool = False,
) -> Cloud:
    """Check what was given, sort it, and estimate normals where there are none.

    Args:
        points: a scan, or (N, 3), in the unit frame.
        normals: (N, 3) of any length, outward, or None; None with a scan.
        weights: (N,), or None for 1 each.
        neighbours: points to a plane where normals are estimated.
        learned: find the learned reliability of the points, and estimate normals from the reliable ones alone.

    Raises:
        ValueError: as `solve` says.
    """
    sensor = None
    if isinstance(points, Scan):
        if normals is not None:
            raise ValueError("a scan brings its own normals; give points and normals, or a scan")
        points, normals, sensor = points.points, points.normals, points.sensor
    place = _checked_points(np.asarray(points, dtype=np.float64))
    share = _checked_weights(np.ones(len(place)) if weights is None else np.asarray(weights, dtype=np.float64), place)
    keys = [share, *place.T[::-1]]
    direction = None if normals is None else _checked_normals(np.asarray(normals, dtype=np.float64), place)
    if direction is not None:
        keys = [*direction.T[::-1], *keys]
    order = np.lexsort(keys)
    place = place[order]
    given = None if direction is None else direction[order]
    trust = learned_weights(place, given) if learned else np.ones(len(place))
    if sensor is not None and sensor.ndim == 2:
        sensor = sensor[order]
    direction = _estimated(place, trust, neighbours, sensor) if given is None else given
    return Cloud(place, direction, share[order], order, trust)


def _estimated(points: Array, trust: Array, neighbours: int, sensor: Array | None) -> Array:
    """Normals (N, 3) by the planes of the trusted points; each of the others takes that of the nearest trusted one."""
    trusted = np.flatnonzero(trust >= min(TRUSTED, float(np.median(trust))))
    place = points[trusted]
    if sensor is not None and sensor.ndim == 2:
        sensor = sensor[trusted]
    normals = outward_normals(place, sensor, neighbours=neighbours)
    if len(trusted) == len(points):
        return normals
    return normals[np.asarray(KDTree(place).query(points)[1])]


def _checked_points(points: Array) -> Array:
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must have shape (N, 3), got {points.shape}")
    if len(points) < LEAST_POINTS:
        raise ValueError(f"a solve needs at least {LEAST_POINTS} points, got {len(points)}")
    _all_finite("point", points)
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
    _all_finite("weight", weights[:, None])
    if weights.min() < 0 or weights.max() <= 0:
        raise ValueError(f"weights must not be negative, nor all zero, got {weights.min():g} to {weights.max():g}")
    return weights


def _checked_normals(normals: Array, points: Array) -> Array:
    if normals.shape != points.shape:
        raise ValueError(f"{len(points)} points need as many normals, got shape {normals.shape}")
    _all_finite("normal", normals)
    lengths = np.linalg.norm(normals, axis=1)
    if not lengths.min() > 0:
        raise ValueError(
            f"{int((lengths == 0).sum())} normals have length zero, the first at row {int(lengths.argmin())}; "
            "drop those points, or give none of the normals to have them estimated"
        )
    return normals / lengths[:, None]


def _all_finite(what: str, rows: Array) -> None:
    bad = ~np.isfinite(rows).all(1)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(rows)} {what}s are not finite, the first at row {int(bad.argmax())}; drop them"
        )
