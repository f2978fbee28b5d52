"""A scan alone by one linear solve: known solids, its own choice of cells, and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.cli import main
from latentsdf.fitting.direct_solve import fitting_config, fitting_resolution, solve_scan
from latentsdf.fitting.fitted_field import FitMethod
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.scan.outliers import remove_outliers
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.solver import SolveConfig
from latentsdf.solver.smoothing import noise_bending


def torus() -> trimesh.Trimesh:
    return trimesh.creation.torus(0.7, 0.25, major_sections=96, minor_sections=48)


def scanned(normals: bool, **arguments: object) -> Scan:
    scan = virtual_scan(torus(), seed=0, **{"count": 5000, **arguments})
    return scan if normals else Scan(scan.points)


@pytest.mark.slow
@pytest.mark.parametrize("normals", [True, False])
def test_a_known_solid_comes_back_in_its_own_units(normals: bool) -> None:
    scan = scanned(normals)
    far = Scan(20 * scan.points + 100, scan.normals)
    shares: list[float] = []
    found = solve_scan(far, on_level=shares.append)
    truth = trimesh.Trimesh(20 * torus().vertices + 100, torus().faces)
    report = compare(found.mesh(128), truth)
    assert report.f_scores[0.01] > 0.99
    assert report.chamfer_l1 < 0.002
    below = torch.tensor([[100.0, 100.0 + 20 * (0.7 + 0.25 - 0.03), 100.0]], dtype=torch.float64)
    assert float(found(below)) == pytest.approx(-20 * 0.03, rel=0.1)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert found.steps > 0
    assert (found.method, found.network, found.trace) == (FitMethod.SOLVE, "splines", ())


@pytest.mark.slow
def test_cells_follow_the_points_and_the_noise() -> None:
    few, many = (scanned(True, count=count) for count in (600, 40_000))
    noisy = scanned(True, count=40_000, noise=0.01)
    sizes = [fitting_resolution(scan.transformed(scan.frame())) for scan in (few, many, noisy)]
    assert sizes[0] < sizes[1] > sizes[2]
    assert fitting_resolution(Scan(np.random.default_rng(0).normal(size=(40, 3)) * 0.1)) == 32
    config = SolveConfig(resolution=64)
    assert solve_scan(many, config).notes[-1].startswith("64 cells")


@pytest.mark.slow
def test_strays_hardly_count_and_few_lone_points_do() -> None:
    found = solve_scan(scanned(False, outliers=0.1))
    assert "look like outliers" in found.notes[0]
    assert compare(found.mesh(96), torus()).f_scores[0.01] > 0.99
    scan = scanned(True)
    lone = np.flatnonzero((scan.points[:, 0] > 0.5) & (np.arange(len(scan)) % 40 > 0))  # one in forty of one end
    assert scan.normals is not None
    rows = np.setdiff1d(np.arange(len(scan)), lone)
    part = Scan(scan.points[rows], scan.normals[rows])
    assert len(remove_outliers(part, 10_000, 3.0, 10)) == len(rows)
    assert len(remove_outliers(scanned(False, outliers=0.1), 10_000, 3.0, 10)) < 5000
    thinned = solve_scan(part)
    assert not any("outliers" in note for note in thinned.notes)
    assert compare(thinned.mesh(96), torus()).f_scores[0.01] > 0.8


def test_a_few_points_far_away_do_not_shrink_the_shape() -> None:
    scan = scanned(False)
    far = Scan(np.concatenate([scan.points, [[1e6, 0, 0], [0, -40, 0]]]))
    for outliers in (0.0, 3.0):
        kept = remove_outliers(far, 10_000, outliers, 10)
        assert sorted(map(tuple, kept.points)) == sorted(map(tuple, scan.points))
        assert kept.notes == (f"2 of {len(far):,} points dropped: far away from the scan",)
    assert compare(solve_scan(far).mesh(96), torus()).f_scores[0.01] > 0.99
    two = Scan(np.concatenate([scan.points, scan.points + 50.0]))
    assert len(remove_outliers(two, 20_000, 0.0, 10)) == len(two)


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (np.random.default_rng(0).normal(size=(10, 3)), "too few"),
        (np.random.default_rng(0).normal(size=(500, 3)) * [1, 1, 0], "in one plane"),
        (np.random.default_rng(0).normal(size=(500, 1)) * [[1, 2, 3]], "on one line"),
    ],
)
def test_what_bounds_nothing_is_refused(points: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        solve_scan(Scan(points))


@pytest.mark.slow
def test_the_command_line_solves_unless_told_to_descend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, out, about = tmp_path / "scan.ply", tmp_path / "out.ply", tmp_path / "out.json"
    trimesh.PointCloud(scanned(False).points).export(str(scan))
    command = [sys.executable, "-m", "latentsdf", "reconstruct", scan, "-o", out, "--resolution", 64, "--json", about]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "one linear solve" in run.stdout
    assert "cells an axis" in run.stderr
    found = json.loads(about.read_text())
    assert (found["method"], found["preset"], found["network"]) == ("solve", None, "splines")
    mesh = load_mesh(out)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.volume, torus().volume, rtol=0.01)
    rest = ("--minutes", "0.02", "--resolution", "32", "--quiet", "--json", str(about))
    assert main(["reconstruct", str(scan), "-o", str(out), *rest]) == 0
    assert json.loads(about.read_text())["method"] == "descent"
    assert "digs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_noisy_sphere_comes_back_smooth() -> None:
    """Normals of the noisy surface are radial within 5 degrees in the mean; at the smoothness of exact points not."""
    ball = trimesh.creation.icosphere(5, 0.8)
    scan = Scan(virtual_scan(ball, noise=0.008, seed=2).points)
    unit = scan.transformed(scan.frame())
    smooth, _ = fitting_config(unit)
    angles = []
    for config in (smooth, SolveConfig(resolution=smooth.resolution)):
        mesh = solve_scan(scan, config).mesh(96)
        radial = mesh.triangles_center / np.linalg.norm(mesh.triangles_center, axis=1, keepdims=True)
        cosines = np.einsum("nd,nd->n", mesh.face_normals, radial)
        angles.append(float(np.degrees(np.average(np.arccos(cosines.clip(-1, 1)), weights=mesh.area_faces))))
    assert angles[0] < 5.0
    assert angles[0] < 0.7 * angles[1]


def test_smoothness_is_for_noise_that_no_normals_tell() -> None:
    exact = SolveConfig().bending
    assert noise_bending(0.0, 0.1, 0.02) == exact
    assert noise_bending(0.02, 0.02, 0.02) == pytest.approx(0.25)
    assert noise_bending(0.02, 0.01, 0.02) == pytest.approx(0.0625)
    noisy = scanned(True, noise=0.01)
    unit = noisy.transformed(noisy.frame())
    assert fitting_config(unit, estimated=False)[0].bending == exact
    assert fitting_config(unit)[0].bending > 10 * exact
