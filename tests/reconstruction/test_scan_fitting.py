"""Scans to codes and frames: derivatives, residuals of a scan, and poses that are found again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import primitive, random_linear
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import Frame
from latentsdf.core.pose import FREEDOMS, Pose, bounding_sphere_pose, rotations
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import Kind, Residuals
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.metrics import compare
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.reconstruction import scan_fitting
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.reconstruction import ReconstructConfig, code_zscore, reconstruct
from latentsdf.reconstruction.refinement import RefineConfig
from latentsdf.reconstruction.scan_fitting import ScanFitConfig, fit_scan
from latentsdf.reconstruction.scan_residuals import ScanResiduals
from latentsdf.scan import normals, winding
from latentsdf.scan import scan as scans
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.scan.winding import CLOSED
from latentsdf.space.store import load

QUICK = ScanFitConfig(points=512, starts=12)


def unit(mesh) -> tuple[Scan, Frame]:
    frame = Frame.around(mesh.vertices)
    return virtual_scan(mesh, count=3000, seed=1).transformed(frame), frame


@pytest.mark.parametrize("kind", ["signed", "unsigned", "outside"])
def test_slopes_are_those_of_the_loss_in_code_and_pose(kind: Kind) -> None:
    decoder = random_linear(4, 4, 0.5).double()
    generator = torch.Generator().manual_seed(1)
    pose = Pose(
        rotations(0.4 * torch.randn(2, 3, generator=generator)).double(),
        torch.tensor([0.2, -0.3]).double(),
        0.1 * torch.randn(2, 3, generator=generator).double(),
    )
    codes = torch.randn(2, 4, generator=generator).double()
    points = 0.5 * torch.rand(1, 200, 3, generator=generator).double()
    targets = 0.7 + torch.rand(1, 200, generator=generator).double()
    groups = [Residuals(points, targets, kind, under_weight=0.3)]
    objective = CodeObjective(decoder, 0.01, torch.ones(4 + FREEDOMS, dtype=torch.bool), pose_weight=0.3)
    slope = objective.normal_equations(Guess(codes, pose), groups, 2.0).gradient
    step = torch.zeros(2, 4 + FREEDOMS, dtype=torch.float64, requires_grad=True)
    moved = Guess(codes + step[:, :4], pose.retract(step[:, 4:]))
    # Residuals below the floor are weighed as squares; here only outside ones, where they are zero.
    objective.losses(moved, groups, 2.0).sum().backward()
    assert step.grad is not None
    torch.testing.assert_close(slope, step.grad, atol=5e-3, rtol=2e-2)


def test_openness_tells_a_whole_surface_from_a_part() -> None:
    ball, _ = unit(primitive("ball", 1.0))
    found = [ScanResiduals(Scan(ball.points[ball.points[:, 2] > height])).openness for height in (-2.0, 0.0, 0.8)]
    assert found[0] < CLOSED < found[1] < found[2]
    assert np.isnan(ScanResiduals(Scan(ball.points[:12])).openness)


def test_residuals_of_a_scan_are_true_of_its_shape() -> None:
    mesh = primitive("ring", 1.0)
    frame = Frame.around(mesh.vertices)
    sensor_scan = virtual_scan(mesh, count=3000, views=1, seed=0).transformed(frame)
    truth = MeshSDF(frame.to_unit(mesh.vertices), mesh.faces)
    kinds = []
    generator = torch.Generator().manual_seed(1)
    groups = ScanResiduals(sensor_scan).sample(2000, generator)
    assert len(ScanResiduals(replace(sensor_scan, cropped=True)).sample(1, generator)) == len(groups) - 1
    for group in groups:
        distances = truth(group.points[0].double())
        kinds.append(group.kind)
        if group.kind == "signed":
            assert float((distances - group.targets[0]).abs().max()) < 0.03
        elif group.kind == "unsigned":
            assert float((distances.abs() - group.targets[0]).max()) < 1e-4
            assert group.under_weight == 0.0
        else:
            assert float(distances.min()) > -0.02
            assert float((distances - group.targets[0]).max()) < 1e-4
    assert kinds == ["signed", "unsigned", "signed", "outside", "outside"]


def test_the_prior_of_a_code_is_the_distribution_of_the_stored_ones(space_path: Path) -> None:
    space = load(space_path)
    scan = virtual_scan(primitive("ring", 1.05), count=2000, views=1, seed=0)
    fit = fit_scan(space, scan, replace(QUICK, pose="known", prior=1e6, steps=4))
    torch.testing.assert_close(fit.code, space.codes().mean(0), atol=1e-3, rtol=0.0)
    free = fit_scan(space, scan, replace(QUICK, pose="known", prior=1e-4))
    assert code_zscore(space, free.code) < 3.0


@pytest.mark.slow
def test_a_scan_in_its_own_units_and_pose_is_found_again(space_path: Path) -> None:
    space = load(space_path)
    mesh = primitive("ring", 1.1)
    world = Frame(Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix(), 0.001, np.array([5.0, 6.0, 7.0]))
    mesh.vertices = world.to_unit(mesh.vertices)  # a thousand times as large, and turned
    scan = virtual_scan(mesh, count=2000, noise=2.0, seed=0)
    config = ReconstructConfig(fit=replace(QUICK, pose="free", rotations=200))
    found = reconstruct(space, Scan(scan.points), config=config)
    figures = compare(found.mesh(64), mesh)
    assert figures.f_scores[0.02] > 0.8
    assert found.residual_mean < 0.05 * 1000
    assert found.openness < CLOSED


def test_whole_scans_fill_the_unit_sphere_under_every_rotation() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)) * [0.4, 0.2, 0.1] + 0.3
    turns = rotations(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double())
    like = torch.zeros((), dtype=torch.float64)
    poses = bounding_sphere_pose(points, 0.0, like)(Pose.from_rotations(turns))
    found = poses.apply(torch.from_numpy(points)[None])
    for row, turn in enumerate(turns.numpy()):
        turned = points @ turn.T
        np.testing.assert_allclose(found[row].numpy(), Frame.around(turned).to_unit(turned), atol=1e-12)
    noisy = bounding_sphere_pose(points, 0.01, like)(Pose.from_rotations(turns))
    assert bool((noisy.log_scale > poses.log_scale).all())


@pytest.mark.slow
def test_a_known_frame_is_kept(space_path: Path) -> None:
    space, frame = load(space_path), Frame(np.eye(3), 2.0, np.array([0.1, 0.0, 0.0]))
    scan = virtual_scan(primitive("box", 1.0), count=500, seed=0)
    found = fit_scan(space, scan, replace(QUICK, pose="known"), frame=frame)
    assert found.frame.scale == pytest.approx(2.0)
    np.testing.assert_allclose(found.frame.rotation, np.eye(3), atol=1e-7)
    np.testing.assert_allclose(found.frame.center, frame.center, atol=1e-7)


def test_support_and_deviation_are_larger_where_nothing_was_seen(space_path: Path) -> None:
    space = load(space_path)
    mesh = primitive("ball", 1.0)
    points = virtual_scan(mesh, count=4000, seed=0).points
    scan = Scan(points[points[:, 0] > 0.2])
    config = ReconstructConfig(fit=replace(QUICK, pose="known"), frame=Frame.around(mesh.vertices))
    found = reconstruct(space, scan, config=config)
    surface = found.mesh(48)
    seen = surface.vertices[:, 0] > 0.3
    support = surface.vertex_attributes["support"]
    assert support[seen].mean() < 0.3 * support[~seen].mean()
    assert (surface.vertex_attributes["deviation"] >= 0).all()
    assert np.isfinite(surface.vertex_attributes["deviation"]).all()


@pytest.mark.parametrize("count", [4000, 250_000])
def test_a_bare_scan_is_measured_once(count: int, space_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, normals and openness of a scan are estimated once for the fit, the pose prior and the refinement."""
    calls: Counter[str] = Counter()

    def count_calls(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    for module, name in ((scans, "noise_level"), (normals, "noise_level"), (winding, "noise_level")):
        count_calls(module, name)
    for module, name in ((normals, "outward_normals"), (normals, "estimate_normals"), (scans, "openness")):
        count_calls(module, name)
    points, _ = surface_samples(primitive("ring", 1.05), count, seed=0)
    monkeypatch.setattr(scan_fitting, "MOST_POINTS", 3000)
    refinement = RefineConfig(resolution=32, points=2000 if count > 4000 else 100_000)
    config = ReconstructConfig(fit=replace(QUICK, steps=2, starts=2), refinement=refinement)
    result = reconstruct(load(space_path), Scan(points), config=config)
    assert result.refinement is not None
    assert any("no normals" in note for note in result.notes)
    assert dict(calls) == {"noise_level": 1, "outward_normals": 1, "estimate_normals": 1, "openness": 1}


def test_equal_seeds_give_equal_fits(space_path: Path) -> None:
    space, scan = load(space_path), virtual_scan(primitive("box", 1.1), count=800, seed=0)
    first, second = (fit_scan(space, scan, QUICK, candidates=candidate_fields(space)) for _ in range(2))
    assert torch.equal(first.code, second.code)
    assert first.frame.scale == second.frame.scale


@pytest.mark.slow
def test_a_scan_unlike_anything_is_said_to_be(space_path: Path) -> None:
    space = load(space_path)
    random = np.random.default_rng(0)
    found = reconstruct(space, Scan(random.uniform(-1.0, 1.0, (2000, 3))), config=ReconstructConfig())
    assert any("does not explain" in note for note in found.notes)


@pytest.mark.parametrize("change", [{"pose": "lying"}, {"starts": 0}, {"prior": -1.0}, {"steps": 0}])
def test_impossible_settings_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        ScanFitConfig(**change)


def test_too_few_points_are_refused(space_path: Path) -> None:
    with pytest.raises(ValueError, match="3 distinct points are too few"):
        fit_scan(load(space_path), Scan(np.repeat(np.eye(3), 50, axis=0)))
