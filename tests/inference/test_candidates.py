"""Candidate fields: equal to the decoder on its lattice, and lowest losses at the true code and pose."""

from __future__ import annotations

import pytest
import torch
from conftest import random_linear

from latentsdf.core.pose import Pose, spread_rotations
from latentsdf.decoder.base import Decoder
from latentsdf.inference.candidates import CandidateFields, LatticeColumns
from latentsdf.inference.residuals import Residuals


@pytest.fixture
def linear() -> Decoder:
    return random_linear(5, 9)


def test_fields_are_the_decoders_where_the_lattices_agree(linear: Decoder) -> None:
    codes = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    points = 2.0 * torch.rand(300, 3, generator=torch.Generator().manual_seed(2)) - 1.0
    fields = CandidateFields(LatticeColumns(linear, 9), codes).fields(points)
    expected = linear(codes, points.expand(4, -1, -1)).T
    torch.testing.assert_close(fields, expected, atol=1e-5, rtol=1e-4)


def test_beyond_the_cube_fields_grow_as_the_distance_to_it(linear: Decoder) -> None:
    candidates = CandidateFields(LatticeColumns(linear, 9), torch.zeros(1, 5))
    edge, beyond = torch.tensor([[1.0, 0.2, 0.1]]), torch.tensor([[1.5, 0.2, 0.1]])
    torch.testing.assert_close(candidates.fields(beyond), candidates.fields(edge) + 0.5)


def test_losses_are_lowest_at_the_code_and_the_pose_that_made_the_data(linear: Decoder) -> None:
    codes = torch.randn(6, 5, generator=torch.Generator().manual_seed(3))
    poses = Pose.from_rotations(spread_rotations(20))._replace(log_scale=torch.linspace(-0.2, 0.2, 20))
    points = 0.5 * torch.rand(1, 400, 3, generator=torch.Generator().manual_seed(4)) - 0.25
    placed = poses.select(torch.tensor([13])).apply(points)
    targets = linear(codes[2:3], placed) * (-poses.log_scale[13]).exp()
    losses = CandidateFields(LatticeColumns(linear, 9), codes).losses(poses, [Residuals(points, targets)], 1.0)
    assert losses.shape == (20, 6)
    assert divmod(int(losses.argmin()), 6) == (13, 2)
    assert float(losses.min()) < 1e-5


def test_fields_that_were_decoded_before_are_kept(linear: Decoder) -> None:
    codes = torch.randn(11, 5, generator=torch.Generator().manual_seed(5))
    columns = LatticeColumns(linear, 9)
    first = columns.table(codes)
    assert torch.equal(first, LatticeColumns(linear, 9).table(codes))
    with torch.no_grad():
        for weight in linear.parameters():
            weight.zero_()  # whatever is decoded now is zero
    mixed = columns.table(torch.cat([codes[[7, 6, 5, 4]], codes[:1] + 1.0]))
    assert torch.equal(mixed[:, :4], first[:, [7, 6, 5, 4]])
    assert not mixed[:, 4].any()
