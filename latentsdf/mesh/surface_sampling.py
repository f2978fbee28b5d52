"""Points spread over the surface of a mesh."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray


def surface_samples(
    mesh: trimesh.Trimesh, count: int, seed: int | np.random.Generator = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points spread uniformly by area over a surface, with the unit normals of their faces.

    Args:
        mesh: the surface, any units.
        count: how many points (M).
        seed: seed or generator of the draw.

    Returns:
        Points (M, 3) and unit normals (M, 3), in the mesh's frame.

    Raises:
        ValueError: the count is negative or the mesh has no area.
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    rng = np.random.default_rng(seed)
    corners = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    sides = corners[:, 1:] - corners[:, :1]
    crosses = np.cross(sides[:, 0], sides[:, 1])
    doubled = np.linalg.norm(crosses, axis=1)
    ends = np.cumsum(doubled)
    if len(ends) == 0 or not ends[-1] > 0:
        raise ValueError(f"the mesh has no area to sample ({len(doubled)} faces)")
    chosen = np.searchsorted(ends, rng.random(count) * ends[-1], side="right").clip(max=len(ends) - 1)
    weights = rng.random((count, 2))
    weights = np.where(weights.sum(1, keepdims=True) > 1, 1 - weights, weights)
    points = corners[chosen, 0] + np.einsum("mk,mkd->md", weights, sides[chosen])
    return points, crosses[chosen] / doubled[chosen, None]
