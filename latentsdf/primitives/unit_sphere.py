"""Normalisation of built shapes to the unit sphere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.arrays import Array
from ..core.field import SDF
from .combine import scale, translate

FILL = 0.965
"""Radius of the sphere that the shapes of a family fill."""

Hull = Array


def fit_to_sphere(sdf: SDF, *hulls: Hull) -> SDF:
    """Translate and scale a shape so that points whose convex hull contains it fill the sphere of radius FILL.

    Args:
        sdf: a shape in any units.
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
    """Corners (64, 3) of a regular polygon circumscribed about a circle about the z axis."""
    angles = np.arange(64) * (math.tau / 64)
    outer = radius / math.cos(math.pi / 64)
    return np.stack([outer * np.cos(angles), outer * np.sin(angles), np.full(64, z)], -1)
