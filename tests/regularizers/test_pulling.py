"""Pulling terms: gradients by hand, disks worked out on paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentsdf.core.field import Jet
from latentsdf.regularizers import disk_orthogonality, disk_tangency, disk_thinness, pull, pull_to_disks


def number(value: Tensor) -> float:
    return float(value.detach())


def directions(count: int = 40) -> Tensor:
    points = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return points / points.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize(("p", "loss", "slope"), [(2, 0.04, -0.4), (1, 0.2, -1.0)])
def test_pulling_a_small_ball_to_the_unit_sphere_grows_it(p: int, loss: float, slope: float) -> None:
    radius = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    unit = directions()
    jet = Jet(lambda x: x.norm(dim=-1) - radius, unit * torch.linspace(0.5, 2, 40).double()[:, None])
    found = pull(jet.project(), unit, p=p)
    (gradient,) = torch.autograd.grad(found, radius)
    assert number(found) == pytest.approx(loss, abs=1e-12)
    assert number(gradient) == pytest.approx(slope, abs=1e-12)


def test_pull_moves_each_foot_to_its_own_point() -> None:
    foot, nearest = directions().requires_grad_(), directions().flip(0)
    (gradient,) = torch.autograd.grad(pull(foot, nearest), foot)
    torch.testing.assert_close(gradient, 2 * (foot - nearest).detach() / 40)
    with pytest.raises(ValueError, match="got 3"):
        pull(foot, nearest, p=3)


TURN = torch.tensor([[[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]], dtype=torch.float64)
"""Columns x, z, -y: a disk whose third axis is -y."""
RADII = torch.tensor([[0.2, 0.4, 0.1]], dtype=torch.float64)
CENTER = torch.tensor([[1.0, 1, 1]], dtype=torch.float64)


def at(*offset: float) -> Tensor:
    return CENTER + torch.tensor([offset], dtype=torch.float64)


def test_a_disk_by_hand() -> None:
    # Along x one radius of 0.2, along y (its thin axis) two of 0.1, along z half of 0.4: (1 + 4 + 1/4) / 2.
    foot = at(0.2, -0.2, 0.2)
    assert number(pull_to_disks(foot, CENTER, TURN, RADII)) == pytest.approx(2.625)
    assert number(pull_to_disks(foot, CENTER, TURN, RADII, normalized=True)) == pytest.approx(2.625 * 0.1**2)
    assert number(pull_to_disks(foot, CENTER, TURN, RADII, floor=0.2)) == pytest.approx((1 + 1 + 0.25) / 2)
    inverse = TURN[0] @ torch.diag(1 / RADII[0] ** 2) @ TURN[0].T
    d = (foot - CENTER)[0]
    assert number(pull_to_disks(foot, CENTER, TURN, RADII)) == pytest.approx(number(d @ inverse @ d) / 2)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        pull_to_disks(foot, CENTER, TURN, RADII, floor=-1)


def test_a_miss_in_the_plane_is_cheaper_than_one_off_it() -> None:
    inside, off = at(0, 0, 0.1), at(0, 0.1, 0)
    assert number(
        pull_to_disks(off, CENTER, TURN, RADII) / pull_to_disks(inside, CENTER, TURN, RADII)
    ) == pytest.approx(16)
    assert number(pull_to_disks(CENTER, CENTER, TURN, RADII)) == 0


@pytest.mark.parametrize("term", [disk_tangency, disk_orthogonality])
def test_disk_directions_have_no_side(term) -> None:
    axis = torch.tensor([[0.0, 0, 1]] * 4, dtype=torch.float64)
    c = math.cos(math.pi / 3)
    gradient = torch.tensor([[0, 0, 2.0], [0, 0, -2], [3, 0, 0], [math.sin(math.pi / 3), 0, -c]], dtype=torch.float64)
    assert number(term(gradient, axis)) == pytest.approx((0 + 0 + 1 + 0.5) / 4)


def test_thinness_is_the_smallest_radius() -> None:
    radii = torch.tensor([[3.0, 2, 1], [4, 6, 5]], requires_grad=True)
    loss = disk_thinness(radii)
    assert number(loss) == pytest.approx(2.5)
    (gradient,) = torch.autograd.grad(loss, radii)
    torch.testing.assert_close(gradient, torch.tensor([[0, 0, 0.5], [0.5, 0, 0]]))
