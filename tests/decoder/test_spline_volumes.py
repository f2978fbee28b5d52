"""Rounded reads of volumes: C1 everywhere, the trilinear read away from its creases, and never far from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from latentsdf.core.field import Jet, evaluate
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.decoder import (
    CoarseMLP,
    CoarseVolumes,
    DeepSDFConfig,
    DualConfig,
    LinearConfig,
    VolumesConfig,
    build_decoder,
)
from latentsdf.decoder.lookup import read_volumes
from latentsdf.decoder.spline_volumes import ROUNDING, SplineVolumes
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.regularizers import PRESETS, TERMS, Batch, Disks, Objective, Term, preset, ray_points
from latentsdf.scan.scan import Scan
from latentsdf.space.shape import Shape

VOLUMES = CoarseVolumes(resolutions=(4, 7), channels=(3, 2), width=16, warp=3)
SPLINED = [
    DualConfig(code_size=6, coarse=VOLUMES, grid_resolution=9, fine_width=16),
    DualConfig(code_size=6, coarse=VOLUMES, grid_resolution=9, fine_width=16, residual=False, band=0.3),
    DualConfig(code_size=6, coarse=CoarseMLP(width=16, depth=2, octaves=2), grid_resolution=9, fine_width=16),
    VolumesConfig(code_size=6, volumes=VOLUMES),
    LinearConfig(code_size=6, resolution=9),
]


def decoded(config, dtype: torch.dtype = torch.float64):
    torch.manual_seed(0)
    decoder = build_decoder(config).eval().to(dtype).requires_grad_(False)
    for parameter in decoder.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return decoder.condition(0.3 * torch.randn(6, dtype=dtype))


def lattice_of(function, resolution: int) -> Tensor:
    vertices = lattice_vertices(resolution, dtype=torch.float64)
    return function(vertices).view(1, *[resolution] * 3, 1)


def field_of(volume: Tensor):
    return lambda points: SplineVolumes(volume).read(points[None])[0, :, 0]


def inner_points(count: int, seed: int = 0, reach: float = 0.95) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return reach * (2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1)


def test_linear_functions_are_read_exactly() -> None:
    """The weights sum to one and have their centre at the point, up to the rounding at the faces of the cube."""
    points = inner_points(200, reach=1 - ROUNDING / 5)
    slope = torch.tensor([0.3, -1.1, 0.7], dtype=torch.float64)
    jet = Jet(field_of(lattice_of(lambda x: 2.0 + x @ slope, 6)), points)
    torch.testing.assert_close(jet.value, 2.0 + points @ slope)
    torch.testing.assert_close(jet.gradient, slope.expand_as(points))
    everywhere = 3 * inner_points(200)
    ones = SplineVolumes(torch.ones(1, 5, 5, 5, 1, dtype=torch.float64)).read(everywhere[None])
    torch.testing.assert_close(ones, torch.ones_like(ones))


def test_a_quadratic_has_its_curvature_in_the_mean_over_a_cell() -> None:
    """Between vertices the field is trilinear; the crease at a vertex carries the second difference."""
    side, axis = 9, torch.linspace(-0.125, 0.125, 4001, dtype=torch.float64)[:-1] + 0.125 / 4000
    points = torch.stack([axis, torch.zeros_like(axis), torch.zeros_like(axis)], -1)
    jet = Jet(field_of(lattice_of(lambda x: 1.5 * x[:, 0] ** 2 - x[:, 1], side)), points)
    assert jet.hessian[:, 0, 0].mean().item() == pytest.approx(3.0, rel=1e-3)
    assert jet.hessian[:, 1:].abs().max().item() < 1e-9


def test_it_is_the_trilinear_read_away_from_the_creases() -> None:
    volumes = torch.randn(2, 6, 6, 6, 3, dtype=torch.float64)
    points = inner_points(4000).view(2, 2000, 3)
    cells = ((points + 1) * 2.5).frac()
    inside = ((cells > ROUNDING / 2) & (cells < 1 - ROUNDING / 2)).all(-1)
    assert inside.sum() > 500
    rounded, trilinear = read_volumes(SplineVolumes(volumes), points), read_volumes(volumes, points)
    torch.testing.assert_close(rounded[inside], trilinear[inside])
    assert not torch.allclose(rounded[~inside], trilinear[~inside])


def test_derivatives_are_continuous_across_knots_vertices_and_faces() -> None:
    field, step = field_of(torch.randn(1, 6, 6, 6, 1, dtype=torch.float64)), 1e-7
    for plane in (-1.0 - ROUNDING / 5, -1.0, -0.6, -0.6 + ROUNDING / 5, -0.4, 0.2, 1.0, 1.0 + ROUNDING / 5):
        points = inner_points(30)
        sides = []
        for offset in (-step, step):
            points[:, 1] = plane + offset
            jet = Jet(field, points)
            sides.append(torch.cat([jet.value.detach()[:, None], jet.gradient.detach()], 1))
        torch.testing.assert_close(*sides, atol=1e-4, rtol=0)


def test_reads_are_differentiable_twice_in_points_and_in_volumes() -> None:
    volumes = torch.randn(2, 3, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    points = inner_points(10).view(2, 5, 3).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v, x: read_volumes(SplineVolumes(v), x), (volumes, points))
    assert torch.autograd.gradgradcheck(lambda v, x: read_volumes(SplineVolumes(v), x), (volumes, points))


@pytest.mark.parametrize("config", SPLINED)
def test_second_derivatives_of_a_decoded_field_are_those_of_finite_differences(config) -> None:
    field, points, step = decoded(config).smoothed(), inner_points(300), 1e-6
    hessian = Jet(field, points).hessian
    columns = []
    for axis in range(3):
        shift = step * torch.eye(3, dtype=torch.float64)[axis]
        up, down = Jet(field, points + shift).gradient, Jet(field, points - shift).gradient
        columns.append((up - down) / (2 * step))
    differences = torch.stack(columns, -1)
    scale = 1 + differences.abs().amax((1, 2))
    error = (hessian - differences).abs().amax((1, 2)) / scale
    # A difference across a knot mixes two polynomials; hardly any point is that near to one.
    assert (error < 1e-4).double().mean().item() > 0.99
    assert hessian.abs().amax().item() > 0.1


def test_the_rounded_surface_stays_near_the_trilinear_one() -> None:
    """A second difference of at most 2 h / r (r the radius) is rounded by an eighth of the window, on each axis."""
    decoder = build_decoder(LinearConfig(code_size=6, resolution=32)).requires_grad_(False)
    dict(decoder.named_parameters())["mean"].copy_(lattice_vertices(32).norm(dim=-1) - 0.6)
    plain = decoder.condition(torch.zeros(6))
    points = inner_points(5000).float()
    points = points[points.norm(dim=1) > 0.3]
    width = 2 / 31
    bound = 2 * ROUNDING / 8 * width**2 / 0.2
    assert float((evaluate(plain.smoothed(), points) - evaluate(plain, points)).abs().max()) < bound < 2e-3
    surface = torch.from_numpy(extract_mesh(plain.smoothed(), 64).vertices).float()
    torch.testing.assert_close(surface.norm(dim=1), torch.full((len(surface),), 0.6), atol=2e-3, rtol=0)


def test_the_smooth_form_is_asked_for_and_the_default_stays_trilinear() -> None:
    plain = decoded(SPLINED[0])
    assert not plain.smooth
    with pytest.raises(ValueError, match="no second derivatives"):
        _ = Jet(plain, inner_points(3)).hessian
    smooth = plain.smoothed()
    assert smooth.smooth
    assert smooth.smoothed() is smooth
    mlp = decoded(DeepSDFConfig(code_size=6, width=24, depth=4, activation="softplus"))
    assert mlp.smoothed() is mlp


@pytest.mark.parametrize(
    "config",
    [
        DeepSDFConfig(code_size=6, width=24, depth=4),
        DualConfig(code_size=6, coarse=VOLUMES, fine_activation="relu"),
        VolumesConfig(code_size=6, volumes=replace(VOLUMES, activation="relu")),
        DualConfig(code_size=6, coarse=CoarseMLP(width=16, activation="relu"), grid_resolution=5),
    ],
)
def test_relu_units_have_no_smooth_form(config) -> None:
    with pytest.raises(ValueError, match="ReLU"):
        decoded(config).smoothed()


def batch_of(points: Tensor) -> Batch:
    normals = points / points.norm(dim=1, keepdim=True)
    disks = Disks.from_scan(Scan(points.numpy(), normals.numpy())).to(torch.float32)
    near = points + 0.02 * normals
    rays = ray_points(points, torch.tensor([0.0, 0.0, 3.0]), count=20, generator=torch.Generator().manual_seed(0))
    return Batch(
        surface=points, normals=normals, near=near, nearest=points, space=inner_points(50).float(), disks=disks,
        near_disk=torch.arange(len(points)), rays=rays.points, depth=rays.depth, code=torch.zeros(6),
    )  # fmt: skip


ROWS: list[tuple[str, Sequence[Term]]] = [(name, [Term(name=name)]) for name in TERMS]
ROWS += [(name, preset(name)) for name in PRESETS]


@pytest.mark.parametrize(("name", "rows"), ROWS, ids=[f"{number}-{name}" for number, (name, _) in enumerate(ROWS)])
def test_every_term_and_preset_acts_on_a_decoded_shape(name: str, rows: Sequence[Term]) -> None:
    """The loss of the default decoder's field has a finite derivative in the code (first order)."""
    torch.manual_seed(0)
    decoder = build_decoder(VolumesConfig(code_size=6, volumes=VOLUMES))
    code = 0.3 * torch.randn(6)
    code.requires_grad_(True)
    shape = Shape("one", code, Frame.around(torch.eye(3).numpy()), decoder)
    points = torch.nn.functional.normalize(inner_points(60).float(), dim=1) * 0.5
    losses = Objective(rows)(shape.smooth_sdf, batch_of(points))
    total = torch.stack(list(losses.values())).sum()
    assert torch.isfinite(total)
    if name in ("disk_thinness", "code_prior"):  # of the disks and of the code alone
        return
    (of_code,) = torch.autograd.grad(total, code)
    assert torch.isfinite(of_code).all()
    assert float(of_code.abs().max()) > 0
