"""Lattices over the cube [-1, 1]^3, visited coarse to fine and only where the surface can be near.

The released Compact-SDF code takes the cells that hold mesh vertices and leaves holes under large triangles; the
distance leaves none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..mesh.distance import MeshSDF

UnsignedDistance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Points (N, 3) in, distances (N,) >= 0 out."""


def truncated_lattice(sdf: MeshSDF, resolution: int, truncation: float) -> NDArray[np.float16]:
    """The signed distance on a cubic lattice, clipped to the truncation, exact inside it.

    Args:
        sdf: a mesh in the unit frame.
        resolution: R, points per axis at linspace(-1, 1, R).
        truncation: the distance that values are clipped to, in the unit frame.

    Returns:
        (R, R, R) float16, axes x, y, z.

    Raises:
        ValueError: fewer than two points per axis, or a truncation that is not positive.
    """
    if resolution < 2 or not truncation > 0:
        raise ValueError(f"a lattice needs 2 points per axis and a truncation > 0, got {resolution}, {truncation}")
    blocks = Blocks(resolution, 2.0 / (resolution - 1))
    far: list[tuple[NDArray[np.int64], int]] = []
    index, distances = blocks.near(sdf.distance, truncation, smallest=1, far=far)
    centres = [blocks.centres(origins, size) for origins, size in far]
    # One call for all signs: each call builds the winding-number hierarchy anew.
    inside = sdf.inside(np.concatenate([blocks.centres(index, 1), *centres]))
    values = np.full((resolution,) * 3, truncation)
    values[tuple(index.T)] = np.where(inside[: len(index)], -distances, distances)
    start = len(index)
    for origins, size in far:
        negative = origins[inside[start : start + len(origins)]]
        start += len(origins)
        cells = (negative[:, None] + corner_grid(size)).reshape(-1, 3)
        values[tuple(cells[(cells < resolution).all(1)].T)] = -truncation
    return values.astype(np.float16)


def corner_grid(size: int) -> NDArray[np.int64]:
    """Index offsets (K, 3) of the K = size^3 points of a block."""
    return np.stack(np.unravel_index(np.arange(size**3), (size,) * 3), axis=1)


class Blocks:
    """Cubic blocks of the points of a lattice over the cube, refined where the surface may be near.

    Args:
        points: lattice points per axis.
        spacing: between neighbours, in the unit frame; point i lies at -1 + i * spacing.
    """

    def __init__(self, points: int, spacing: float):
        self.points, self.spacing = points, spacing

    def centres(self, origins: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        """Centres (K, 3) of blocks of size^3 points whose lowest points have indices (K, 3)."""
        return np.asarray((origins + (size - 1) / 2) * self.spacing - 1.0, dtype=np.float64)

    def near(
        self,
        distance: UnsignedDistance,
        reach: float,
        *,
        smallest: int,
        far: list[tuple[NDArray[np.int64], int]] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """All blocks of the smallest size that can hold a point within reach of the surface.

        A block of n^3 points whose centre is at distance d holds none if d > reach + sqrt(3) (n - 1) / 2 * spacing.

        Args:
            distance: unsigned distance, 1-Lipschitz.
            reach: the distance, in the unit frame.
            smallest: the block size to stop at, a power of two.
            far: a list that gets (origins, size) of every block that was discarded.

        Returns:
            Lowest indices (K, 3) of the blocks, and the distances (K,) at their centres.
        """
        size = smallest
        while size * 8 < self.points:
            size *= 2
        origins = corner_grid(-(-self.points // size)) * size
        while True:
            values = distance(self.centres(origins, size))
            # Single-precision distances may be off by a rounding; a single point has no extent to allow for.
            slack = (size - 1) / 2 * self.spacing * np.sqrt(3.0) + 1e-6 * (size > 1)
            near = values <= reach + slack
            if far is not None:
                far.append((origins[~near], size))
            origins, values = origins[near], values[near]
            if size == smallest:
                return origins, values
            size //= 2
            origins = (origins[:, None] + corner_grid(2) * size).reshape(-1, 3)
            origins = origins[(origins < self.points).all(1)]
