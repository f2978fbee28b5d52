"""Nearest neighbours among vectors, by a flat FAISS index."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices

SHORTLIST = 20
"""Candidates per result that a search by prefix ranks by whole vectors."""


class NearestVectors:
    """Vectors (N, D) in a flat FAISS index, some of them of one owner.

    Args:
        vectors: copied.
        prefix: of the vectors, by which a shortlist is found first; None compares whole vectors.
        owners: (N,) rows of what the vectors describe, each owner's one after another; None gives each vector its own.
    """

    def __init__(self, vectors: NDArray[Any], prefix: int | None = None, owners: Indices | None = None):
        # FAISS and torch each bring an OpenMP runtime, and torch's has to be loaded first.
        self._faiss: Any = importlib.import_module("faiss")
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.owners = np.arange(len(vectors)) if owners is None else owners
        self.times = 1 if prefix is None else SHORTLIST
        if owners is not None:
            self.times = int(np.bincount(owners).max())
        self._flat = self._faiss.IndexFlatL2(prefix or vectors.shape[1])
        self._flat.add(np.ascontiguousarray(self.vectors[:, :prefix]))

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
        rows = np.arange(len(self.owners)) if chosen is None else np.flatnonzero(np.isin(self.owners, chosen))
        parameters = None
        if chosen is not None:
            parameters = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(rows))
        queries = np.asarray(queries, dtype=np.float32)
        start = np.ascontiguousarray(queries[:, : self._flat.d])
        found = self._flat.search(start, min(k * self.times, len(rows)), params=parameters)[1]
        results = []
        for query, near, self_row in zip(queries, found, own, strict=True):
            itself = rows[self.owners[rows] == self_row]
            near = np.union1d(near, itself)
            # FAISS multiplies out the squares of a batch, which rounds small distances.
            distances = np.linalg.norm(self.vectors[near] - query, axis=1)
            best: dict[int, float] = {}
            for at in np.lexsort((near, self.owners[near] != self_row, distances)):
                best.setdefault(int(self.owners[near[at]]), float(distances[at]))
            results.append(list(best.items())[:k])
        return results
