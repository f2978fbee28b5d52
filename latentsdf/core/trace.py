"""Record of a run: a bounded number of rows, spread over its progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Trace:
    """Rows of a run, at least 1 / count of its progress apart.

    Args:
        count: about how many rows a whole run keeps; the first, one at progress 1 and those where a stage begins come
            on top.
        rows: those of an earlier part of the run.

    Attributes:
        rows: dictionaries with `progress` in [0, 1] and, where a run has them, `stage`.
    """

    def __init__(self, count: int = 200, rows: Iterable[dict[str, Any]] = ()):
        self.rows: list[dict[str, Any]] = list(rows)
        self._spacing = 1 / count

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row if it is the first, begins a stage, or lies far enough after the last one kept."""
        last = self.rows[-1] if self.rows else None
        if (
            last is None
            or row.get("stage") != last.get("stage")
            or row["progress"] >= min(1.0, last["progress"] + self._spacing)
        ):
            self.rows.append(row)
