"""Duplicates and variants in a collection of meshes: candidates by search records, verified by surface distance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import trimesh

from ..core.arrays import Indices
from .congruence import TOLERANCE
from .record import Record, unit_records
from .relation import Relation, relate
from .surface import Surface

NEAR = 0.5
"""Distance of records up to which shapes are compared."""
NEAR_VARIANTS = 0.6
"""The same for variants."""
_KEPT = 1_000_000
_BLOCK = 2**24


class Item(NamedTuple):
    """A shape of a collection.

    Attributes:
        name: unique in the collection.
        record: (128,), `record_of_mesh`.
        mesh: called when the shape is compared; it may raise ValueError.
    """

    name: str
    record: Record
    mesh: Callable[[], trimesh.Trimesh]


class Duplicates(NamedTuple):
    """Result of `find_duplicates`.

    Attributes:
        groups: names of shapes that are the same, each with those before it in the order of the items.
        relations: the verified pairs by which groups are connected.
        variants: verified pairs of variants, of the first shapes of different groups.
        compared: pairs whose surfaces were compared.
        failed: reason for each name whose mesh could not be had.
        interrupted: whether it ended early.
    """

    groups: list[list[str]]
    relations: list[Relation]
    variants: list[Relation]
    compared: int
    failed: dict[str, str]
    interrupted: bool

    def to_dict(self) -> dict[str, Any]:
        """Convert to numbers, lists and strings for JSON."""
        return {
            "groups": self.groups,
            "relations": [relation.to_dict() for relation in self.relations],
            "variants": [relation.to_dict() for relation in self.variants],
            "compared": self.compared,
            "failed": [{"name": name, "reason": reason} for name, reason in self.failed.items()],
            "interrupted": self.interrupted,
        }


def find_duplicates(
    items: Sequence[Item],
    tolerance: float = TOLERANCE,
    variants: bool = False,
    on_row: Callable[[float], bool] | None = None,
) -> Duplicates:
    """Find the shapes of a collection that are the same up to a similarity transform, mirroring and holes.

    Pairs whose records lie within `NEAR` are compared (`relate`), except those that are connected already: groups
    are the connected components of the verified pairs.

    Args:
        items: the shapes.
        tolerance: of the distance of surfaces that are the same, in units of the bounding-sphere radius.
        variants: whether to compare the first shapes of all groups for variants too, up to `NEAR_VARIANTS`.
        on_row: called with the share of the work that is done; False ends it with what was found.

    Returns:
        Groups of two or more, and the verified pairs.

    Raises:
        ValueError: a tolerance that is not positive, or two items of one name.
    """
    if not tolerance > 0:
        raise ValueError(f"the tolerance must be positive, got {tolerance}")
    if len({item.name for item in items}) < len(items):
        raise ValueError("two items have the same name; names must be unique")
    search = _Search(items, tolerance)
    part = 0.5 if variants else 1.0
    relations, variant_pairs = list[Relation](), list[Relation]()
    going = search.run(np.arange(len(items)), NEAR, relations, lambda share: on_row is None or on_row(part * share))
    if variants and going:
        firsts = np.array([row for row in range(len(items)) if search.first(row) == row], dtype=np.int64)
        search.variants = True
        going = search.run(firsts, NEAR_VARIANTS, variant_pairs, lambda s: on_row is None or on_row(0.5 + 0.5 * s))
    return Duplicates(search.groups(), relations, variant_pairs, search.compared, search.failed, not going)


def near_pairs(records: Sequence[Record], limit: float) -> Iterator[tuple[int, Indices]]:
    """Yield each row with the later rows (K,) whose records lie within a distance, ascending; memory is O(S)."""
    vectors = unit_records(records)
    least, rows = 1 - limit**2 / 2, max(1, _BLOCK // max(1, len(vectors)))
    for start in range(0, len(vectors), rows):
        block = vectors[start : start + rows] @ vectors[start:].T
        for offset, products in enumerate(block):
            yield start + offset, start + offset + 1 + np.flatnonzero(products[offset + 1 :] >= least)


class _Search:
    """Groups of a running search, and the surfaces used last."""

    def __init__(self, items: Sequence[Item], tolerance: float):
        self._items, self._tolerance = items, tolerance
        self._parent = list(range(len(items)))
        self._surfaces: OrderedDict[int, Surface | None] = OrderedDict()
        self.variants, self.compared = False, 0
        self.failed: dict[str, str] = {}

    def run(self, rows: Indices, near: float, found: list[Relation], going: Callable[[float], bool]) -> bool:
        """Compare the near pairs of some rows; returns False if it was ended early."""
        for number, others in near_pairs([self._items[row].record for row in rows.tolist()], near):
            if not going(number / len(rows)):
                return False
            for other in others.tolist():
                self._compare(int(rows[number]), int(rows[other]), found)
                if not going(number / len(rows)):
                    return False
        return going(1.0)

    def first(self, row: int) -> int:
        """The first row of the group of a row."""
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def groups(self) -> list[list[str]]:
        """Names of the groups of two or more, the largest first."""
        members: dict[int, list[str]] = {}
        for row, item in enumerate(self._items):
            members.setdefault(self.first(row), []).append(item.name)
        return sorted((names for names in members.values() if len(names) > 1), key=len, reverse=True)

    def _compare(self, row: int, other: int, found: list[Relation]) -> None:
        if self.first(row) == self.first(other):
            return
        a, b = self._surface(row), self._surface(other)
        if a is None or b is None:
            return
        self.compared += 1
        relation = relate((self._items[row].name, self._items[other].name), a, b, self._tolerance, self.variants)
        if relation is None:
            return
        found.append(relation)
        if relation.kind != "variant":
            low, high = sorted((self.first(row), self.first(other)))
            self._parent[high] = low

    def _surface(self, row: int) -> Surface | None:
        """The surface of an item, kept while it is among those used last; None where it has none."""
        if row not in self._surfaces:
            item = self._items[row]
            try:
                self._surfaces[row] = Surface(item.mesh()) if item.name not in self.failed else None
            except (ValueError, OSError) as error:
                self.failed[item.name], self._surfaces[row] = " ".join(str(error).split()), None
            while len(self._surfaces) > 2 and self._faces() > _KEPT:
                self._surfaces.popitem(last=False)
        self._surfaces.move_to_end(row)
        return self._surfaces[row]

    def _faces(self) -> int:
        """Faces of the surfaces that are kept; with its tree a face takes about a kilobyte."""
        return sum(len(surface.faces) for surface in self._surfaces.values() if surface is not None)
