"""Terms that the data state directly: surface, normals, rays, code, and the SSD energy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentsdf import primitives
from latentsdf.core.field import Jet
from latentsdf.regularizers import (
    code_prior,
    free_space,
    normals,
    off_surface,
    ray_points,
    ssd_energy,
    surface,
)

SPHERE = primitives.sphere(0.5)


def number(value: Tensor) -> float:
    return float(value.detach())


def on_sphere(count: int = 200) -> Tensor:
    points = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return 0.5 * points / points.norm(dim=-1, keepdim=True)


def test_surface_and_off_surface_by_hand() -> None:
    value = torch.tensor([0.0, -0.01, 0.02])
    assert number(surface(value)) == pytest.approx(0.01)
    assert number(off_surface(value)) == pytest.approx((1 + math.exp(-1) + math.exp(-2)) / 3)
    assert number(off_surface(value, alpha=10)) == pytest.approx((1 + math.exp(-0.1) + math.exp(-0.2)) / 3)
    with pytest.raises(ValueError, match="must be positive, got 0"):
        off_surface(value, alpha=0)


@pytest.mark.parametrize(
    ("form", "right", "flipped", "doubled"), [("cosine", 0, 2, 0), ("unsigned", 0, 0, 0), ("difference", 0, 2, 1)]
)
def test_normals_of_a_sphere(form, right: float, flipped: float, doubled: float) -> None:
    points = on_sphere()
    gradient = Jet(SPHERE, points).gradient
    assert number(normals(gradient, 2 * points, form=form)) == pytest.approx(right, abs=1e-12)
    assert number(normals(-gradient, 2 * points, form=form)) == pytest.approx(flipped, abs=1e-12)
    assert number(normals(2 * gradient, 2 * points, form=form)) == pytest.approx(doubled, abs=1e-12)
    with pytest.raises(ValueError, match="'difference', got 'angle'"):
        normals(gradient, points, form="angle")  # pyright: ignore[reportArgumentType]


def test_code_prior_is_the_mean_square() -> None:
    assert number(code_prior(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))) == pytest.approx(3.5)


@pytest.mark.parametrize("distance", [0.6, 3.0])
def test_points_on_rays_lie_between_sensor_and_surface(distance: float) -> None:
    sensor = torch.tensor([distance, 0, 0], dtype=torch.float64)
    seen = on_sphere()
    seen = seen[seen[:, 0] > 0.25 / distance]
    generator = torch.Generator().manual_seed(0)
    rays = ray_points(seen, sensor, count=500, reach=0.4, generator=generator)
    each = ray_points(seen, sensor.expand_as(seen), count=500, reach=0.4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(each.points, rays.points)
    assert rays.points.shape == (500, 3)
    assert number(rays.depth.min()) >= 0
    assert number(rays.depth.max()) <= 0.4
    gaps, nearest = torch.cdist(rays.points, seen).min(1)
    assert bool((gaps <= rays.depth + 1e-12).all())
    to_sensor = (sensor - rays.points).norm(dim=-1)
    whole = (sensor - seen).norm(dim=-1)
    reached = (whole[None] - to_sensor[:, None] - rays.depth[:, None]).abs().min(1).values
    assert number(reached.max()) < 1e-12
    assert nearest.shape == (500,)
    # The exact field breaks neither bound: what is seen is outside, and the hit point bounds its distance.
    assert number(free_space(SPHERE(rays.points), rays.depth)) == pytest.approx(0, abs=1e-12)
    assert number(free_space(-SPHERE(rays.points), rays.depth)) > 0.02
    assert number(free_space(SPHERE(rays.points) + 0.5, rays.depth)) > 0.1


def test_free_space_by_hand() -> None:
    value, depth = torch.tensor([-0.1, 0.1, 0.5]), torch.tensor([0.2, 0.2, 0.2])
    assert number(free_space(value, depth)) == pytest.approx((0.1 + 0.3) / 3)
    assert number(free_space(value, depth, slack=0.05)) == pytest.approx((0.05 + 0.25) / 3)
    with pytest.raises(ValueError, match="must not be negative"):
        free_space(value, depth, slack=-1)
    with pytest.raises(ValueError, match="count >= 1"):
        ray_points(on_sphere(), torch.zeros(3), count=0)


def test_the_energy_of_a_plane_is_zero_and_of_a_sphere_its_bending() -> None:
    points = on_sphere()
    plane = Jet(primitives.half_space((0, 0, 1), 0.2), points * torch.tensor([1.0, 1, 0]) + torch.tensor([0, 0, 0.2]))
    up = torch.tensor([[0.0, 0, 1]], dtype=torch.float64).expand(200, 3)
    assert number(ssd_energy(plane.value, plane.gradient, up, plane.hessian)) == pytest.approx(0, abs=1e-12)
    jet = Jet(SPHERE, points)
    # The Hessian of |x| at radius r has two eigenvalues of 1 / r.
    assert number(ssd_energy(jet.value, jet.gradient, 2 * points, jet.hessian, bending=0.1)) == pytest.approx(0.1 * 8)


def test_reliability_weighs_the_positions() -> None:
    value = torch.tensor([0.1, 0.2])
    gradient = torch.tensor([[0.0, 0, 1], [0, 0, 2]])
    up, flat = torch.tensor([[0.0, 0, 1]]).expand(2, 3), torch.zeros(4, 3, 3)
    assert number(ssd_energy(value, gradient, up, flat, position=10)) == pytest.approx(0.5 + 10 * 0.025)
    doubt = torch.tensor([1.0, 0.0])
    assert number(ssd_energy(value, gradient, up, flat, doubt, position=10)) == pytest.approx(0.5 + 10 * 0.005)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        ssd_energy(value, gradient, up, flat, position=-1)
