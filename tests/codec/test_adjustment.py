"""Levels, boxes cut out of fields and filled in: known distances, bytes, damage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.codec.adjustment import KIND, LEVEL, MOST, STEPS, AdjustedField, Adjustment
from latentsdf.mesh.isosurface import extract_mesh


def _two_balls(points: torch.Tensor) -> torch.Tensor:
    near = (points - points.new_tensor([-0.4, 0.0, 0.0])).norm(dim=-1) - 0.3
    far = (points - points.new_tensor([0.6, 0.2, 0.1])).norm(dim=-1) - 0.15
    return torch.minimum(near, far)


def test_a_cut_ball_is_gone_and_the_other_one_is_as_before() -> None:
    cuts = Adjustment.of(0.0, [np.array([[0.4, 0.0, -0.1], [0.8, 0.4, 0.3]])])
    assert cuts.nbytes == 9
    field = cuts.on(_two_balls)
    mesh, before = extract_mesh(field, 64), extract_mesh(_two_balls, 64)
    assert len(mesh.split()) == 1
    assert len(before.split()) == 2
    assert float(mesh.volume) == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.01)
    assert (field(torch.tensor([[-0.4, 0.0, 0.0], [-0.1, 0.0, 0.0]])) - torch.tensor([-0.3, 0.0])).abs().max() < 1e-6


def test_a_filled_hole_is_solid() -> None:
    shell = lambda points: torch.maximum(points.norm(dim=-1) - 0.6, 0.2 - points.norm(dim=-1))  # noqa: E731
    field = Adjustment.of(0.0, [], [np.array([[-0.25] * 3, [0.25] * 3])]).on(shell)
    assert len(extract_mesh(field, 64).split()) == 1
    assert float(field(torch.zeros(1, 3))) == pytest.approx(-0.25, abs=2 / STEPS)


def test_values_are_set_operations_with_distances_to_boxes() -> None:
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    box = np.array([[-1.0, -1.0, -1.0], [1.0 / STEPS, 1.0, 1.0]])
    half = Adjustment.of(0.0, [box])
    ball = points.norm(dim=-1) - 0.5
    inside = points[:, 0] < 1.0 / STEPS
    depth = torch.stack([1.0 / STEPS - points[:, 0], *(1.0 - points.T.abs())]).amin(0)
    wanted = torch.where(inside, torch.maximum(ball, depth), torch.maximum(ball, 1.0 / STEPS - points[:, 0]))
    assert (half.on(lambda x: x.norm(dim=-1) - 0.5)(points) - wanted).abs().max() < 1e-6


def test_boxes_grow_to_whole_steps() -> None:
    low, high, count = Adjustment.of(0.0, [np.array([[-0.5, -0.3, 0.1], [-0.4, 0.2, 3.0]])]).boxes
    assert count == 1
    assert (low <= np.array([[-0.5, -0.3, 0.1]]) + 1e-9).all()
    assert (high >= np.array([[-0.4, 0.2, 1.0]]) - 1e-9).all()
    assert np.abs(low - [[-0.5, -0.3, 0.1]]).max() < 2 / STEPS


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([np.array([[0, 0, 0], [1, 1, 1]])] * (MOST + 1), "at most 32"),
        ([np.array([[0, 0, 0], [0, 1, 1]])], "low corner"),
    ],
)
def test_boxes_that_cannot_be_stored(boxes: list[np.ndarray], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Adjustment.of(0.0, boxes)


@pytest.mark.parametrize(
    "packed",
    [b"", bytes([KIND]), bytes([KIND, 0]), bytes([KIND, 0, 2, *range(6)]), bytes([KIND, 0, 0, 1, 2]), bytes(8)],
)
def test_damaged_bytes_are_refused(packed: bytes) -> None:
    field = AdjustedField(_two_balls, Adjustment(packed))
    with pytest.raises(ValueError, match="damaged"):
        field(torch.zeros(1, 3))


def test_a_level_grows_the_shape_and_keeps_second_derivatives() -> None:
    grown = Adjustment.of(0.004)
    assert (grown.nbytes, grown.smooth) == (3, True)
    assert grown.level == pytest.approx(0.004, abs=LEVEL / 2)
    assert float(grown.on(_two_balls)(torch.tensor([[-0.4, 0.3, 0.0]]))) == pytest.approx(-grown.level)
    assert not Adjustment.of(0.0, [np.array([[0, 0, 0], [1, 1, 1]])]).smooth


@pytest.mark.parametrize("level", [-0.001, 0.02])
def test_a_level_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        Adjustment.of(level)


def test_the_least_piece_is_one_more_byte_and_leaves_the_field_as_it_is() -> None:
    box = np.array([[0.4, 0.0, -0.1], [0.8, 0.4, 0.3]])
    for boxes in ([], [box]):
        plain, found = Adjustment.of(0.002, boxes), Adjustment.of(0.002, boxes, least_piece=0.01)
        assert found.nbytes == plain.nbytes + 1
        assert (plain.least_piece, found.smooth) == (0.0, plain.smooth)
        assert found.least_piece == pytest.approx(0.01, rel=0.03)
        points = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
        assert torch.equal(found.on(_two_balls)(points), plain.on(_two_balls)(points))
    assert Adjustment.of(0.0, least_piece=1e-9).least_piece == pytest.approx(2.0 ** (-255 / 16))
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match="least piece"):
            Adjustment.of(0.0, least_piece=share)
