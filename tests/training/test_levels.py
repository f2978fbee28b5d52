"""Levels and pieces of trained shapes: pieces are found where the collection is small enough for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsdf.dataset.dataset import Dataset
from latentsdf.space.shape import Shape
from latentsdf.space.store import load
from latentsdf.training import levels


@pytest.mark.parametrize(("table", "expected"), [(((8, 48), (9, 24)), 24), (((9, 48),), 48), (((8, 48),), None)])
def test_larger_collections_look_for_pieces_on_fewer_cells(
    space_path: Path,
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    table: tuple[tuple[int, int], ...],
    expected: int | None,
) -> None:
    asked: list[tuple[int, int]] = []

    def kept(shape: Shape, parts: int, cells: int) -> Shape:
        asked.append((parts, cells))
        return shape

    monkeypatch.setattr(levels, "with_kept_pieces", kept)
    monkeypatch.setattr(levels, "PIECE_CELLS", table)
    space = load(space_path)
    done = levels.levelled(space, dataset, 0)
    assert done.names == space.names
    assert asked == ([] if expected is None else [(1, expected)] * len(dataset))
