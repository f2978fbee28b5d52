"""Small connected pieces of meshes: which are left out, and the size that is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from latentsdf.mesh.small_pieces import PIECE, least_piece, without_small_pieces


def test_pieces_below_the_share_go_and_the_largest_stays() -> None:
    balls = [trimesh.creation.icosphere(2, radius).apply_translation([at, 0, 0]) for radius, at in ((1, 0), (0.1, 3))]
    both = trimesh.util.concatenate(balls)
    assert isinstance(both, trimesh.Trimesh)
    assert without_small_pieces(both, 0.0) is both
    assert without_small_pieces(both, 0.005) is both
    one = without_small_pieces(both, 0.02)
    assert one.is_watertight
    np.testing.assert_allclose(one.vertices, balls[0].vertices)
    assert len(without_small_pieces(both, 0.999).vertices) == len(balls[0].vertices)


@pytest.mark.parametrize(
    ("areas", "off", "parts", "kept"),
    [
        ([90.0, 10.0], [0.0, 0.0], 2, 2),
        ([90.0, 10.0], [0.0, 0.0], 1, 2),  # a part of the truth that is torn off is worth more than a piece too many
        ([99.9, 0.1], [0.0, 0.0], 1, 1),
        ([99.9, 0.1], [0.0, 0.0], 2, 2),
        ([90.0, 10.0], [0.0, 0.9], 1, 1),
        ([0.1, 90.0, 0.2, 9.7], [1.0, 0.0, 0.0, 0.4], 2, 2),
    ],
)
def test_the_size_that_costs_least(areas: list[float], off: list[float], parts: int, kept: int) -> None:
    least = least_piece(np.array(areas), np.array(off), parts)
    assert sum(area >= least * sum(areas) for area in areas) == kept
    if kept == len(areas):
        assert least == 0.0


def test_a_piece_too_many_weighs_as_much_as_a_share_of_the_area() -> None:
    below, above = np.array([100.0, 99 * PIECE]), np.array([100.0, 102 * PIECE])
    assert least_piece(below, np.zeros(2), 1) > 0
    assert least_piece(above, np.zeros(2), 1) == 0
