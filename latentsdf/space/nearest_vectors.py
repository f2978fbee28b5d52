"""Nearest neighbours among vectors: exact below a hundred thousand, by a shortlist of an inverted index above."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices
from .inverted_index import InvertedIndex
from .kept_index import KeptIndex

SHORTLIST = 20
"""Candidates per result that a search by prefix ranks by whole vectors."""
EXACT_UP_TO = 100_000
"""Vectors among which a search is exact."""


class NearestVectors:
    """Vectors (N, D), some of them of one owner.

    Args:
        vectors: not copied where they are contiguous and in single precision.
        prefix: of the vectors, by which a shortlist is found first; None compares whole vectors.
        owners: (N,) rows of what the vectors describe, each owner's one after another; None gives each vector its own.
        kept: where the inverted index of many vectors is kept; None builds it anew each time.
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        prefix: int | None = None,
        owners: Indices | None = None,
        kept: KeptIndex | None = None,
    ):
        # FAISS and torch each bring an OpenMP runtime, and torch's has to be loaded first.
        self._faiss: Any = importlib.import_module("faiss")
        self.vectors: NDArray[np.float32] = np.ascontiguousarray(vectors, dtype=np.float32)
        self.owners: Indices = np.arange(len(vectors)) if owners is None else owners
        self.times = 1 if prefix is None else SHORTLIST
        if owners is not None:
            self.times = int(np.bincount(owners).max())
        self._start = self.vectors if prefix is None else np.ascontiguousarray(self.vectors[:, :prefix])
        self._kept = kept

    @cached_property
    def _inverted(self) -> InvertedIndex | None:
        """The inverted index of many vectors, from the disk where it is kept there and still holds."""
        if len(self._start) <= EXACT_UP_TO:
            return None
        index = None if self._kept is None else self._kept.read(self._start)
        if index is None:
            index = InvertedIndex.of(self._start)
            if self._kept is not None:
                self._kept.write(index, self._start)
        return index

    def nearest(
        self, queries: NDArray[Any], own: Sequence[int], k: int, chosen: Indices | None
    ) -> list[list[tuple[int, float]]]:
        """The k nearest owners of each query (Q, D), nearest first, and their distances.

        Args:
            queries: (Q, D).
            own: owner that a query is itself, which comes first among those at one distance; -1 without.
            k: results.
            chosen: rows of the owners to choose from; None is all.
        """
        queries = np.asarray(queries, dtype=np.float32)
        start = np.ascontiguousarray(queries[:, : self._start.shape[1]])
        found = self._candidates(start, k * self.times, chosen)
        allowed = None if chosen is None else set(chosen.tolist())
        results = []
        for query, near, self_row in zip(queries, found, own, strict=True):
            near = near[near >= 0]
            if self_row >= 0 and (allowed is None or self_row in allowed):
                first, last = np.searchsorted(self.owners, (self_row, self_row + 1))
                near = np.union1d(near, np.arange(first, last))
            # FAISS multiplies out the squares of a batch, which rounds small distances.
            distances = np.linalg.norm(self.vectors[near] - query, axis=1)
            best: dict[int, float] = {}
            for at in np.lexsort((near, self.owners[near] != self_row, distances))[: k * self.times].tolist():
                best.setdefault(int(self.owners[near[at]]), float(distances[at]))
            results.append(list(best.items())[:k])
        return results

    def _candidates(self, start: NDArray[np.float32], count: int, chosen: Indices | None) -> Indices:
        """Rows (Q, K) near to queries, -1 behind the last one of a query."""
        if chosen is not None:
            rows = np.flatnonzero(np.isin(self.owners, chosen))
            return rows[self._exact(start, self._start[rows], count)]
        index = self._inverted
        if index is None:
            return self._exact(start, self._start, count)
        found = index.candidates(start, count)
        fresh = self._start[index.count :]
        if len(fresh):
            found = np.hstack([found, index.count + self._exact(start, fresh, count)])
        return found

    def _exact(self, start: NDArray[np.float32], vectors: NDArray[np.float32], count: int) -> Indices:
        return self._faiss.knn(start, np.ascontiguousarray(vectors), min(count, len(vectors)))[1]
