"""Similarity transforms between a mesh's own units and the unit frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Array

UNIT_RADIUS = 1.0 / 1.03
"""Radius of the bounding sphere of a shape in the unit frame (DeepSDF, released code)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A similarity transform between source units and the unit frame: source = scale * rotation.T @ unit + center.

    Attributes:
        rotation: (3, 3) proper rotation from source axes to unit axes.
        scale: length in source units of one unit of the unit frame; positive.
        center: (3,) origin of the unit frame, in source units.

    Raises:
        ValueError: the rotation is not a proper rotation, the scale is not positive, or a number is not finite.
    """

    rotation: Array
    scale: float
    center: Array

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        center = np.array(self.center, dtype=np.float64)
        if rotation.shape != (3, 3) or center.shape != (3,):
            raise ValueError(f"a frame takes a (3, 3) rotation and a (3,) center, got {rotation.shape}, {center.shape}")
        scale = float(self.scale)
        if not (np.isfinite(rotation).all() and np.isfinite(center).all() and np.isfinite(scale)):
            raise ValueError("a frame must be finite")
        if scale <= 0:
            raise ValueError(f"the scale of a frame must be positive, got {scale}")
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6) or np.linalg.det(rotation) < 0:
            raise ValueError("the rotation of a frame must be orthogonal with determinant 1")
        for array in (rotation, center):
            array.setflags(write=False)
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "center", center)

    @staticmethod
    def identity() -> Frame:
        """The frame in which source units are the unit frame."""
        return Frame(np.eye(3), 1.0, np.zeros(3))

    @staticmethod
    def around(points: NDArray[Any]) -> Frame:
        """The frame in which points fill the sphere of `UNIT_RADIUS`, axes kept (DeepSDF's normalisation).

        Args:
            points: (M, 3) points in source units. The center is the middle of their bounding box.

        Raises:
            ValueError: no point, a number that is not finite, or all points coincide.
        """
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise ValueError(f"a frame needs points of shape (M, 3) with M >= 1, got {points.shape}")
        if not np.isfinite(points).all():
            raise ValueError("a frame needs finite points")
        center = (points.min(0) + points.max(0)) / 2
        radius = float(np.linalg.norm(points - center, axis=1).max())
        if radius <= 1e-9 * max(1e-300, float(np.abs(center).max())) or radius == 0:
            raise ValueError("all points coincide, so they span no frame")
        return Frame(np.eye(3), radius / UNIT_RADIUS, center)

    def to_unit(self, points: NDArray[Any]) -> Array:
        """Points (..., 3) in source units -> points (..., 3) in the unit frame."""
        return (np.asarray(points, dtype=np.float64) - self.center) @ self.rotation.T / self.scale

    def to_source(self, points: NDArray[Any]) -> Array:
        """Points (..., 3) in the unit frame -> points (..., 3) in source units."""
        return np.asarray(points, dtype=np.float64) @ self.rotation * self.scale + self.center

    def to_source_distance(self, distances: Any) -> Any:
        """Distances in the unit frame -> distances in source units (arrays and tensors alike)."""
        return distances * self.scale

    def inverse(self) -> Frame:
        """The inverse transform: `frame.inverse().to_unit` is `frame.to_source`."""
        return Frame(self.rotation.T, 1.0 / self.scale, -(self.rotation @ self.center) / self.scale)

    def __matmul__(self, inner: Frame) -> Frame:
        """Composition: `(outer @ inner).to_unit(x) == outer.to_unit(inner.to_unit(x))`."""
        return Frame(
            self.rotation @ inner.rotation,
            self.scale * inner.scale,
            inner.center + inner.scale * inner.rotation.T @ self.center,
        )
