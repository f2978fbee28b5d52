"""Scans fitted alone: known solids come out, hopeless scans are refused, equal seeds give equal fields."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

import latentsdf.fitting.descent as fitting
from latentsdf.cli import main
from latentsdf.core.field import Jet
from latentsdf.core.optimize import Stop
from latentsdf.fitting.descent import PAPER_NETWORK, FitConfig, fit
from latentsdf.fitting.fast_field import FastConfig
from latentsdf.fitting.fitted_field import FitMethod, Fitted
from latentsdf.fitting.networks import NETWORKS
from latentsdf.fitting.paper_fields import BallConfig, SineConfig
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.regularizers import PRESETS, Term
from latentsdf.scan.normals import outward_normals
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.scan.winding import approximate_distance

QUICK = FitConfig(steps=40, surface=512, near=512, space=256)


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "POOL", 20_000)


def two_boxes() -> trimesh.Trimesh:
    parts = [trimesh.creation.box((0.8, 0.6, 0.5)), trimesh.creation.box((0.4, 0.6, 0.9))]
    parts[0].apply_translation([-0.7, 0, 0])
    parts[1].apply_translation([0.6, 0.1, 0])
    joined = trimesh.util.concatenate(parts)
    assert isinstance(joined, trimesh.Trimesh)
    return joined


SOLIDS = {
    "sphere": lambda: trimesh.creation.icosphere(4, 1.0),
    "torus": lambda: trimesh.creation.torus(1.0, 0.35, 64, 32),
    "boxes": two_boxes,
}


def scanned(kind: str, normals: bool = False, count: int = 4000, **options) -> Scan:
    scan = virtual_scan(SOLIDS[kind](), count=count, **options)
    return scan if normals else Scan(scan.points, name="bare")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOLIDS)
@pytest.mark.parametrize("normals", [True, False])
def test_known_solids_come_out(kind: str, normals: bool) -> None:
    found = fit(scanned(kind, normals), config=replace(QUICK, steps=40 if normals else 60))
    report = compare(found.mesh(64), SOLIDS[kind]())
    assert found.stop is Stop.FINISHED
    assert report.f_scores[0.01] > 0.9
    assert report.chamfer_l1 < 0.005
    assert report.hausdorff < 0.06


def test_the_field_is_about_a_distance_in_both_units() -> None:
    scan = scanned("sphere")
    found = fit(Scan(50 * scan.points + 7), config=QUICK)
    points = torch.randn(500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = points / points.norm(dim=-1, keepdim=True) * torch.linspace(0.7, 1.2, 500, dtype=torch.float64)[:, None]
    truth = 50 * (points.norm(dim=-1) - 1)
    torch.testing.assert_close(found(50 * points + 7), truth, rtol=0, atol=8.0)
    unit = torch.from_numpy(found.frame.to_unit(50 * points.numpy() + 7)).float()
    torch.testing.assert_close(found.sdf(unit).double() * found.frame.scale, found(50 * points + 7))
    assert (Jet(found.sdf, unit).gradient.norm(dim=-1) - 1).abs().mean() < 0.2
    assert set(found.trace[-1]) == {"progress", "seconds", "loss", "surface", "off_surface", "eikonal@surface+space"}
    assert (found.preset, found.network, found.steps, found.method) == ("digs", "fast", 40, FitMethod.DESCENT)


def test_equal_seeds_give_equal_fields_and_others_do_not() -> None:
    scan, config = scanned("torus", count=1000), FitConfig(steps=4, surface=64, near=64, space=64)
    points = torch.rand(50, 3) - 0.5
    one, two = fit(scan, "viscoreg", config).sdf(points), fit(scan, "viscoreg", config).sdf(points)
    assert torch.equal(one, two)
    other = fit(scan, "viscoreg", FitConfig(steps=4, surface=64, near=64, space=64, seed=1)).sdf(points)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_on_every_kind_of_network(name: str) -> None:
    scan = scanned("sphere", normals=True, count=500)
    small = {
        "fast": FastConfig(resolutions=(4, 8), base=8),
        "sine": SineConfig(width=16, depth=3),
        "softplus": BallConfig(width=16, depth=3, skip=None),
    }
    for network in small.values():
        config = FitConfig(steps=2, surface=64, near=64, space=64, network=network)
        found = fit(scan, name, config)
        assert found.stop is Stop.FINISHED
        assert all(np.isfinite(list(row.values())).all() for row in found.trace)
    assert PAPER_NETWORK[name] in NETWORKS


def test_papers_networks_are_taken_by_name_and_relu_refuses_second_order() -> None:
    scan = scanned("sphere", count=200)
    config = FitConfig(steps=1, surface=8, near=8, space=8, network="paper")
    assert fit(scan, "digs", config).network == "sine"
    assert fit(scan, "neural-pull", config).network == "relu"
    with pytest.raises(ValueError, match="no second derivatives"):
        fit(scan, "digs", FitConfig(steps=1, surface=8, near=8, space=8, network="relu"))


def test_terms_that_the_scan_cannot_serve_are_named() -> None:
    scan = scanned("sphere", count=200)
    with pytest.raises(ValueError, match="the scan has no normals"):
        fit(scan, {"surface": 1.0, "normals": 1.0}, QUICK)
    with pytest.raises(ValueError, match="sensor"):
        fit(scan, [Term(name="free_space")], QUICK)
    with pytest.raises(ValueError, match="did you mean 'viscoreg'"):
        fit(scan, "viscorge", QUICK)
    with pytest.raises(ValueError, match="at least one term"):
        fit(scan, [], QUICK)


def test_rays_are_drawn_where_the_sensor_is_known() -> None:
    for views in (1, 3):
        scan = virtual_scan(SOLIDS["sphere"](), count=500, views=views)
        found = fit(scan, {"surface": 1.0, "free_space": 1.0}, FitConfig(steps=3, surface=64, rays=32))
        assert "free_space" in found.trace[-1]


def test_a_field_of_the_wrong_sign_is_turned() -> None:
    wrong = fitting._NegatedField(NETWORKS["sine"].build(torch.Generator())).requires_grad_(False)
    field, notes = fitting._orient_field(wrong)
    assert float(field(torch.ones(1, 3))) > 0 > float(field(torch.zeros(1, 3)))
    assert "sign was changed" in notes[0]


def test_normals_look_outward_and_rough_distances_have_the_right_sign() -> None:
    for kind, make in SOLIDS.items():
        scan = scanned(kind, normals=True)
        unit = scan.transformed(scan.frame())
        assert unit.normals is not None
        normals = outward_normals(unit.points)
        assert ((normals * unit.normals).sum(1) > 0).mean() > 0.99
        mesh, queries = make(), np.random.default_rng(0).uniform(-1, 1, (2000, 3))
        truth = MeshSDF(scan.frame().to_unit(mesh.vertices), mesh.faces)(torch.from_numpy(queries)).numpy()
        rough = approximate_distance(unit.points, normals, queries)
        assert ((rough < 0) == (truth < 0))[np.abs(truth) > 0.05].mean() > 0.995


# --- scans that are not as they should be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (np.random.default_rng(0).normal(size=(10, 3)), "10 distinct points are too few"),
        (np.tile(np.random.default_rng(0).normal(size=(10, 3)), (50, 1)), "10 distinct points are too few"),
        (np.random.default_rng(0).normal(size=(500, 3)) * [1, 1, 0], "in one plane"),
        (np.random.default_rng(0).normal(size=(500, 1)) * [[1, 2, 3]], "on one line"),
    ],
)
def test_scans_that_bound_nothing_are_refused(points: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        fit(Scan(points), config=QUICK)


@pytest.mark.slow
def test_repeated_points_strays_and_too_many_points_are_dealt_with_and_said() -> None:
    scan = scanned("torus", count=10_000, outliers=0.1)
    found = fit(Scan(np.concatenate([scan.points, scan.points[:500]])), config=QUICK)
    assert "repeated" in found.notes[0]
    assert "far from all others" in found.notes[1]
    report = compare(found.mesh(64), SOLIDS["torus"]())
    assert report.f_scores[0.01] > 0.9
    assert report.hausdorff < 0.1
    many = Scan(np.random.default_rng(0).normal(size=(300_000, 3)) * [1, 0.5, 0.4])
    ready = fitting._prepare_scan(many, FitConfig(points=20_000, outliers=0.0))
    assert len(ready) == 20_000
    assert ready.notes == ("20,000 of 300,000 points drawn at random",)


def test_rows_of_nan_and_normals_of_no_length_are_dropped_and_said() -> None:
    scan = scanned("sphere", normals=True, count=1000)
    assert scan.normals is not None
    points, normals = scan.points.copy(), scan.normals.copy()
    points[:5], normals[5:8] = np.nan, 0.0
    found = fit(Scan(points, normals), config=FitConfig(steps=2, surface=64, near=64, space=64))
    assert found.notes[0].startswith("8 of 1000 points dropped")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"network": "fats"}, "unknown network"),
        ({"steps": 0}, "steps"),
        ({"minutes": 0.0}, "minutes"),
        ({"start": "cold"}, "'rough'"),
        ({"near": 0}, "at least 1"),
    ],
)
def test_configs_refuse_nonsense(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        FitConfig(**options)


# --- the command line ------------------------------------------------------------------------------------------------


def cloud(path: Path, points: np.ndarray) -> Path:
    trimesh.PointCloud(points).export(str(path))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.slow
def test_reconstruct_without_a_space_as_a_process(tmp_path: Path) -> None:
    scan = cloud(tmp_path / "scan.ply", 20 * scanned("torus").points + 100)
    out, about = tmp_path / "out.ply", tmp_path / "out.json"
    arguments = ("reconstruct", scan, "-o", out, "--minutes", 0.1, "--resolution", 64, "--json", about)
    run = subprocess.run(
        [sys.executable, "-m", "latentsdf", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(about.read_text())
    mesh = load_mesh(out)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.bounds, 20 * SOLIDS["torus"]().bounds + 100, atol=0.6)
    assert (found["preset"], found["network"], found["interrupted"]) == ("digs", "fast", False)
    assert found["stop"] == Stop.FINISHED.value
    assert found["residual_mean"] < 0.2
    assert "digs, fast network" in run.stdout


def test_terms_of_ones_own(tmp_path: Path) -> None:
    scan, about = cloud(tmp_path / "scan.ply", scanned("sphere", count=500).points), tmp_path / "a.json"
    terms = ("--term", "surface=10", "--term", "eikonal=0.1")
    call = ("reconstruct", scan, "-o", tmp_path / "x.ply", *terms, "--minutes", 0.02, "--resolution", 32, "--quiet")
    assert main([*map(str, call), "--json", str(about)]) == 0
    assert set(json.loads(about.read_text())["terms"]) <= {"surface", "eikonal"}


@pytest.mark.slow
def test_ctrl_c_writes_the_mesh_of_what_there_is(tmp_path: Path) -> None:
    scan, out = cloud(tmp_path / "scan.ply", scanned("torus").points), tmp_path / "out.ply"
    command = [sys.executable, "-m", "latentsdf", "reconstruct", scan, "-o", out, "--minutes", 50, "--resolution", 32]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "step" in line
    process.send_signal(signal.SIGINT)
    out_text, err = process.communicate()
    assert process.returncode == 130, err
    assert load_mesh(out).is_watertight
    assert "interrupted; the work so far was kept" in out_text


def test_a_loss_that_breaks_is_said_and_the_field_before_it_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan, out = cloud(tmp_path / "scan.ply", scanned("sphere", count=500).points), tmp_path / "x.ply"
    call = ("reconstruct", scan, "-o", out, "--term", "surface=1e39", "--minutes", 1, "--resolution", 32, "--quiet")
    assert main([*map(str, call)]) == 2
    said = capsys.readouterr().err
    assert "no longer a finite number" in said
    assert "smaller --term weights" in said
    assert load_mesh(out).is_watertight


def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = cloud(tmp_path / "good.ply", scanned("sphere", count=200).points)
    rest = ("-o", tmp_path / "x.ply", "--quiet")
    few = cloud(tmp_path / "few.ply", np.random.default_rng(0).normal(size=(10, 3)))
    assert "10 distinct points" in refused(capsys, "reconstruct", few, *rest)
    flat = cloud(tmp_path / "flat.ply", np.random.default_rng(0).normal(size=(99, 3)) * [1, 0, 1])
    assert "in one plane" in refused(capsys, "reconstruct", flat, *rest)
    (tmp_path / "empty.xyz").write_text("")
    assert "empty" in refused(capsys, "reconstruct", tmp_path / "empty.xyz", *rest)
    assert "did you mean 'digs'" in refused(capsys, "reconstruct", good, *rest, "--preset", "dig")
    assert "two ways" in refused(capsys, "reconstruct", good, *rest, "--preset", "digs", "--term", "surface=1")
    assert "twice" in refused(capsys, "reconstruct", good, *rest, "--term", "surface=1", "--term", "surface=2")
    assert "normals" in refused(capsys, "reconstruct", good, *rest, "--term", "normals=1")
    assert "without a space" in refused(capsys, "reconstruct", good, *rest, "--network", "fast", "--space", "s.h5")
    with pytest.raises(SystemExit):
        main(["reconstruct", str(good), "-o", "x.ply", "--term", "surface"])
    assert "eikonal=0.1" in capsys.readouterr().err


def test_fitted_is_small_and_frozen() -> None:
    assert {"sdf", "frame", "stop", "trace", "seconds", "preset", "notes"} <= set(Fitted.__dataclass_fields__)
