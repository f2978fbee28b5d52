"""Pictures of maps: thumbnails do not overlap, and colours tell clusters apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentsdf.space.map_picture import ALONE, CANVAS, COLOURS, MapData, draw_map
from latentsdf.space.thumbnail_placement import place_thumbnails


@pytest.mark.parametrize("most", [0, 5, 40, 500])
def test_thumbnails_do_not_overlap_and_stay_near_their_points(most: int) -> None:
    points = np.random.default_rng(0).uniform([0, 0], [600, 400], (120, 2))
    placed = place_thumbnails(points, (20, 60), most, (600, 400))
    assert len(placed.rows) == len(placed.centers) <= most
    assert len(set(placed.rows.tolist())) == len(placed.rows)
    assert 20 <= placed.size <= 60
    assert (placed.centers >= placed.size / 2).all()
    assert (placed.centers <= [600 - placed.size / 2, 400 - placed.size / 2]).all()
    gaps = np.abs(placed.centers[:, None] - placed.centers).max(axis=2)
    assert (gaps[~np.eye(len(gaps), dtype=bool)] >= placed.size).all()
    assert np.linalg.norm(placed.centers - points[placed.rows], axis=1).max(initial=0) <= 1.5 * placed.size + 1e-9
    if most <= 40:
        assert len(placed.rows) == most


def square(row: int) -> Any:
    image = np.full((120, 120, 3), 255, dtype=np.uint8)
    image[30:90, 30:90] = 175
    return None if row == 0 else image


def test_a_picture_has_the_colours_of_its_clusters() -> None:
    points = np.array([[-1.0, -0.6], [-0.9, -0.6], [-1.0, -0.5], [1.0, 0.6], [0.9, 0.6], [0.0, 0.0]])
    data = MapData(points, np.array([0, 0, 0, 1, 1, 2]), ["a"] * 3 + [""] * 3)
    picture = draw_map(data, square, 6, "a note")
    assert picture.size == CANVAS
    found = {colour for _, colour in picture.getcolors(2**24) or ()}
    assert {COLOURS[0], COLOURS[1], ALONE, (255, 255, 255)} <= found
    assert not found & set(COLOURS[2:])
    dots = draw_map(data, square, 0)
    assert {COLOURS[0], COLOURS[1], ALONE} <= {colour for _, colour in dots.getcolors(2**24) or ()}
    assert draw_map(data, square, 6, "a note").tobytes() == picture.tobytes()
