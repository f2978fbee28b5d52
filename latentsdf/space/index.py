"""Nearest shapes by their codes: exact search, derived from a space and never a second truth."""

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
    def code(self) -> Tensor: ...


class Codes(Protocol):
    """What an index needs of a space: names, their codes in that order, and a shape by name."""

    @property
    def names(self) -> Iterable[str]: ...

    def codes(self) -> Tensor: ...

    def __getitem__(self, name: str, /) -> Coded: ...


SHORTLIST = 20
"""How many times more shapes than wanted the first stage of a search by prefix hands to the second."""


@dataclass(frozen=True)
class Match:
    """A shape that was found.

    Attributes:
        name: its name in the space.
        distance: Euclidean distance between its code and the query's.
    """

    name: str
    distance: float


class Index:
    """Exact nearest neighbours among the codes of a space (FAISS, flat Euclidean).

    It holds the codes as they were when it was made: make a new one after shapes were added.

    Args:
        space: names and codes; the codes are copied in single precision.
        prefix: search the first so many numbers of the codes and rank the `SHORTLIST` times k best of them by the whole
            code: faster in a large space of nested codes, and no longer exact. None searches the whole code.

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
        # FAISS and torch each bring an OpenMP runtime: torch, imported above, has to come first.
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
        """The shapes nearest to a query, nearest first; a shape of the space finds itself at distance zero.

        Args:
            query: a name in the space, a shape (anything with a `code`), or a code (D,).
            k: how many; more than there are gives all.

        Raises:
            KeyError: a name that the space does not hold; the space names a near one.
            ValueError: k below 1, or a code of another size or that is not finite.
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
        wanted = k if self.prefix is None else k * SHORTLIST
        squared, rows = self._flat.search(np.ascontiguousarray(code[None, : self._flat.d]), min(wanted, len(self)))
        squared, rows = np.maximum(squared[0], 0.0), rows[0]
        if self.prefix is not None:
            squared = np.square(self._codes[rows] - code).sum(1)
            order = np.argsort(squared, kind="stable")[:k]
            squared, rows = squared[order], rows[order]
        return [Match(self.names[i], float(d)) for i, d in zip(rows, np.sqrt(squared), strict=True)]


def _single(codes: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(codes.detach().cpu().float().numpy())
