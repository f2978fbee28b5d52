"""Levels that keep thin walls: known fields, and none where nothing is lost."""

from __future__ import annotations

import pytest
import torch

from latentsdf.space.suited_level import GREATEST, STEP, suited_level


def _sheet(half: float) -> torch.Tensor:
    """Distances to a sheet of a half thickness, at points of a normal distribution around it."""
    return (0.02 * torch.randn(20_000, generator=torch.Generator().manual_seed(0))).abs() - half


def test_a_field_that_is_right_keeps_its_level() -> None:
    ball = 0.3 - torch.linspace(0, 1, 5000)
    assert suited_level(-ball, -ball) == 0.0
    assert suited_level(_sheet(0.004), _sheet(0.004)) == 0.0


@pytest.mark.parametrize("offset", [0.002, 0.004])
def test_a_lost_sheet_comes_back(offset: float) -> None:
    """A field that is positive all through the sheet by `offset` - 0.003 gets a level close to the offset."""
    distances = _sheet(0.003)
    level = suited_level(distances + offset, distances)
    assert level == pytest.approx(offset, abs=2 * STEP)


def test_levels_end_where_the_shape_would_grow_out_of_bounds() -> None:
    distances = _sheet(0.002)
    assert suited_level(distances + 0.02, distances) <= GREATEST


@pytest.mark.parametrize("distances", [torch.zeros(0), torch.full((10,), 0.01), torch.full((10,), -0.01)])
def test_one_side_alone_says_nothing(distances: torch.Tensor) -> None:
    assert suited_level(distances + 0.004, distances) == 0.0
