"""Clusters of shapes, by the likeness of their search records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, pdist

from ..core.arrays import Array, Indices
from ..mesh.record import Record, unit_records

CUTS = 200
"""Most numbers of clusters that are compared."""
JUDGED = 2000
"""Most shapes whose silhouettes are computed, evenly spaced in the order given."""


def clusters(records: Sequence[Record] | Record) -> Indices:
    """Cluster search records by average linkage on their chord distance; nothing is random.

    The tree is cut into the smallest number of clusters whose mean silhouette (Rousseeuw, 1987) lies within one
    standard error of the best one (the one-standard-error rule of Breiman et al., "Classification and Regression
    Trees", 1984). Numbers of clusters from 1 (of silhouette 0) to S - 1 are compared, at most `CUTS` of them. Memory is
    of order S^2.

    Args:
        records: (S, 128), S at least 1.

    Returns:
        Labels (S,) from 0, in the order of falling size; a shape unlike all others is a cluster of its own.

    Raises:
        ValueError: no records.
    """
    unit = unit_records(records, np.float64)
    if len(unit) == 0:
        raise ValueError("no records to cluster")
    if len(unit) < 3:
        return np.zeros(len(unit), dtype=np.int64)
    judged = np.unique(np.linspace(0, len(unit) - 1, min(JUDGED, len(unit))).astype(np.int64))
    distances: Array = cdist(unit, unit[judged]).astype(np.float64, copy=False)
    tree = linkage(pdist(unit), "average")
    counts = np.unique(np.geomspace(2, len(unit) - 1, CUTS).astype(np.int64))
    cuts = [np.zeros(len(unit), dtype=np.int64), *(_cut(tree, int(count)) for count in counts)]
    scores = [_silhouettes(distances, judged, labels) for labels in cuts]
    means = np.array([score.mean() for score in scores])
    best = scores[int(means.argmax())]
    least = float(best.mean() - best.std() / np.sqrt(len(best)))
    return _by_size(cuts[int((means >= least).argmax())])


def purity(labels: Indices, classes: Sequence[str]) -> float:
    """Share of shapes that are of the most frequent class of their cluster, from labels (S,) and S class names."""
    names = np.unique(np.asarray(classes), return_inverse=True)[1]
    table = np.zeros((int(labels.max()) + 1, int(names.max()) + 1), dtype=np.int64)
    np.add.at(table, (labels, names), 1)
    return float(table.max(axis=1).sum() / len(labels))


def _cut(tree: Array, count: int) -> Indices:
    """Labels (S,) of the cut of a linkage tree into at most `count` clusters."""
    return fcluster(tree, count, "maxclust").astype(np.int64) - 1


def _silhouettes(distances: Array, rows: Indices, labels: Indices) -> Array:
    """Silhouettes (b - a) / max(a, b) of the shapes `rows`, from their distances (S, R); 0 for a shape alone.

    a is the mean distance to the others of a shape's cluster, b the smallest mean distance to another cluster.
    """
    order, sizes = np.argsort(labels, kind="stable"), np.bincount(labels)
    if len(sizes) == 1:
        return np.zeros(len(rows))
    sums = np.add.reduceat(distances[order], np.cumsum(sizes) - sizes, axis=0)
    own, at = labels[rows], np.arange(len(rows))
    inner = sums[own, at] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes[:, None]
    means[own, at] = np.inf
    outer = means.min(axis=0)
    return np.where(sizes[own] > 1, (outer - inner) / np.maximum(np.maximum(inner, outer), 1e-12), 0.0)


def _by_size(labels: Indices) -> Indices:
    """The same clusters, numbered from the largest; of equal ones, from that which appears first."""
    _, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[inverse]
