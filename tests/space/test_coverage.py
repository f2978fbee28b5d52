"""Rows that cover codes: known places on a line, the bound of Gonzalez, and the space made of them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import torch

from latentsdf.space.coverage import covering_rows, covering_space
from latentsdf.space.store import load, save


def radius(codes: torch.Tensor, rows: list[int] | tuple[int, ...]) -> float:
    """Distance of the farthest code from the chosen ones."""
    return float(torch.cdist(codes, codes[list(rows)]).amin(1).max())


def test_a_line_is_covered_from_its_middle_to_its_ends() -> None:
    codes = torch.arange(11.0)[:, None]
    assert covering_rows(codes, 1) == [5]
    assert covering_rows(codes, 3) == [0, 5, 10]
    assert covering_rows(codes, 11) == covering_rows(codes, 99) == list(range(11))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        covering_rows(codes, 0)


def test_no_code_is_farther_than_twice_the_best_choice_leaves_it() -> None:
    codes = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    best = min(radius(codes, rows) for rows in combinations(range(12), 4))
    assert best < radius(codes, covering_rows(codes, 4)) <= 2.0 * best


def test_equal_codes_are_kept_as_often_as_asked_for() -> None:
    assert len(set(covering_rows(torch.zeros(6, 2), 4))) == 4


def test_the_smaller_space_holds_the_same_fields_and_less_beside_them(space_path: Path, tmp_path: Path) -> None:
    space = load(space_path)
    kept = covering_space(space, 4)
    save(kept, tmp_path / "kept.h5")
    found = load(tmp_path / "kept.h5")
    assert len(found) == 4
    assert found.history["trained_on"] == 9
    assert "log" not in found.history
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    for name, shape in found.items():
        assert torch.equal(shape(points), space[name](points))
        assert shape.record is None
        assert not shape.metadata
    assert (tmp_path / "kept.h5").stat().st_size < space_path.stat().st_size
