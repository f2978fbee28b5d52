"""Nearest neighbours among codes: an exact Euclidean index over the shapes of a space."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Coded(Protocol):
    """Anything with a code (D,), such as a `Shape`."""

    @property
    def code(self) -> Tensor:
        """Code (D,)."""
        ...


class Codes(Protocol):
    """The part of a space that an index reads: names, codes in the same order, and a shape by name."""

    @property
    def names(self) -> Iterable[str]:
        """Names, in the order of the codes."""
        ...

    def codes(self) -> Tensor:
        """Codes (S, D)."""
        ...

    def __getitem__(self, name: str, /) -> Coded: ...


SHORTLIST = 20
"""Candidates per match that a search by prefix ranks by their whole codes."""


@dataclass(frozen=True)
class Match:
    """A result of a search.

    Attributes:
        name: of the shape in the space.
        distance: Euclidean distance between its code and that of the query.
    """

    name: str
    distance: float


class Index:
    """Exact nearest neighbours among the codes of a space (FAISS, flat Euclidean).

    The codes are copied: build a new index after shapes were added.

    Args:
        space: names and codes; the codes are copied in single precision.
        prefix: search by the first `prefix` numbers of the codes and rank the `SHORTLIST` times k nearest by the whole
            code: faster in a large space of nested (prefix) codes, and no longer exact. None searches whole codes.

    Raises:
        ValueError: the space holds no shapes, a code is not finite, or there is no such prefix.

    Example:
        >>> for match in Index(space).search("windsor", k=5):
        ...     print(match.name, match.distance)
    """

    def __init__(self, space: Codes, prefix: int | None = None):
        self.space = space
        self.prefix = prefix
        self.names = tuple(space.names)
        if not self.names:
            raise ValueError("the space holds no shapes to search; train it or encode meshes into it first")
        codes = _single(space.codes())
        if codes.ndim != 2 or len(codes) != len(self.names):
            raise ValueError(f"the space has {len(self.names)} names but codes of shape {codes.shape}")
        if not np.isfinite(codes).all():
            raise ValueError(f"the code of {self.names[int((~np.isfinite(codes)).any(1).argmax())]!r} is not finite")
        # FAISS and torch each bring an OpenMP runtime, and torch's has to be loaded first.
        faiss: Any = importlib.import_module("faiss")
        self._codes = codes
        width = codes.shape[1] if prefix is None else prefix
        if not 1 <= width <= codes.shape[1]:
            raise ValueError(f"codes of {codes.shape[1]} numbers have no prefix of {width}; give 1 to {codes.shape[1]}")
        self._flat = faiss.IndexFlatL2(width)
        self._flat.add(np.ascontiguousarray(codes[:, :width]))

    def __len__(self) -> int:
        return len(self.names)

    def search(self, query: str | Coded | Tensor, k: int = 5) -> list[Match]:
        """The k nearest shapes, nearest first; a shape of the space is found at distance zero.

        Args:
            query: a name in the space, a shape (anything with a `code`), or a code (D,).
            k: results; at most all shapes of the space.

        Raises:
            KeyError: a name that the space does not hold; the text suggests a similar one.
            ValueError: k is below 1, or the code is of another size or not finite.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if isinstance(query, str):
            query = self.space[query]
        code = _single(query if isinstance(query, Tensor) else query.code)
        if code.shape != self._codes.shape[1:]:
            raise ValueError(f"the query's code has shape {code.shape}, this space takes {self._codes.shape[1:]}")
        if not np.isfinite(code).all():
            raise ValueError("the query's code is not finite")
        count = k if self.prefix is None else k * SHORTLIST
        squared, rows = self._flat.search(np.ascontiguousarray(code[None, : self._flat.d]), min(count, len(self)))
        squared, rows = np.maximum(squared[0], 0.0), rows[0]
        if self.prefix is not None:
            squared = np.square(self._codes[rows] - code).sum(1)
            order = np.argsort(squared, kind="stable")[:k]
            squared, rows = squared[order], rows[order]
        return [Match(self.names[i], float(d)) for i, d in zip(rows, np.sqrt(squared), strict=True)]


def _single(codes: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(codes.detach().cpu().float().numpy())
