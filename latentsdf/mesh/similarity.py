"""Similarity transforms that may mirror."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core.arrays import Array


class Similarity(NamedTuple):
    """A similarity transform: target = scale * rotation @ source + shift.

    `Frame` holds proper rotations only; here the determinant of the rotation is 1 or -1.

    Attributes:
        rotation: (3, 3), orthogonal.
        scale: positive.
        shift: (3,), in target units.
    """

    rotation: Array
    scale: float
    shift: Array

    @staticmethod
    def identity() -> Similarity:
        """The transform that changes nothing."""
        return Similarity(np.eye(3), 1.0, np.zeros(3))

    @property
    def mirrored(self) -> bool:
        """Whether it turns left hands into right ones."""
        return bool(np.linalg.det(self.rotation) < 0)

    @property
    def angle(self) -> float:
        """Angle of the rotation in degrees; of a mirroring, that about the normal of the mirror plane.

        A plain reflection has angle 0: with its eigenvalue -1 taken off, tr R = 2 cos(angle) - 1, and 2 cos(angle) + 1
        for proper rotations.
        """
        sign = -1.0 if self.mirrored else 1.0
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - sign) / 2, -1.0, 1.0))))

    def apply(self, points: Array) -> Array:
        """Transform points (..., 3)."""
        return self.scale * (points @ self.rotation.T) + self.shift

    def inverse(self) -> Similarity:
        """The transform from target to source."""
        return Similarity(self.rotation.T, 1 / self.scale, -(self.rotation.T @ self.shift) / self.scale)

    def __matmul__(self, inner: Similarity) -> Similarity:  # type: ignore[override]
        """Composition: `(outer @ inner).apply(x) == outer.apply(inner.apply(x))`."""
        return Similarity(self.rotation @ inner.rotation, self.scale * inner.scale, self.apply(inner.shift))
