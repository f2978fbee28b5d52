"""What the neighbourhood of a point says of its reliability, in numbers that no similarity of the scan changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices

NEAR, WIDE = 10, 40
"""Neighbours in the small and in the large neighbourhood."""
OWN = 22
"""Numbers a point has of its own."""
FEATURES = 3 * OWN
"""Numbers a point has in all: its own, their means over its neighbours, and their medians over the scan."""


def local_features(points: Array, normals: Array | None = None) -> Array:
    """Describe each point by its neighbourhood, for `learned_weights`.

    In two neighbourhoods, which leave out the point itself: how dense they are against the scan and against those of
    the neighbours, how often the point is itself a neighbour, how flat they are, how far the point lies from their
    plane, their middle and the planes of its neighbours, how much the planes turn. Then the size of the connected
    part that the point belongs to, and how given normals agree with the planes and with one another. All of it
    again as means over the large neighbourhood and as medians over the scan, which tell noise from strays.

    Args:
        points: (N, 3) in any frame, at least 4.
        normals: (N, 3) unit normals that were given with the points; None when there are none.

    Returns:
        (N, `FEATURES`), finite, from -4 to 4; invariant to shifts, turns and scale.

    Raises:
        ValueError: fewer than 4 points.
    """
    if len(points) < 4:
        raise ValueError(f"the features of points need at least 4 of them, got {len(points)}")
    distances, nearest = KDTree(points).query(points, min(WIDE, len(points) - 1) + 1)
    distances, nearest = np.asarray(distances)[:, 1:], np.asarray(nearest, dtype=np.int64)[:, 1:]
    # Points that coincide have spacing zero; a millionth of the scan's extent stands for it.
    least = 1e-6 * float(np.ptp(points, axis=0).max()) + np.finfo(np.float64).tiny
    distances = np.maximum(distances, least)
    small = _hood(points, distances[:, :NEAR], nearest[:, :NEAR])
    large = _hood(points, distances, nearest)
    columns = [*_shape(points, small), *_shape(points, large), _part_sizes(small), *_agreement(normals, small, large)]
    own = np.clip(np.stack(columns, 1), -4.0, 4.0)
    around = _mean_over(large.nearest) @ own
    return np.concatenate([own, around, np.broadcast_to(np.median(own, axis=0), own.shape)], 1)


@dataclass(frozen=True, eq=False)
class _Hood:
    """The k nearest neighbours of each point and the plane through them.

    Attributes:
        nearest: (N, k) rows, the point itself left out.
        distances: (N, k) to them.
        spacing: (N,) mean of the distances.
        middle: (N, 3) of the neighbours.
        spreads: (N, 3) standard deviations along the axes, least first.
        normal: (N, 3) the axis of the least spread, sign arbitrary.
    """

    nearest: Indices
    distances: Array
    spacing: Array
    middle: Array
    spreads: Array
    normal: Array


def _hood(points: Array, distances: Array, nearest: Indices) -> _Hood:
    count, k = nearest.shape
    middle, moments = np.empty((count, 3)), np.empty((count, 3, 3))
    for part in np.array_split(np.arange(count), 1 + count // 20_000):
        local = points[nearest[part]]
        middle[part] = local.mean(1)
        local = local - middle[part][:, None]
        moments[part] = local.transpose(0, 2, 1) @ local / k
    spreads, axes = np.linalg.eigh(moments)
    return _Hood(nearest, distances, distances.mean(1), middle, np.sqrt(np.maximum(spreads, 0.0)), axes[:, :, 0])


def _shape(points: Array, hood: _Hood) -> list[Array]:
    """Nine numbers (N,) of one neighbourhood."""
    count, k = hood.nearest.shape
    average = _mean_over(hood.nearest)
    away = points - hood.middle
    residual = np.abs(np.einsum("nd,nd->n", away, hood.normal))
    thickness = hood.spreads[:, 0] + 0.02 * hood.spacing
    to_planes, turns = np.empty(count), np.empty(count)
    for part in np.array_split(np.arange(count), 1 + count // 20_000):
        near = hood.nearest[part]
        steps = points[part][:, None] - hood.middle[near]
        to_planes[part] = np.median(np.abs(np.einsum("nkd,nkd->nk", steps, hood.normal[near])), axis=1)
        turns[part] = 1.0 - np.abs(np.einsum("nkd,nd->nk", hood.normal[near], hood.normal[part])).mean(1)
    named = np.bincount(hood.nearest.reshape(-1), minlength=count) / k
    return [
        np.log(hood.spacing / np.median(hood.spacing)),
        np.log(hood.spacing / (average @ hood.spacing)),
        2.0 * named - 2.0,
        3.0 * hood.spreads[:, 0] / hood.spacing,
        2.0 * hood.spreads[:, 1] / np.maximum(hood.spreads[:, 2], 1e-3 * hood.spacing),
        np.log(residual / thickness + 0.05),
        2.0 * np.sqrt(np.einsum("nd,nd->n", away, away)) / hood.spacing,
        np.log(to_planes / hood.spacing + 0.01),
        4.0 * turns,
    ]


def _part_sizes(hood: _Hood) -> Array:
    """Logarithm of the share of the points in each point's connected part, (N,).

    Mutual neighbours are connected where they are no farther apart than three times the scan's median spacing.
    """
    count, k = hood.nearest.shape
    reach = 3.0 * np.median(hood.distances.mean(1))
    linked = hood.distances <= reach
    rows = np.repeat(np.arange(count), k).reshape(count, k)[linked]
    graph = sparse.csr_array((np.ones(len(rows)), (rows, hood.nearest[linked])), shape=(count, count))
    _, part = csgraph.connected_components(graph.multiply(graph.T), directed=False)
    return 0.5 * np.log(np.bincount(part)[part] / count)


def _agreement(normals: Array | None, small: _Hood, large: _Hood) -> list[Array]:
    """Whether there are normals, and how each agrees with the planes and with its neighbours': three numbers (N,)."""
    if normals is None:
        return [np.zeros(len(small.spacing))] * 3
    agreed = np.empty(len(normals))
    for part in np.array_split(np.arange(len(normals)), 1 + len(normals) // 20_000):
        facing = np.einsum("nkd,nd->nk", normals[small.nearest[part]], normals[part])
        agreed[part] = facing.mean(1)
    with_plane = np.maximum(*(np.abs(np.einsum("nd,nd->n", normals, hood.normal)) for hood in (small, large)))
    return [np.ones(len(normals)), 2.0 * with_plane, 2.0 * agreed]


def _mean_over(nearest: Indices) -> sparse.csr_array:
    """The matrix (N, N) that takes means over neighbours."""
    count, k = nearest.shape
    pointer = np.arange(0, count * k + 1, k)
    return sparse.csr_array((np.full(count * k, 1.0 / k), nearest.reshape(-1), pointer), shape=(count, count))
