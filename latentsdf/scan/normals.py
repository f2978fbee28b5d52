"""Normals of bare points: local planes, their sides, and planes through the neighbours on one side."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from .neighbourhoods import local_pca, neighbour_distances, noise_level
from .orientation import orient_normals

_FEW, _MANY = 13, 30
"""Neighbours to a plane, of points with little noise and with much."""
_NOISY = 1 / 3
"""Noise, as a share of the spacing of the points, above which planes take many neighbours."""
_SIDE = 1.5
"""Neighbours among which those of one side are chosen, as a share of those to a first plane."""


def estimate_normals(points: Array, neighbours: int = _FEW, tree: KDTree | None = None) -> tuple[Array, Indices]:
    """Directions of least spread among the nearest neighbours of each point, signs arbitrary (Hoppe et al. 1992).

    Args:
        points: (M, 3) in any frame, finite.
        neighbours: points to a plane, the point itself included; more smooth noise and round edges.
        tree: of the points, where there is one already.

    Returns:
        Unit directions (M, 3), and the neighbours (M, K), nearest first, with K at most M.

    Raises:
        ValueError: fewer than three points or neighbours.
    """
    if len(points) < 3 or neighbours < 3:
        raise ValueError(f"a plane needs 3 points, got {len(points)} points and {neighbours} neighbours")
    around = np.asarray((tree or KDTree(points)).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    return local_pca(points, around)[:, :, 0], around


def outward_normals(
    points: Array,
    sensor: Array | None = None,
    *,
    neighbours: int | None = None,
    seed: int = 0,
    tree: KDTree | None = None,
    distances: Array | None = None,
    noise: float | None = None,
) -> Array:
    """Estimate unit normals (M, 3) of bare points and orient them.

    `estimate_normals`, `orient_normals`, then planes through neighbours of the same side (`same_side_normals`). With a
    sensor the first planes stay: what a prior is trusted by (`reconstruction.evidence`) was measured with those.

    Args:
        points: (M, 3) in any frame.
        sensor: as for `orient_normals`.
        neighbours: to a plane; None takes 13, or 30 for 1,500 points or more whose noise is above a third of their
            spacing.
        seed: of the choice of points that cast rays.
        tree: of the points, where there is one already.
        distances: (M,) their `neighbour_distances`, where known.
        noise: their `noise_level`, where known.

    Raises:
        ValueError: fewer than three points or neighbours.
    """
    tree = tree or KDTree(points)
    if neighbours is None:
        neighbours = _FEW
        if len(points) >= 50 * _MANY:
            distances = neighbour_distances(points, tree) if distances is None else distances
            noise = noise_level(points, tree=tree) if noise is None else noise
            neighbours = _MANY if noise > _NOISY * float(np.median(distances)) else _FEW
    directions, around = estimate_normals(points, neighbours, tree)
    oriented = orient_normals(points, directions, around, sensor, seed=seed, noise=noise)
    if sensor is not None:
        return oriented
    return same_side_normals(points, oriented, round(_SIDE * neighbours), tree)


def same_side_normals(points: Array, normals: Array, neighbours: int, tree: KDTree | None = None) -> Array:
    """Normals of planes through neighbours whose normals agree, each weighted by the cosine, or zero if negative.

    A first plane mixes the faces on both sides of an edge or of a thin wall.

    Args:
        points: (M, 3) in any frame.
        normals: (M, 3) unit, oriented.
        neighbours: of which those that agree count, the point itself included.
        tree: of the points, where there is one already.

    Returns:
        (M, 3) unit, on the sides of `normals`.
    """
    around = np.asarray((tree or KDTree(points)).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    cosines = np.clip(np.einsum("nka,na->nk", normals[around], normals), 0.0, 1.0)
    directions = local_pca(points, around, cosines)[:, :, 0]
    facing = np.einsum("na,na->n", directions, normals) >= 0
    return np.where(facing[:, None], directions, -directions)
