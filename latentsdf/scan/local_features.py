"""Features of each point's neighbourhood that no similarity of the scan changes, for the learned reliability."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices

NEAR, WIDE = 10, 40
"""Neighbours in the small and in the large neighbourhood."""
OWN = 22
"""Features of a point itself."""
FEATURES = 3 * OWN
"""All features of a point: its own, their means over its neighbours, and their medians over the scan."""


def local_features(points: Array, normals: Array | None = None) -> Array:
    """Describe each point by its neighbourhood, for `learned_weights`.

    In two neighbourhoods, which leave out the point itself: their density relative to the scan and to those of the
    neighbours, how often the point is itself a neighbour, flatness, the distance of the point from their plane, from
    their mean and from the planes of its neighbours, and the variation of these planes. Then the size of the connected
    component of the point, and the agreement of given normals with the planes and with one another. All of it again as
    means over the large neighbourhood and as medians over the scan, which tell noise from outliers.

    Args:
        points: (N, 3) in any frame, at least 4.
        normals: (N, 3) unit normals that were given with the points; None when there are none.

    Returns:
        (N, `FEATURES`), finite, from -4 to 4; invariant to translation, rotation and scale.

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
    small = _fit_neighbourhoods(points, distances[:, :NEAR], nearest[:, :NEAR])
    large = _fit_neighbourhoods(points, distances, nearest)
    columns = [*_shape_features(points, small), *_shape_features(points, large), _component_sizes(small)]
    own = np.clip(np.stack([*columns, *_normal_features(normals, small, large)], 1), -4.0, 4.0)
    means = _averaging_matrix(large.nearest) @ own
    return np.concatenate([own, means, np.broadcast_to(np.median(own, axis=0), own.shape)], 1)


class _Neighbourhoods(NamedTuple):
    """The k nearest neighbours of each point and the plane through them.

    Attributes:
        nearest: (N, k) rows, the point itself left out.
        distances: (N, k) to them.
        spacing: (N,) mean of the distances.
        mean: (N, 3) of the neighbours.
        spreads: (N, 3) standard deviations along the principal axes, least first.
        normal: (N, 3) the axis of the least spread, sign arbitrary.
    """

    nearest: Indices
    distances: Array
    spacing: Array
    mean: Array
    spreads: Array
    normal: Array


def _fit_neighbourhoods(points: Array, distances: Array, nearest: Indices) -> _Neighbourhoods:
    count, k = nearest.shape
    mean, moments = np.empty((count, 3)), np.empty((count, 3, 3))
    for part in np.array_split(np.arange(count), 1 + count // 20_000):
        local = points[nearest[part]]
        mean[part] = local.mean(1)
        local = local - mean[part][:, None]
        moments[part] = local.transpose(0, 2, 1) @ local / k
    variances, axes = np.linalg.eigh(moments)
    spreads = np.sqrt(np.maximum(variances, 0.0))
    return _Neighbourhoods(nearest, distances, distances.mean(1), mean, spreads, axes[:, :, 0])


def _shape_features(points: Array, hood: _Neighbourhoods) -> list[Array]:
    """Nine features (N,) of one neighbourhood."""
    count, k = hood.nearest.shape
    offset = points - hood.mean
    residual = np.abs(np.einsum("nd,nd->n", offset, hood.normal))
    thickness = hood.spreads[:, 0] + 0.02 * hood.spacing
    to_planes, variation = np.empty(count), np.empty(count)
    for part in np.array_split(np.arange(count), 1 + count // 20_000):
        near = hood.nearest[part]
        offsets = points[part][:, None] - hood.mean[near]
        to_planes[part] = np.median(np.abs(np.einsum("nkd,nkd->nk", offsets, hood.normal[near])), axis=1)
        variation[part] = 1.0 - np.abs(np.einsum("nkd,nd->nk", hood.normal[near], hood.normal[part])).mean(1)
    in_degree = np.bincount(hood.nearest.reshape(-1), minlength=count) / k
    return [
        np.log(hood.spacing / np.median(hood.spacing)),
        np.log(hood.spacing / (_averaging_matrix(hood.nearest) @ hood.spacing)),
        2.0 * in_degree - 2.0,
        3.0 * hood.spreads[:, 0] / hood.spacing,
        2.0 * hood.spreads[:, 1] / np.maximum(hood.spreads[:, 2], 1e-3 * hood.spacing),
        np.log(residual / thickness + 0.05),
        2.0 * np.sqrt(np.einsum("nd,nd->n", offset, offset)) / hood.spacing,
        np.log(to_planes / hood.spacing + 0.01),
        4.0 * variation,
    ]


def _component_sizes(hood: _Neighbourhoods) -> Array:
    """Half the logarithm of the share of the points in each point's connected component, (N,).

    Mutual neighbours are connected where they are no farther apart than three times the scan's median spacing.
    """
    count, k = hood.nearest.shape
    linked = hood.distances <= 3.0 * np.median(hood.distances.mean(1))
    rows = np.repeat(np.arange(count), k).reshape(count, k)[linked]
    graph = sparse.csr_array((np.ones(len(rows)), (rows, hood.nearest[linked])), shape=(count, count))
    _, component = csgraph.connected_components(graph.multiply(graph.T), directed=False)
    return 0.5 * np.log(np.bincount(component)[component] / count)


def _normal_features(normals: Array | None, small: _Neighbourhoods, large: _Neighbourhoods) -> list[Array]:
    """Whether there are normals, and how each agrees with the planes and with its neighbours': three features (N,)."""
    if normals is None:
        return [np.zeros(len(small.spacing))] * 3
    agreement = np.empty(len(normals))
    for part in np.array_split(np.arange(len(normals)), 1 + len(normals) // 20_000):
        agreement[part] = np.einsum("nkd,nd->nk", normals[small.nearest[part]], normals[part]).mean(1)
    with_plane = np.maximum(*(np.abs(np.einsum("nd,nd->n", normals, hood.normal)) for hood in (small, large)))
    return [np.ones(len(normals)), 2.0 * with_plane, 2.0 * agreement]


def _averaging_matrix(nearest: Indices) -> sparse.csr_array:
    """The matrix (N, N) that takes means over neighbours."""
    count, k = nearest.shape
    pointer = np.arange(0, count * k + 1, k)
    return sparse.csr_array((np.full(count * k, 1.0 / k), nearest.reshape(-1), pointer), shape=(count, count))
