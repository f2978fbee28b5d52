"""Near-twins among meshes: copies of another size, position, rotation, reflection or tessellation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh

POINTS = 20_000
QUANTILES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
TOLERANCE = 0.012
"""Largest difference of the numbers of two keys that are called twins."""

Key = npt.NDArray[np.float64]


def shape_key(mesh: trimesh.Trimesh) -> Key:
    """Numbers of a surface that no similarity and no reflection changes.

    They are, over points spread evenly on the surface, about their mean and in units of their mean distance from it:
    the spread along the three principal axes, the size of the third moment, and quantiles of the distance.
    """
    points, _ = trimesh.sample.sample_surface(mesh, POINTS, seed=0)
    points = points - points.mean(0)
    distances = np.linalg.norm(points, axis=1)
    unit = max(float(np.sqrt(np.mean(distances**2))), 1e-12)
    points, distances = points / unit, distances / unit
    spread = np.sqrt(np.linalg.svd(np.cov(points.T), compute_uv=False))
    third = np.linalg.norm(np.einsum("ni,nj,nk->ijk", points, points, points) / len(points)) ** (1 / 3)
    return np.array([*spread, 0.3 * third, *np.quantile(distances, QUANTILES)])


class Twins:
    """Keys of the meshes met so far."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._keys: list[Key] = []

    def of(self, key: Key) -> str | None:
        """Name of a mesh met before that one with this key is a near-twin of, or None."""
        if not self._keys:
            return None
        gaps = np.abs(np.stack(self._keys) - key).max(axis=1)
        nearest = int(gaps.argmin())
        return self.names[nearest] if gaps[nearest] <= TOLERANCE else None

    def add(self, name: str, key: Key) -> None:
        """Remember a mesh."""
        self.names.append(name)
        self._keys.append(key)
