"""Placing a shape built in its own units into the unit sphere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.field import SDF
from .combine import scale, translate

FILL = 0.965
"""Radius of the sphere that a family's shapes fill."""

Hull = NDArray[np.float64]


def fitted(sdf: SDF, *hulls: Hull) -> SDF:
    """The shape moved and scaled so that points whose hull holds it fill the sphere of radius FILL.

    Args:
        sdf: a shape in units of its own.
        hulls: (M, 3) points each; the shape lies in their common convex hull.
    """
    points = np.concatenate(hulls)
    center = (points.min(0) + points.max(0)) / 2
    radius = float(np.linalg.norm(points - center, axis=1).max())
    return scale(translate(sdf, [float(value) for value in -center]), FILL / radius)


def corners(low: Sequence[float], high: Sequence[float]) -> Hull:
    """The eight corners of an axis-aligned box, (8, 3)."""
    grid = np.meshgrid(*zip(low, high, strict=True), indexing="ij")
    return np.stack(grid, -1).reshape(8, 3).astype(np.float64)


def circle(radius: float, z: float) -> Hull:
    """Corners of a regular polygon around a circle around the z axis, (64, 3)."""
    angles = np.arange(64) * (math.tau / 64)
    outer = radius / math.cos(math.pi / 64)
    return np.stack([outer * np.cos(angles), outer * np.sin(angles), np.full(64, z)], -1)
