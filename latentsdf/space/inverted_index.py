"""Inverted index of many vectors, its effort chosen by measured recall.

Vectors lie in lists around k-means centres and are compared by product codes of four bits, scanned in registers (Jegou,
Douze and Schmid 2011; Andre, Kermarrec and Le Scouarnec 2017; FAISS). What it finds is a shortlist, to be ranked by the
vectors themselves.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Indices

RECALL = 0.97
"""Share of the ten nearest neighbours, other than itself, that a stored vector must find."""
_NEIGHBOURS = 10
_TRIED = 400
"""Vectors by which the effort is chosen."""
_POINTS_PER_LIST = 64
_ROUNDS = 8
_SHORTLISTS = (100, 200, 400, 800)
Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class InvertedIndex:
    """A trained FAISS index of the first vectors of a space.

    Attributes:
        index: of FAISS.
        count: vectors that it holds.
        lists: that a query scans.
        shortlist: candidates that a query ranks.
        recall: at ten of these, as measured.
    """

    index: Any
    count: int
    lists: int
    shortlist: int
    recall: float

    @staticmethod
    def of(vectors: Vectors, seed: int = 0) -> InvertedIndex:
        """Build the index of vectors (N, D), and choose its effort.

        Args:
            vectors: at least as many as it has lists.
            seed: of the vectors that it is trained and tried with.
        """
        faiss: Any = importlib.import_module("faiss")
        count, size = vectors.shape
        lists, generator = min(4096, max(1, int(math.sqrt(count)))), np.random.default_rng(seed)
        # Product codes take two numbers each; of an odd size each takes one.
        parts = size // 2 if size % 2 == 0 else size
        coarse = faiss.IndexFlatL2(size)
        index = faiss.IndexIVFPQFastScan(coarse, size, lists, parts, 4)
        index.cp.niter, index.cp.seed, index.cp.max_points_per_centroid = _ROUNDS, seed, _POINTS_PER_LIST
        sample = generator.choice(count, min(count, lists * _POINTS_PER_LIST), replace=False)
        index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
        index.add(vectors)
        rows = np.sort(generator.choice(count, min(count, _TRIED), replace=False))
        truth = faiss.knn(vectors[rows], vectors, _NEIGHBOURS + 1)[1]
        wide = 8
        while True:
            for shortlist in _SHORTLISTS:
                tried = InvertedIndex(index, count, min(wide, lists), shortlist, 0.0)
                recall = tried._recall(vectors, rows, truth)
                if recall >= RECALL or (wide >= lists and shortlist == _SHORTLISTS[-1]):
                    return InvertedIndex(index, count, tried.lists, shortlist, recall)
            wide *= 2

    def candidates(self, queries: Vectors, count: int) -> Indices:
        """Rows (Q, K) near to queries (Q, D), K at least `count`; -1 behind the last one of a query."""
        wanted = min(self.count, max(count, self.shortlist))
        self.index.nprobe = min(self.index.nlist, self.lists * max(1, count // self.shortlist))
        return self.index.search(np.ascontiguousarray(queries), wanted)[1]

    def _recall(self, vectors: Vectors, rows: Indices, truth: Indices) -> float:
        """Share of the true neighbours (Q, 11) of rows (Q,), itself left out, among their candidates."""
        found = self.candidates(vectors[rows], self.shortlist)
        hits = sum(
            len(np.intersect1d(near[near != row], candidates)) - max(0, len(near[near != row]) - _NEIGHBOURS)
            for row, near, candidates in zip(rows, truth, found, strict=True)
        )
        return hits / (_NEIGHBOURS * len(rows))
