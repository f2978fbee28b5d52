"""Area-uniform sampling of mesh surfaces."""

from __future__ import annotations

import numpy as np
import trimesh

from ..core.arrays import Array


def surface_samples(mesh: trimesh.Trimesh, count: int, seed: int | np.random.Generator = 0) -> tuple[Array, Array]:
    """Draw points uniformly by area on a surface, with the unit normals of their faces.

    Args:
        mesh: the surface, any units.
        count: number of points (M).
        seed: a seed or generator.

    Returns:
        Points (M, 3) and unit normals (M, 3), in the mesh's frame.

    Raises:
        ValueError: the count is negative or the mesh has no area.
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    generator = np.random.default_rng(seed)
    corners = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    sides = corners[:, 1:] - corners[:, :1]
    crosses = np.cross(sides[:, 0], sides[:, 1])
    doubled = np.linalg.norm(crosses, axis=1)
    ends = np.cumsum(doubled)
    if len(ends) == 0 or not ends[-1] > 0:
        raise ValueError(f"the mesh has no area to sample ({len(doubled)} faces)")
    rows = np.searchsorted(ends, generator.random(count) * ends[-1], side="right").clip(max=len(ends) - 1)
    weights = generator.random((count, 2))
    weights = np.where(weights.sum(1, keepdims=True) > 1, 1 - weights, weights)
    points = corners[rows, 0] + np.einsum("mk,mkd->md", weights, sides[rows])
    return points, crosses[rows] / doubled[rows, None]
