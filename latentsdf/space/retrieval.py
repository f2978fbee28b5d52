"""Retrieval scores: rankings by distance, judged by class labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class RetrievalScores:
    """Scores of rankings, each a mean over queries, from 0 to 1.

    Attributes:
        nearest_neighbour: share of queries whose first result is of their class.
        first_tier: share of a class of size C among the first C results (Shilane et al., "The Princeton Shape
            Benchmark", 2004).
        mean_average_precision: mean of the precision at each result of the query's class.
        top_five: share of queries with a result of their class among the first five.
        queries: that count: those whose class has an item.
    """

    nearest_neighbour: float
    first_tier: float
    mean_average_precision: float
    top_five: float
    queries: int


def retrieval_scores(
    distances: ArrayLike,
    query_labels: Sequence[Any],
    item_labels: Sequence[Any],
    exclude_diagonal: bool = False,
) -> RetrievalScores:
    """Score the ranking of items by distance against class labels.

    Args:
        distances: (Q, S) from each query to each item; smaller is nearer, ties keep the order of items, and an
            item at infinity is left out for that query.
        query_labels: class of each query.
        item_labels: class of each item.
        exclude_diagonal: query i is item i, and is left out of its own ranking.

    Raises:
        ValueError: shapes do not match, a distance is NaN, or no query's class has an item.
    """
    distances = np.array(distances, dtype=np.float64)
    queries, items = np.asarray(query_labels), np.asarray(item_labels)
    if distances.shape != (len(queries), len(items)):
        raise ValueError(f"distances {distances.shape} do not match {len(queries)} queries and {len(items)} items")
    if np.isnan(distances).any():
        raise ValueError(f"{int(np.isnan(distances).sum())} distances are NaN, so there is no ranking")
    relevant = (queries[:, None] == items[None, :]) & np.isfinite(distances)
    if exclude_diagonal:
        if len(queries) != len(items):
            raise ValueError(f"exclude_diagonal needs as many queries as items, got {len(queries)}, {len(items)}")
        np.fill_diagonal(distances, np.inf)
        np.fill_diagonal(relevant, False)
    relevant = np.take_along_axis(relevant, np.argsort(distances, axis=1, kind="stable"), axis=1)
    class_size = relevant.sum(1)
    relevant, class_size = relevant[class_size > 0], class_size[class_size > 0]
    if len(relevant) == 0:
        raise ValueError("no query has an item of its own class to find")
    hits = np.cumsum(relevant, axis=1)
    precision = hits / np.arange(1, relevant.shape[1] + 1)
    return RetrievalScores(
        nearest_neighbour=float(relevant[:, 0].mean()),
        first_tier=float((hits[np.arange(len(relevant)), class_size - 1] / class_size).mean()),
        mean_average_precision=float(((precision * relevant).sum(1) / class_size).mean()),
        top_five=float(relevant[:, :5].any(1).mean()),
        queries=len(relevant),
    )
