"""Nearest neighbours among the shapes of a space, by their search records or by their codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Indices
from ..mesh.record import RECORD_BYTES, Record, record_of_mesh, unit_records
from ..mesh.search_record import SEARCH_BYTES, SearchRecord, unit_views, whole_part
from ..mesh.view_records import leading_numbers
from .kept_index import KeptIndex
from .nearest_vectors import NearestVectors
from .space import LatentSpace

Vectors = NDArray[np.float32]


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


Query = str | Coded | Tensor | trimesh.Trimesh | Record | SearchRecord


@dataclass(frozen=True)
class Match:
    """A result of a search.

    Attributes:
        name: of the shape in the space.
        distance: to the query: of unit search records, from 0 to 2, or Euclidean of codes.
    """

    name: str
    distance: float


class Index:
    """Nearest neighbours among the shapes of a space (FAISS, Euclidean).

    Among up to `nearest_vectors.EXACT_UP_TO` shapes, and among those that `among` names, the search is exact. Above, an
    inverted index finds a shortlist, with an effort for which a share `inverted_index.RECALL` of the ten nearest is
    found; it is kept beside the file of the space (`kept_index`). Build a new `Index` after shapes were added.

    Args:
        space: names, codes and, in a `LatentSpace`, search records.
        metric: "record" compares search records (`mesh.search_record`), which pose and scale leave unchanged; a shape
            without one is decoded for it. "code" compares codes. None takes records where every shape has one and no
            prefix is given, else codes.
        prefix: search by the first `prefix` numbers of the codes and rank the nearest `SHORTLIST` times k by the whole
            code: faster in a large space of nested (prefix) codes, and no longer exact. None searches whole codes.

    Attributes:
        metric: "record" or "code".

    Raises:
        ValueError: the space holds no shapes, a code is not finite, there is no such prefix, or one is given for
            records.

    Example:
        >>> for match in Index(space).search("windsor", k=5):
        ...     print(match.name, match.distance)
    """

    def __init__(self, space: Codes, metric: Literal["record", "code"] | None = None, prefix: int | None = None):
        self.space = space
        self.prefix = prefix
        self.names: tuple[str, ...] = tuple(space.names)
        if not self.names:
            raise ValueError("the space holds no shapes to search; train it or encode meshes into it first")
        if metric not in (None, "record", "code"):
            raise ValueError(f"no metric is named {metric!r}; compare by 'record' or by 'code'")
        if metric == "record" and prefix is not None:
            raise ValueError("a prefix is of codes; give metric='code', or leave it out")
        known, records = np.zeros(len(self), dtype=bool), np.zeros((len(self), RECORD_BYTES), dtype=np.int8)
        if metric != "code" and prefix is None and isinstance(space, LatentSpace):
            known, records = space.whole_records()
        self.metric: Literal["record", "code"] = metric or ("record" if known.all() else "code")
        if self.metric == "code":
            codes = self._stored_codes()
            if prefix is not None and not 1 <= prefix <= codes.shape[1]:
                raise ValueError(
                    f"codes of {codes.shape[1]} numbers have no prefix of {prefix}; give 1 to {codes.shape[1]}"
                )
            self._whole = NearestVectors(codes, prefix, kept=self._kept("code" if prefix is None else f"code-{prefix}"))
            return
        for row in np.flatnonzero(~known).tolist():
            records[row] = whole_part(self._record_of(space[self.names[row]]))
        self._whole = NearestVectors(unit_records(records), kept=self._kept("record") if known.all() else None)

    def __len__(self) -> int:
        return len(self.names)

    def search(
        self, query: Query, k: int = 5, among: Iterable[str] | None = None, partial: bool = False
    ) -> list[Match]:
        """The k nearest shapes, nearest first; a shape of the space is found at distance zero.

        Args:
            query: a name in the space, a shape (anything with a `code`), or a code (D,); by records also a mesh or a
                record (128,). By records a shape without one, and a code, are decoded.
            k: results; at most all shapes.
            among: names of the shapes to choose from; None is all of them.
            partial: the query may show only a part of its shape, as a scan does: it is compared with each shape as a
                whole and with what twelve directions see of it, and the nearest counts; by records alone.

        Raises:
            KeyError: a name that the space does not hold; the text suggests a similar one.
            ValueError: k is below 1, `among` is empty, the query is of another size or kind or not finite, or a partial
                query is searched by codes.
        """
        return self.search_all([query], k, among, partial)[0]

    def search_all(
        self, queries: Sequence[Query], k: int = 5, among: Iterable[str] | None = None, partial: bool = False
    ) -> list[list[Match]]:
        """The k nearest shapes to each of several queries, in one pass.

        Args:
            queries, k, among, partial: as in `search`.

        Raises:
            KeyError, ValueError: as `search`.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if partial and self.metric == "code":
            raise ValueError("codes do not tell partial shapes; search by metric='record'")
        chosen = None if among is None else self._chosen(among)
        if not queries:
            return []
        by_code = self.metric == "code"
        vectors = [self._code(query) if by_code else unit_records(self._record(query))[0] for query in queries]
        own = [self._rows[query] if isinstance(query, str) else -1 for query in queries]
        if partial:
            found = self._views.nearest(np.stack([leading_numbers(item) for item in vectors]), own, k, chosen)
        else:
            found = self._whole.nearest(np.stack(vectors), own, k, chosen)
        return [[Match(self.names[row], distance) for row, distance in near] for near in found]

    def _kept(self, key: str) -> KeptIndex | None:
        """Where an index of the space as it lies in its file is kept."""
        space = self.space
        if not isinstance(space, LatentSpace) or space.path is None or space.changes:
            return None
        return KeptIndex(space.path, key)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def _views(self) -> NearestVectors:
        """What a partial query is compared with: each shape as a whole, then its views."""
        parts = []
        for name in self.names:
            record = self._record_of(self.space[name])
            parts.append(np.vstack([leading_numbers(whole_part(record)), unit_views(record)]))
        owners = np.repeat(np.arange(len(self)), [len(part) for part in parts])
        return NearestVectors(np.concatenate(parts), owners=owners)

    def _chosen(self, among: Iterable[str]) -> Indices:
        """Rows of names."""
        names = set(among)
        for name in names - self._rows.keys():
            self.space[name]  # raises KeyError with a suggestion
        if not names:
            raise ValueError("no shape is left to choose from; give a class or names that the space holds")
        return np.array(sorted(self._rows[name] for name in names), dtype=np.int64)

    def _stored_codes(self) -> Vectors:
        codes = _single(self.space.codes())
        if codes.ndim != 2 or len(codes) != len(self.names):
            raise ValueError(f"the space has {len(self.names)} names but codes of shape {codes.shape}")
        if not np.isfinite(codes).all():
            raise ValueError(f"the code of {self.names[int((~np.isfinite(codes)).any(1).argmax())]!r} is not finite")
        return codes

    def _record_of(self, shape: Any) -> SearchRecord:
        if not hasattr(shape, "searched_by"):
            raise ValueError(f"a {type(shape).__name__} has no search record; compare by metric='code'")
        return shape.searched_by()

    def _record(self, query: Any) -> Record:
        """The record (128,) of a query."""
        if isinstance(query, np.ndarray):
            if query.shape not in ((RECORD_BYTES,), (SEARCH_BYTES,)) or query.dtype != np.int8:
                raise ValueError(f"a record has {RECORD_BYTES} int8 numbers, not shape {query.shape}, {query.dtype}")
            return whole_part(query)
        if isinstance(query, trimesh.Trimesh):
            return record_of_mesh(query)
        if isinstance(query, str):
            query = self.space[query]
        elif isinstance(query, Tensor):
            self._code(query)
            space: Any = self.space
            query = space.decode(query)
        return whole_part(self._record_of(query))

    def _code(self, query: Any) -> Vectors:
        """A query as a code (D,) in single precision."""
        if isinstance(query, (np.ndarray, trimesh.Trimesh)):
            raise ValueError("an index by codes takes names, shapes and codes; encode the mesh first")
        if isinstance(query, str) and self.metric == "code" and query in self._rows:
            return self._whole.vectors[self._rows[query]]
        if isinstance(query, str):
            query = self.space[query]
        code = _single(query if isinstance(query, Tensor) else query.code)
        size = tuple(self.space[self.names[0]].code.shape)
        if code.shape != size:
            raise ValueError(f"the query's code has shape {code.shape}, this space takes {size}")
        if not np.isfinite(code).all():
            raise ValueError("the query's code is not finite")
        return code


def _single(codes: Tensor) -> Vectors:
    return np.ascontiguousarray(codes.detach().cpu().float().numpy())
