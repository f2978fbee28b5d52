"""Overfit of a ball to an ellipsoid, by the solve and by terms; derivatives of a prior under correction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.core.field import Jet, evaluate
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.decoder import CoarseVolumes, DeepSDFConfig, LinearConfig, VolumesConfig, build_decoder
from latentsdf.fitting.fast_field import FastConfig
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.primitives import sphere
from latentsdf.reconstruction import shape_overfitting, term_descent
from latentsdf.reconstruction.corrected_field import CorrectedField, PriorTable
from latentsdf.reconstruction.refinement import RefineConfig, RefinementStatus
from latentsdf.reconstruction.shape_overfitting import DATA, overfit, overfit_terms
from latentsdf.regularizers import PRESETS, Term
from latentsdf.scan.scan import Scan
from latentsdf.space.shape import Shape

AXES = np.array([0.55, 0.47, 0.5])
SCALE = 20.0
QUICK = RefineConfig(resolution=32, steps=100)


def ellipsoid() -> trimesh.Trimesh:
    """Half axes `AXES` in the unit frame, in source units."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    return trimesh.Trimesh(SCALE * AXES * ball.vertices, ball.faces, process=False)


def ball_of_a_space() -> Shape:
    """A linear space whose mean is a ball of radius 1/2."""
    decoder = build_decoder(LinearConfig(code_size=4, resolution=32)).eval().requires_grad_(False)
    dict(decoder.named_parameters())["mean"].copy_(lattice_vertices(32).norm(dim=-1) - 0.5)
    return Shape("ball", torch.zeros(4), Frame(np.eye(3), SCALE, np.zeros(3)), decoder)


def mean_distance(shape: Shape) -> float:
    """Mean distance of the surface to the ellipsoid, unit frame."""
    surface, truth = extract_mesh(shape.sdf, 48), ellipsoid()
    return float(MeshSDF(truth.vertices / SCALE, truth.faces).closest(surface.vertices)[0].mean())


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape_overfitting, "MESH_POINTS", 4000)
    monkeypatch.setattr(term_descent, "BATCH", term_descent.BATCH._replace(surface=512, near=512, space=256, pool=4000))
    monkeypatch.setattr(term_descent, "_SPACE_POOL", 1024)


@pytest.mark.parametrize("terms", [None, {"divergence": 1e-4}], ids=["solve", "descent"])
def test_a_ball_becomes_the_ellipsoid_of_a_mesh(terms: dict[str, float] | None) -> None:
    shape = ball_of_a_space()
    assert mean_distance(shape) > 0.015
    found = overfit(shape, ellipsoid(), terms, QUICK)
    assert found.status is RefinementStatus.CORRECTED
    assert found.noise == 0
    assert found.shape.code is shape.code
    assert found.shape.correction is not None
    assert mean_distance(found.shape) < (1e-3 if terms is None else 3e-3)


def test_a_code_that_a_mesh_contradicts_keeps_its_frame() -> None:
    """A box far from the ball of the code: the points alone make the field, and the code is still where it was."""
    shape, box = ball_of_a_space(), trimesh.creation.box(extents=SCALE * np.array([1.5, 0.3, 0.3]))
    found = overfit(shape, box, config=RefineConfig(resolution=64))
    assert found.trust == 0
    assert found.shape.frame is shape.frame
    surface, unit = extract_mesh(found.shape.sdf, 48), box.vertices / SCALE
    assert float(MeshSDF(unit, box.faces).closest(surface.vertices)[0].mean()) < 5e-3
    points = torch.rand(50, 3) - 0.5
    torch.testing.assert_close(found.shape.without_correction().sdf(points), shape.sdf(points))


@pytest.mark.slow
def test_a_mesh_file_and_a_scan_are_data_too(tmp_path) -> None:
    file = tmp_path / "egg.ply"
    ellipsoid().export(str(file))
    from_file, from_mesh = (overfit(ball_of_a_space(), data, config=QUICK) for data in (file, ellipsoid()))
    assert from_file.shape.correction is not None
    assert mean_distance(from_file.shape) == pytest.approx(mean_distance(from_mesh.shape), abs=1e-4)
    scan = Scan(*surface_samples(ellipsoid(), 3000))
    assert mean_distance(overfit(ball_of_a_space(), scan, config=QUICK).shape) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_acts_on_a_shape_of_the_default_decoder(name: str) -> None:
    torch.manual_seed(0)
    coarse = CoarseVolumes(resolutions=(4, 8), channels=(3, 2), width=16)
    decoder = build_decoder(VolumesConfig(code_size=4, volumes=coarse)).eval().requires_grad_(False)
    shape = replace(ball_of_a_space(), decoder=decoder)
    found = overfit(shape, ellipsoid(), name, replace(QUICK, steps=5))
    assert found.method == "descent"
    assert any("the schedule was run to its end" in note for note in found.notes)


@pytest.mark.slow
def test_terms_that_need_second_derivatives_refuse_a_relu_decoder() -> None:
    decoder = build_decoder(DeepSDFConfig(code_size=4, width=16, depth=3)).eval().requires_grad_(False)
    shape = replace(ball_of_a_space(), decoder=decoder)
    with pytest.raises(ValueError, match="ReLU"):
        overfit(shape, ellipsoid(), {"divergence": 1e-4}, replace(QUICK, steps=2))
    assert overfit(shape, ellipsoid(), {"eikonal": 0.1}, replace(QUICK, steps=2)).method == "descent"


def test_data_terms_are_added_where_the_given_ones_have_none() -> None:
    assert overfit_terms({"eikonal": 0.5}) == (*DATA, Term(name="eikonal", weight=0.5))
    assert overfit_terms("igr") == PRESETS["igr"]
    own = {"normals": 2.0}
    assert [(row.name, row.weight) for row in overfit_terms(own)] == [("surface", 1.0), ("normals", 2.0)]
    with pytest.raises(ValueError, match="unknown term 'divergance'"):
        overfit_terms({"divergance": 1.0})


def corrected_ball(known: torch.Tensor, *, second: bool = True) -> tuple[CorrectedField, list[int]]:
    """A ball of radius 1/2 under a correction that is zero, and the sizes of the calls of the prior."""
    calls: list[int] = []

    def prior(points: torch.Tensor) -> torch.Tensor:
        calls.append(len(points))
        return sphere(0.5)(points)

    generator = torch.Generator().manual_seed(0)
    lattices = FastConfig(resolutions=(8, 16), banded=16, depth=0, base=8)
    network = lattices.build(generator, known, lambda queries: torch.zeros(len(queries)))
    table = PriorTable(prior, [(known, second)])
    calls.clear()
    return CorrectedField(prior, network, table), calls


def points_of(count: int, seed: int) -> torch.Tensor:
    return 0.9 * (2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) - 1)


def test_a_corrected_field_has_the_second_derivatives_of_its_prior() -> None:
    """For |x| - r: Laplacian 2 / |x|, Hessian (I - n n^T) / |x|, none along the gradient."""
    known = points_of(200, 0)
    field, calls = corrected_ball(known)
    for points, asked in ((known[torch.randperm(200)[:50]], 0), (points_of(50, 1), 1)):
        jet, radius = Jet(field, points, order=2), points.norm(dim=1)
        normal = points / radius[:, None]
        torch.testing.assert_close(jet.value.detach(), radius - 0.5, atol=1e-5, rtol=0)
        torch.testing.assert_close(jet.gradient.detach(), normal, atol=1e-5, rtol=0)
        torch.testing.assert_close(jet.laplacian.detach(), 2 / radius, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(jet.second_along_gradient.detach(), torch.zeros(50), atol=1e-3, rtol=0)
        expected = (torch.eye(3) - normal[:, :, None] * normal[:, None]) / radius[:, None, None]
        torch.testing.assert_close(jet.hessian.detach(), expected, atol=1e-3, rtol=1e-3)
        assert len(calls) == asked, "known points are not evaluated again"
    torch.testing.assert_close(evaluate(field, known), known.norm(dim=1) - 0.5)


def test_second_derivatives_that_were_not_foreseen_are_computed() -> None:
    known = points_of(60, 2)
    field, calls = corrected_ball(known, second=False)
    jet = Jet(field, known)
    assert not calls
    torch.testing.assert_close(jet.laplacian.detach(), 2 / known.norm(dim=1), atol=1e-3, rtol=1e-3)
    assert calls


def test_feet_carry_their_graph_through_the_prior() -> None:
    """The derivative of the gradient's z at a foot that moves: that of the prior's Hessian."""
    field, _ = corrected_ball(points_of(60, 3))
    points = points_of(20, 4).requires_grad_(True)
    jet = Jet(field, points, attached=True)
    (change,) = torch.autograd.grad(jet.gradient[:, 2].sum(), points)
    radius = points.detach().norm(dim=1, keepdim=True)
    normal = points.detach() / radius
    expected = (torch.tensor([0.0, 0.0, 1.0]) - normal * normal[:, 2:]) / radius
    torch.testing.assert_close(change, expected, atol=1e-3, rtol=1e-3)
