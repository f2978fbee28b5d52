"""Gradient terms on shapes whose derivatives are known, and the traps of the printed and released forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentsdf import primitives
from latentsdf.core.field import SDF, Jet
from latentsdf.regularizers import (
    directional_divergence,
    divergence,
    eikonal,
    foot_gradient,
    heat,
    level_set_alignment,
    viscosity,
)

SHAPES: dict[str, SDF] = {
    "sphere": primitives.sphere(0.6),
    "box": primitives.box((0.5, 0.4, 0.3)),
    "torus": primitives.torus(0.6, 0.2),
    "plane": primitives.half_space((1, 2, 3), 0.1),
}


def number(value: Tensor) -> float:
    return float(value.detach())


def cube_points(count: int = 2000, half: float = 1.0) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return half * (2 * torch.rand(count, 3, dtype=torch.float64, generator=random) - 1)


@pytest.mark.parametrize("name", SHAPES)
def test_exact_distances_have_unit_slope_and_no_bend(name: str) -> None:
    jet = Jet(SHAPES[name], cube_points())
    for p in (1, 2):
        assert number(eikonal(jet.gradient, p=p)) == pytest.approx(0, abs=1e-12)
    assert number(directional_divergence(jet.gradient, jet.second_along_gradient)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_feet_lie_on_the_surface(name: str) -> None:
    sdf = SHAPES[name]
    assert number(sdf(Jet(sdf, cube_points()).project()).abs().max()) < 1e-12


def test_the_laplacian_of_a_sphere_and_of_a_torus() -> None:
    points = cube_points()
    radius = points.norm(dim=-1)
    torch.testing.assert_close(Jet(SHAPES["sphere"], points).laplacian, 2 / radius)
    across = points[:, :2].norm(dim=-1)
    tube = torch.hypot(across - 0.6, points[:, 2])
    torch.testing.assert_close(Jet(SHAPES["torus"], points).laplacian, 1 / tube + (across - 0.6) / (tube * across))
    expected = (2 / radius).clamp(0.1, 50).mean()
    torch.testing.assert_close(divergence(Jet(SHAPES["sphere"], points).laplacian), expected)


def test_eikonal_of_a_stretched_field_is_its_excess() -> None:
    gradient = 3 * Jet(SHAPES["torus"], cube_points()).gradient
    assert number(eikonal(gradient, p=1)) == pytest.approx(2)
    assert number(eikonal(gradient, p=2)) == pytest.approx(4)
    with pytest.raises(ValueError, match="got 0.5"):
        eikonal(gradient, p=0.5)  # pyright: ignore[reportArgumentType]


def test_a_gradient_of_zero_has_finite_derivatives() -> None:
    gradient = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    loss = eikonal(gradient, p=2) + level_set_alignment(torch.zeros(3), gradient, torch.ones(3, 3).double())
    (first,) = torch.autograd.grad(loss, gradient, create_graph=True)
    assert bool(torch.isfinite(first).all())


def test_bend_is_the_hessian_along_the_gradient() -> None:
    def bowl(x: Tensor) -> Tensor:
        return (x**2).sum(-1) + x[:, 0] * x[:, 1] ** 2

    jet = Jet(bowl, cube_points(50))
    along = torch.einsum("ni,nij,nj->n", jet.gradient, jet.hessian, jet.gradient)
    torch.testing.assert_close(jet.second_along_gradient, along)
    assert (
        number(Jet(lambda x: torch.ones(len(x), dtype=x.dtype), cube_points(5)).second_along_gradient.abs().max()) == 0
    )
    assert number(Jet(SHAPES["plane"], cube_points(5)).second_along_gradient.detach().abs().max()) == 0


def tent(sign: float, width: float = 0.1) -> Jet:
    """A smoothed tent along x on [-1, 1], with zeros near both ends; positive, or negative as a distance inside is."""
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 10_000 - 1
    points = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1)
    peak = math.sqrt(1 + width**2)
    return Jet(lambda p: sign * (peak - (p[:, 0] ** 2 + width**2).sqrt()), points)


def residual(jet: Jet, epsilon: float, mode: str) -> float:
    return number(viscosity(jet.value, jet.gradient, jet.laplacian, epsilon=epsilon, mode=mode))  # pyright: ignore[reportArgumentType]


def test_plain_viscosity_resists_a_negative_inside_and_signed_does_not() -> None:
    above, below = tent(1.0), tent(-1.0)
    assert residual(above, 0.0, "plain") == pytest.approx(0.095, abs=5e-4)
    assert residual(above, 0.1, "plain") == pytest.approx(0.0225, abs=5e-4)
    assert residual(below, 0.1, "plain") == pytest.approx(0.195, abs=5e-4)
    assert residual(above, 0.1, "signed") == pytest.approx(residual(above, 0.1, "plain"), abs=1e-12)
    assert residual(below, 0.1, "signed") == pytest.approx(residual(above, 0.1, "plain"), abs=1e-12)


def test_viscosity_without_viscosity_is_the_eikonal_term() -> None:
    jet = tent(1.0)
    for p in (1, 2):
        plain = viscosity(jet.value, jet.gradient, None, epsilon=0.0, p=p)
        torch.testing.assert_close(plain, eikonal(jet.gradient, p=p))
    with pytest.raises(ValueError, match="needs the Laplacian"):
        viscosity(jet.value, jet.gradient, None, epsilon=0.1)
    with pytest.raises(ValueError, match="'plain' or 'signed', got 'both'"):
        residual(jet, 0.1, "both")


@pytest.mark.parametrize("name", ["sphere", "plane"])
@pytest.mark.parametrize("detach_foot", [True, False])
def test_parallel_level_sets_are_aligned(name: str, detach_foot: bool) -> None:
    jet = Jet(SHAPES[name], cube_points())
    feet = foot_gradient(jet, detach_foot=detach_foot)
    assert number(level_set_alignment(jet.value, jet.gradient, feet, band=math.inf)) == pytest.approx(0, abs=1e-12)


def test_the_printed_projections_punish_an_exact_cube() -> None:
    cube = primitives.box((0.5, 0.5, 0.5))
    jet = Jet(cube, cube_points(20_000, half=0.5))
    offset = jet.value[:, None] * jet.normal
    found = {}
    for name, feet in (
        ("ours", jet.points - offset),
        ("printed", jet.points - offset.abs() * jet.normal.sign()),
        ("released", jet.points + offset),
    ):
        gradient = Jet(cube, feet).gradient
        found[name] = number(level_set_alignment(jet.value, jet.gradient, gradient, delta=10, band=math.inf))
    assert found["ours"] == pytest.approx(0, abs=1e-12)
    assert found["printed"] == pytest.approx(0.113, abs=0.003)
    assert found["released"] == pytest.approx(0.113, abs=0.003)
    feet = foot_gradient(jet)
    assert number(level_set_alignment(jet.value, jet.gradient, feet, band=math.inf)) == pytest.approx(0, abs=1e-12)


def test_alignment_counts_within_the_band_and_decays() -> None:
    value = torch.tensor([0.0, 0.1, -0.1, 0.3], requires_grad=True)
    gradient, across = torch.tensor([[1.0, 0, 0]]).expand(4, 3), torch.tensor([[0.0, 1, 0]]).expand(4, 3)
    loss = level_set_alignment(value, gradient, across, delta=10, band=0.2)
    assert number(loss) == pytest.approx((1 + 2 * math.exp(-1)) / 4)
    assert not loss.requires_grad
    assert number(level_set_alignment(value, gradient, -gradient, delta=0, band=1.0)) == pytest.approx(2)
    with pytest.raises(ValueError, match="band > 0, got 10.0 and 0"):
        level_set_alignment(value, gradient, across, band=0)


def test_feet_are_asked_within_the_band_alone() -> None:
    asked: list[int] = []

    def counted(x: Tensor) -> Tensor:
        asked.append(len(x))
        return SHAPES["sphere"](x)

    jet = Jet(counted, cube_points())
    inside = jet.value.abs() < 0.1
    feet = foot_gradient(jet, band=0.1)
    assert asked == [2000, int(inside.sum())]
    torch.testing.assert_close(feet[inside], jet.gradient[inside])
    assert number(feet[~inside].detach().abs().max()) == 0
    assert number(foot_gradient(jet, band=1e-9).abs().max()) == 0
    assert len(asked) == 2


def test_heat_of_a_plane_is_the_integral_of_its_decay() -> None:
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 10_000 - 1
    jet = Jet(primitives.half_space((1, 0, 0)), torch.stack([x, x * 0, x * 0], -1))
    assert number(heat(jet.value, jet.gradient, sharpness=5)) == pytest.approx((1 - math.exp(-10)) / 10, rel=1e-5)
    assert number(heat(jet.value, 0 * jet.gradient, sharpness=5)) == pytest.approx((1 - math.exp(-10)) / 20, rel=1e-5)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        heat(jet.value, jet.gradient, sharpness=0)


def test_clamps_and_weights_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 1"):
        divergence(torch.ones(3), low=2, high=1)
    assert number(divergence(torch.tensor([0.0, -3.0, 1e6]))) == pytest.approx((0.1 + 3 + 50) / 3)
