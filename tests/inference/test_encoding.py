"""Unseen shapes and scans through a frozen decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from conftest import primitive

from latentsdf.codec.residual import Residual
from latentsdf.core.pose import PoseFreedom
from latentsdf.inference.code_fitting import EncodeConfig, infer_codes
from latentsdf.inference.encoding import encode, encode_all, sample_for_codes
from latentsdf.inference.rate_search import Target
from latentsdf.inference.residuals import SignedSamples
from latentsdf.mesh.metrics import compare
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.index import Index
from latentsdf.space.shape import Shape
from latentsdf.space.store import load
from latentsdf.space.stored_mesh import StoredMesh

FAST = EncodeConfig(steps=150, points=512, samples=8000)


def test_the_code_of_a_known_field_is_found(space_path: Path) -> None:
    space = load(space_path)
    truth = space["box/1"].code + 0.05
    points = torch.rand(1, 4000, 3, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    distances = space.decoder(truth[None], points)
    result = infer_codes(space.decoder, SignedSamples(points, distances), space.codes(), FAST)
    again = space.decoder(result.guess.codes, points)
    start = space.decoder(space.codes().mean(0)[None], points)
    assert float((again - distances).abs().mean()) < 0.1 * float((start - distances).abs().mean())


def test_an_unseen_mesh_lands_among_its_kind_and_keeps_its_units(space_path: Path) -> None:
    space = load(space_path)
    mesh = primitive("ring", 1.1)
    mesh.apply_scale(1000.0)
    mesh.apply_translation([1e4, 0, -1e4])
    before = {name: value.clone() for name, value in space.decoder.state_dict().items()}
    shape = encode(space, mesh, name="ring/new", config=FAST)
    assert Index(space).search(shape, k=1)[0].name.startswith("ring/")
    made = shape.mesh(64)
    np.testing.assert_allclose(made.bounds, mesh.bounds, atol=80.0)
    assert all(torch.equal(before[name], value) for name, value in space.decoder.state_dict().items())
    assert "ring/new" not in space
    assert shape.metadata["audit"]["watertight"] is True


def test_what_a_space_keeps_between_meshes_changes_no_code(space_path: Path) -> None:
    config, space = EncodeConfig(steps=20, points=512, samples=8000), load(space_path)
    first = encode(space, primitive("ring", 1.1), name="ring/new", config=config)
    assert torch.equal(first.code, encode(space, primitive("ring", 1.1), config=config).code)
    space.add(first)
    fresh = load(space_path)
    fresh.add(first)
    codes = [encode(each, primitive("ball", 0.9), config=config).code for each in (space, fresh)]
    assert torch.equal(*codes)


def test_a_batch_gives_each_shape_its_own_code(space_path: Path) -> None:
    space = load(space_path)
    pair = encode_all(space, [("a", primitive("ball", 1.0)), ("b", primitive("ring", 0.9))], config=FAST)
    assert [Index(space).search(shape, k=1)[0].name.split("/")[0] for shape in pair] == ["ball", "ring"]


def judged(shape: Shape, mesh: trimesh.Trimesh) -> float:
    """F-score at .01 of the meshed shape."""
    return compare(shape.mesh(128), mesh, samples=4000).f_scores[0.01]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pose", "kind", "stored"),
    [("known", "box", StoredMesh), ("free", "box", StoredMesh), ("free", "ring", Residual)],
)
def test_a_tolerance_is_reached(space_path: Path, pose: PoseFreedom, kind: str, stored: type) -> None:
    space, mesh = load(space_path), primitive(kind, 1.4)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(0.3, [1, 2, 0]))
    mesh.apply_scale(100.0)
    config = replace(FAST, steps=20, pose=pose, samples=40_000)
    plain = encode(space, mesh, config=config)
    near = encode(space, mesh, config=config, target=Target(tolerance=0.01))
    assert judged(plain, mesh) < 0.9
    assert isinstance(near.correction, stored)
    assert near.metadata["f_score"] >= 0.95
    assert judged(near, mesh) == pytest.approx(near.metadata["f_score"], abs=0.02)


@pytest.mark.slow
def test_a_number_of_bytes_is_kept_and_more_come_closer(space_path: Path) -> None:
    space, mesh = load(space_path), primitive("box", 1.4)
    config = replace(FAST, steps=20, samples=40_000)
    scores = []
    for limit in (16, 60, 200):
        shape = encode(space, mesh, config=config, target=Target(max_bytes=limit))
        size = 0 if shape.correction is None else shape.correction.nbytes
        assert size + shape.metadata["code_bytes"] <= limit
        scores.append(shape.metadata["f_score"])
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 0.1


@pytest.mark.parametrize(
    "given", [{}, {"tolerance": 0.0}, {"tolerance": 1.0}, {"max_bytes": 0}, {"tolerance": 0.01, "score": 1.0}]
)
def test_targets_out_of_range_are_errors(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="toleranc|max_bytes|score"):
        Target(**given)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_equal_seeds_give_equal_codes(space_path: Path) -> None:
    space, mesh = load(space_path), primitive("box", 1.1)
    first, second = (encode(space, mesh, config=FAST) for _ in range(2))
    assert torch.equal(first.code, second.code)


@pytest.mark.slow
def test_a_noisy_scan_without_normals_is_explained(space_path: Path) -> None:
    space = load(space_path)
    mesh = primitive("ring", 1.0)
    scan = virtual_scan(mesh, count=1500, noise=0.01, seed=0)
    found = reconstruct(space, scan)
    assert Index(space).search(found.shape, k=1)[0].name.startswith("ring/")
    assert found.residual_mean < 0.08
    assert found.residual_p90 >= found.residual_mean


def test_an_empty_space_still_infers(space_path: Path) -> None:
    space = load(space_path)
    points, distances = torch.rand(2, 100, 3), torch.rand(2, 100)
    result = infer_codes(space.decoder, SignedSamples(points, distances), torch.zeros(0, 8), EncodeConfig(steps=3))
    assert result.guess.codes.shape == (2, 8)
    assert torch.isfinite(result.losses).all()


@pytest.mark.parametrize("change", [{"steps": 0}, {"pose": "lying"}, {"prior": -1.0}])
def test_impossible_settings_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        EncodeConfig(**change)


def test_a_wire_with_a_small_band_is_fitted_in_one_batch_with_a_ball() -> None:
    config = EncodeConfig(samples=200_000)
    wire = trimesh.creation.cylinder(radius=0.002, height=2.0, sections=8)
    thin, thick = (sample_for_codes(mesh, config) for mesh in (wire, primitive("ball", 1.0)))
    assert len(thin.points) < len(thick.points)
    assert len(thin.code_rows) == len(thick.code_rows) == 0.95 * config.samples
    assert thin.code_rows.unique().numel() > 0.6 * config.samples
    assert int(thin.code_rows.max()) == len(thin.points) - 1
