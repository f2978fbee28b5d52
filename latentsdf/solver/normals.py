"""Normals of bare points: a plane through the neighbours of each, then one side for all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

from latentsdf.planes import local_axes
from latentsdf.scan import Scan

from .bspline import Array

_DIRECTIONS = np.array([step for step in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(step)])


def estimate_normals(points: Array, neighbours: int = 16) -> tuple[Array, NDArray[np.int64]]:
    """Directions of least spread among the nearest neighbours of each point, signs arbitrary (Hoppe et al. 1992).

    Args:
        points: (N, 3) in any frame, finite.
        neighbours: points a plane is laid through, the point itself included; more smooths noise and rounds edges.

    Returns:
        Unit directions (N, 3), and the neighbours (N, k), nearest first, with k at most N.

    Raises:
        ValueError: fewer than three points or neighbours.
    """
    if len(points) < 3 or neighbours < 3:
        raise ValueError(f"a plane needs 3 points, got {len(points)} points and neighbours={neighbours}")
    nearest = np.asarray(KDTree(points).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    return local_axes(points, nearest)[:, :, 0], nearest


def orient_normals(points: Array, directions: Array, nearest: NDArray[np.int64], sensor: Array | None = None) -> Array:
    """Choose signs so that neighbours agree and the whole points outward.

    Without a sensor, signs spread along the minimum spanning tree of the neighbour graph, whose edges cost
    1 - |n . n'| (Hoppe et al., "Surface reconstruction from unorganized points", 1992); the sign of each connected
    part is the one that its extreme points in 26 directions vote for.

    Args:
        points: (N, 3).
        directions: (N, 3) unit, signs arbitrary.
        nearest: (N, k) neighbours of each point.
        sensor: (3,) where all points were seen from, or (N, 3) where each was, same frame: every normal then faces
            its sensor.

    Returns:
        (N, 3) unit normals.
    """
    if sensor is not None:
        facing = np.einsum("nd,nd->n", sensor - points, directions) >= 0
        return np.where(facing[:, None], directions, -directions)
    count, each = nearest.shape
    start = np.repeat(np.arange(count), each)
    end = nearest.reshape(-1)
    # A cost of exactly zero would mean no edge; the small constant keeps equal costs in the order of the points.
    cost = 1.0 - np.abs(np.einsum("nd,nd->n", directions[start], directions[end])) + 1e-6
    apart = start != end
    graph = sparse.coo_array((cost[apart], (start[apart], end[apart])), shape=(count, count)).tocsr()
    graph = graph.maximum(graph.T)
    tree = csgraph.minimum_spanning_tree(graph)
    tree = (tree + tree.T).tocsr()
    parts, part = csgraph.connected_components(tree, directed=False)
    parent = np.arange(count)
    roots = np.unique(part, return_index=True)[1]
    for root in roots:
        order, before = csgraph.breadth_first_order(tree, root, directed=False)
        parent[order[1:]] = before[order[1:]]
    sign = np.where(np.einsum("nd,nd->n", directions, directions[parent]) < 0, -1.0, 1.0)
    # Each pass doubles the way to the ancestor whose sign is included; a root has sign 1 and is its own parent.
    while not np.array_equal(parent, parent[parent]):
        sign, parent = sign * sign[parent], parent[parent]
    normals = directions * sign[:, None]
    votes = np.zeros(parts)
    for direction in _DIRECTIONS / np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True):
        ranked = np.lexsort((points @ direction, part))
        extreme = ranked[np.append(np.flatnonzero(np.diff(part[ranked])), count - 1)]
        votes[part[extreme]] += normals[extreme] @ direction
    return normals * np.where(votes < 0, -1.0, 1.0)[part][:, None]


def merge_views(views: Sequence[Scan], neighbours: int = 16) -> Scan:
    """One scan with normals from views of one object, each with its own sensor.

    Planes are laid through the points of all views together, and each normal faces the sensor that saw its point: no
    orientation has to be guessed. Normals that the views bring are not used.

    Args:
        views: scans in one frame and unit, each with its sensor.
        neighbours: as for `estimate_normals`.

    Returns:
        All points in the order of the views, with normals; no sensor, since there is more than one.

    Raises:
        ValueError: no view, or one without a sensor.

    Example:
        >>> whole = merge_views([virtual_scan(mesh, views=1, seed=seed) for seed in range(4)])
    """
    if not views:
        raise ValueError("there is no view to merge")
    sensors: list[Array] = []
    for number, view in enumerate(views):
        if view.sensor is None:
            raise ValueError(f"view {number} ({view.name or 'no name'}) has no sensor; give it where it was seen from")
        sensors.append(np.broadcast_to(view.sensor, view.points.shape))
    points = np.concatenate([view.points for view in views])
    directions, nearest = estimate_normals(points, neighbours)
    return Scan(points, orient_normals(points, directions, nearest, np.concatenate(sensors)), name=views[0].name)
