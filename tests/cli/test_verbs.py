"""Every verb on the tiny space: files, printed lines, JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from conftest import primitive

from latentsdf.cli import demo_families as demo
from latentsdf.cli import main
from latentsdf.codec.residual import Residual
from latentsdf.mesh.load import NotAMesh, load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.store import load


@pytest.fixture
def space(space_path: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    return Path(shutil.copy(space_path, tmp_path / "space.h5"))


def run(tmp_path: Path, *arguments: object) -> dict:
    """Run a verb that must succeed and give its JSON."""
    target = tmp_path / "result.json"
    assert main([str(a) for a in arguments] + ["--json", str(target), "--quiet"]) == 0
    return json.loads(target.read_text())


@pytest.mark.slow
def test_the_main_job_as_processes(tmp_path: Path, mesh_dir: Path) -> None:
    def call(*arguments: object) -> str:
        command = [sys.executable, "-m", "latentsdf", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    out = call("prepare", mesh_dir, "d.h5", "--samples", 4000, "--workers", 1)
    assert "9 shapes (0 skipped)" in out
    assert "meshes/s" in out
    assert "9 shapes, 8 numbers each" in call("train", "d.h5", "s.h5", "--steps", 3, "--code-size", 8)
    assert "kind: space" in call("info", "s.h5")
    assert (tmp_path / "s.h5").exists()


def test_info_tells_datasets_from_spaces(tmp_path: Path, space: Path, dataset_path: Path) -> None:
    about = run(tmp_path, "info", space)
    assert (about["kind"], about["shapes"], about["code_size"]) == ("space", 9, 8)
    assert 8 < about["bytes_per_shape"] < 16
    assert about["classes"] == {"ball": 3, "box": 3, "ring": 3}
    assert run(tmp_path, "info", dataset_path)["kind"] == "dataset"


def test_mesh_writes_a_folder_or_a_file(tmp_path: Path, space: Path) -> None:
    made = run(tmp_path, "mesh", space, "ball/0", "ring/1", "-o", tmp_path / "out", "--resolution", 48)["meshes"]
    assert [item["path"] for item in made] == [str(tmp_path / "out" / f"{n}.ply") for n in ("ball/0", "ring/1")]
    for ending in ("glb", "obj", "stl", "off", "ply"):
        target = tmp_path / f"one.{ending}"
        run(tmp_path, "mesh", space, "ball/0", "-o", target, "--resolution", 32)
        surface = load_mesh(target)
        assert surface.is_watertight
        np.testing.assert_allclose(surface.bounds, [[-0.8] * 3, [0.8] * 3], atol=0.1)


def test_interpolate_writes_the_steps(tmp_path: Path, space: Path) -> None:
    made = run(
        tmp_path, "interpolate", space, "ball/0", "ball/2", "--steps", 3, "-o", tmp_path / "m", "--resolution", 32
    )
    volumes = [load_mesh(item["path"]).volume for item in made["meshes"]]
    assert [item["t"] for item in made["meshes"]] == [0.0, 0.5, 1.0]
    assert volumes[0] < volumes[1] < volumes[2]


@pytest.mark.slow
def test_search_by_name_mesh_and_points(tmp_path: Path, space: Path) -> None:
    by_name = run(tmp_path, "search", space, "ring/1", "-k", 3)["matches"]
    assert by_name[0] == {"name": "ring/1", "distance": 0.0}
    assert [m["distance"] for m in by_name] == sorted(m["distance"] for m in by_name)
    mesh = primitive("ring", 1.1)
    mesh.export(str(tmp_path / "query.stl"))
    assert run(tmp_path, "search", space, tmp_path / "query.stl")["matches"][0]["name"].startswith("ring/")
    cloud = trimesh.PointCloud(mesh.sample(2000, seed=0))
    cloud.export(str(tmp_path / "scan.ply"))
    np.savetxt(tmp_path / "scan.xyz", cloud.vertices)
    for name in ("scan.ply", "scan.xyz"):
        with pytest.raises(NotAMesh):
            load_mesh(tmp_path / name)
        assert run(tmp_path, "search", space, tmp_path / name)["matches"][0]["name"].startswith("ring/")


@pytest.mark.slow
def test_search_of_a_folder_and_of_one_class(tmp_path: Path, space: Path) -> None:
    folder = tmp_path / "queries" / "inner"
    folder.mkdir(parents=True)
    ring = primitive("ring", 1.1)
    ring.export(str(folder / "ring.stl"))
    np.savetxt(folder.parent / "scan.xyz", virtual_scan(ring, count=2000, views=1, seed=1).points)
    (folder.parent / "broken.ply").write_text("ply\n")
    found = run(tmp_path, "search", space, folder.parent, "-k", 2)
    rows = {row["query"]: row for row in found["queries"]}
    assert (found["metric"], sorted(rows)) == ("record", ["broken", "inner/ring", "scan"])
    assert "broken.ply" in rows["broken"]["reason"]
    for name in ("inner/ring", "scan"):
        assert rows[name]["matches"][0]["name"].startswith("ring/")
    balls = run(tmp_path, "search", space, folder / "ring.stl", "--class", "ball", "-k", 9)["matches"]
    assert [match["name"].split("/")[0] for match in balls] == ["ball"] * 3
    by_code = run(tmp_path, "search", space, folder, "--metric", "code", "-k", 1)
    assert by_code["queries"][0]["matches"][0]["name"].startswith("ring/")


@pytest.mark.slow
def test_search_says_why(tmp_path: Path, space: Path) -> None:
    ring = load_mesh(
        run(tmp_path, "mesh", space, "ring/1", "-o", tmp_path / "ring.ply", "--resolution", 96)["meshes"][0]["path"]
    )
    ring.apply_transform(trimesh.transformations.rotation_matrix(1.0, [1, 2, 3]))
    ring.apply_scale(2.5)
    ring.export(str(tmp_path / "turned.stl"))
    found = run(tmp_path, "search", space, tmp_path / "turned.stl", "--verify", "-k", 6)["matches"]
    first = {match["name"]: match for match in found}["ring/1"]
    assert first["relation"]["kind"] == "rotated"
    assert first["relation"]["scale"] == pytest.approx(1 / 2.5, abs=0.01)
    assert first["why"].startswith("rotated by 57.3 degrees, scaled by")
    kinds = [(match["relation"] or {}).get("kind") for match in found]
    assert kinds == sorted(kinds, key=lambda kind: (kind is None, kind == "variant"))
    assert kinds[-1] is None


@pytest.mark.slow
def test_encode_adds_shapes_under_their_paths(tmp_path: Path, space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new" / "ring").mkdir(parents=True)
    primitive("ring", 1.1).export(str(tmp_path / "new" / "ring" / "x.obj"))
    monkeypatch.chdir(tmp_path / "new")
    added = run(tmp_path, "encode", space, "ring/x.obj", "--steps", 50)["added"]
    assert [item["name"] for item in added] == ["ring/x"]
    assert "ring/x" in load(space)
    assert len(load(space)) == 10
    elsewhere = tmp_path / "y.ply"
    primitive("ball", 0.9).export(str(elsewhere))
    assert run(tmp_path, "encode", space, elsewhere, "--steps", 5)["added"][0]["name"] == "y"
    run(tmp_path, "encode", space, elsewhere, "--steps", 5, "--replace", "--pose", "known")
    known, found = load(space)["y"].frame, load(space)["ring/x"].frame
    assert known.scale == pytest.approx(0.9 * 1.03, rel=1e-3)
    assert (known.rotation == np.eye(3)).all()
    assert not (found.rotation == np.eye(3)).all()


def test_upright_poses_take_up_of_the_file_to_up_of_the_space(tmp_path: Path, space: Path) -> None:
    mesh = primitive("ring", 1.1)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    mesh.export(str(tmp_path / "standing.ply"))
    trimesh.PointCloud(mesh.sample(1500, seed=0)).export(str(tmp_path / "scan.ply"))
    upright = ("--pose", "upright", "--up", "0", "3", "0", "--space-up", "z")
    run(tmp_path, "encode", space, tmp_path / "standing.ply", "--steps", 5, *upright)
    encoded = load(space)["standing"].frame.rotation
    scanned = ("reconstruct", tmp_path / "scan.ply", "-o", tmp_path / "out.ply", "--space", space, "--code-only")
    found = run(tmp_path, *scanned, "--resolution", 32, *upright)
    for rotation in (encoded, np.array(found["frame"]["rotation"])):
        np.testing.assert_allclose(rotation @ [0, 1, 0], [0, 0, 1], atol=1e-4)
    assert compare(load_mesh(tmp_path / "out.ply"), mesh).f_scores[0.02] > 0.5
    matches = run(tmp_path, "search", space, tmp_path / "scan.ply", "--metric", "code", *upright)["matches"]
    assert matches[0]["name"].startswith(("ring/", "standing"))


@pytest.mark.slow
def test_encode_overfits_a_shape_to_its_mesh_as_a_process(tmp_path: Path, space: Path) -> None:
    truth = primitive("ring", 1.1)
    truth.export(str(tmp_path / "new.ply"))
    command = [sys.executable, "-m", "latentsdf", "encode", space, tmp_path / "new.ply", "--steps", "5", "--overfit"]
    options = ["--term", "divergence=0.0001", "--json", tmp_path / "result.json"]
    done = subprocess.run([*map(str, command + options)], check=True, capture_output=True, text=True)
    assert "overfit  new  correction of" in done.stderr
    (added,) = json.loads((tmp_path / "result.json").read_text())["added"]
    shape = load(space)["new"]
    assert shape.correction is not None
    assert shape.correction.nbytes == added["correction_bytes"] > 0
    code, corrected = (compare(found.mesh(64), truth) for found in (shape.without_correction(), shape))
    assert corrected.chamfer_l1 < 2e-3 < code.chamfer_l1


@pytest.mark.slow
def test_encode_stores_residuals_for_a_tolerance_or_a_number_of_bytes(tmp_path: Path, space: Path) -> None:
    primitive("ring", 1.1).export(str(tmp_path / "close.ply"))
    shutil.copy(tmp_path / "close.ply", tmp_path / "small.ply")
    (close,) = run(tmp_path, "encode", space, tmp_path / "close.ply", "--steps", 5, "--tolerance")["added"]
    (small,) = run(tmp_path, "encode", space, tmp_path / "small.ply", "--steps", 5, "--bytes", 50)["added"]
    assert close["tolerance"] == 0.01
    assert close["f_score"] >= 0.95
    assert 0 < small["residual_bytes"] <= 50 - small["code_bytes"]
    stored = load(space)
    for item in (close, small):
        correction = stored[item["name"]].correction
        assert isinstance(correction, Residual)
        assert correction.nbytes == item["residual_bytes"] == item["bytes"] - item["code_bytes"]
    facts = run(tmp_path, "info", space)
    assert facts["residual_shapes"] == 2
    assert facts["residual_bytes_largest"] == close["residual_bytes"]
    assert facts["residual_bytes_mean"] == (close["residual_bytes"] + small["residual_bytes"]) / 2


@pytest.mark.slow
def test_evaluate_reports_rows_and_a_summary(tmp_path: Path, space: Path) -> None:
    folder = tmp_path / "unseen"
    for kind in ("ball", "ring"):
        (folder / kind).mkdir(parents=True)
        primitive(kind, 1.1).export(str(folder / kind / "u.ply"))
    (folder / "ball" / "bad.ply").write_text("nonsense")
    found = run(
        tmp_path,
        "evaluate",
        space,
        folder,
        "--resolution",
        48,
        "--steps",
        100,
        "--branch",
        "coarse",
        "--branch",
        "fused",
    )
    rows = {(row["name"], row.get("branch")): row for row in found["rows"]}
    assert rows["ball/bad", "fused"]["reason"]
    assert 0 < rows["ring/u", "fused"]["chamfer_l1"] < 0.1
    assert 0 <= rows["ring/u", "fused"]["missing_area"] < 1
    assert rows["ring/u", "fused"]["genus_true"] == 1
    assert found["summary"]["shapes"] == 2
    assert found["summary"]["components_right"] in (0, 0.5, 1)
    assert set(found["branches"]) == {"coarse", "fused"}
    assert found["retrieval"]["queries"] == 2


@pytest.mark.slow
def test_reconstruct_writes_a_watertight_mesh_in_the_scans_units(tmp_path: Path, space: Path) -> None:
    mesh = primitive("ring", 1.0)
    mesh.apply_scale(50.0)
    mesh.apply_translation([1000.0, 0, 0])
    trimesh.PointCloud(mesh.sample(3000, seed=0)).export(str(tmp_path / "scan.ply"))
    out = tmp_path / "out.ply"
    found = run(tmp_path, "reconstruct", tmp_path / "scan.ply", "-o", out, "--space", space, "--resolution", 64)
    surface = load_mesh(out)
    assert surface.is_watertight
    np.testing.assert_allclose(surface.bounds, mesh.bounds, atol=6.0)
    assert found["matches"][0]["name"].startswith("ring/")
    assert found["residual_mean"] < 3.0
    header = out.read_bytes().split(b"end_header")[0]
    assert b"property float support" in header
    assert b"property float deviation" in header
    for old, new in (
        ("surprise", "code_zscore"),
        ("deviation_mean", "stddev_mean"),
        ("support_p90", "scan_distance_p90"),
    ):
        assert found[old] == found[new] > 0


@pytest.mark.slow
def test_a_scan_from_one_place_says_where_that_is(tmp_path: Path, space: Path) -> None:
    seen = virtual_scan(primitive("ring", 1.0), count=2000, views=1, seed=3)
    assert seen.sensor is not None
    trimesh.PointCloud(seen.points - seen.sensor).export(str(tmp_path / "scan.ply"))
    options = ("reconstruct", tmp_path / "scan.ply", "-o", tmp_path / "out.ply", "--space", space, "--resolution", 48)
    truth = primitive("ring", 1.0).apply_translation(-seen.sensor)
    scores = {}
    for name, sensor in (("right", np.zeros(3)), ("behind", -2 * seen.sensor)):
        run(tmp_path, *options, "--sensor", *sensor)
        scores[name] = compare(load_mesh(tmp_path / "out.ply"), truth).chamfer_l1
    assert scores["right"] < 0.5 * scores["behind"]
    amid = seen.points.mean(0) - seen.sensor
    assert any("amid the points" in note for note in run(tmp_path, *options, "--sensor", *amid)["notes"])
    found = run(tmp_path, "search", space, tmp_path / "scan.ply", "--sensor", 0, 0, 0, "-k", 1)
    assert found["matches"][0]["name"].startswith("ring/")


@pytest.mark.slow
def test_what_a_dozen_points_do_not_tell_is_null(tmp_path: Path, space: Path) -> None:
    trimesh.PointCloud(primitive("ring", 1.0).sample(12, seed=0)).export(str(tmp_path / "scan.ply"))
    options = ("reconstruct", tmp_path / "scan.ply", "-o", tmp_path / "out.ply", "--space", space, "--resolution", 32)
    assert run(tmp_path, *options, "--code-only")["openness"] is None


@pytest.mark.slow
def test_a_reconstruction_is_kept_in_the_space_on_demand(tmp_path: Path, space: Path) -> None:
    trimesh.PointCloud(primitive("ring", 1.0).sample(3000, seed=0)).export(str(tmp_path / "scan.ply"))
    options = ("reconstruct", tmp_path / "scan.ply", "-o", tmp_path / "out.ply", "--space", space, "--resolution", 48)
    found = run(tmp_path, *options, "--add", "ring/scanned")
    shape = load(space)["ring/scanned"]
    assert shape.correction is not None
    assert shape.correction.nbytes == found["correction_bytes"] > 0
    assert run(tmp_path, *options, "--code-only")["correction_bytes"] == 0


@pytest.mark.slow
def test_train_and_resume_equal_one_run(tmp_path: Path, dataset_path: Path) -> None:
    run(tmp_path, "train", dataset_path, tmp_path / "a.h5", "--steps", 6, "--code-size", 4)
    run(tmp_path, "train", dataset_path, tmp_path / "b.h5", "--steps", 3, "--code-size", 4)
    result = run(tmp_path, "train", dataset_path, tmp_path / "b.h5", "--resume", "--steps", 3)
    assert "not at its end" in result["stop"]
    one, two = load(tmp_path / "a.h5"), load(tmp_path / "b.h5")
    assert (one.codes() == two.codes()).all()


def test_few_bytes_a_code_are_few_numbers(tmp_path: Path, dataset_path: Path) -> None:
    for given, numbers in ((("--code-bytes", 6), 14), (("--code-bytes", 6, "--code-size", 8), 8)):
        out = tmp_path / f"{numbers}.h5"
        run(tmp_path, "train", dataset_path, out, "--steps", 2, *given)
        assert run(tmp_path, "info", out)["code_size"] == numbers


def test_the_committed_space_answers_every_verb(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "checkpoints" / "families.h5"
    assert path.stat().st_size <= 2_000_000
    about = run(tmp_path, "info", path)
    name = about["names"][0]
    assert run(tmp_path, "search", path, name, "-k", 2)["matches"][0]["name"] == name
    run(tmp_path, "mesh", path, name, "-o", tmp_path / "x.ply", "--resolution", 48)


@pytest.mark.slow
def test_the_demo_runs_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: demo.FAMILIES[name] for name in ("mug", "bottle", "vase", "chair")}
    monkeypatch.setattr(demo, "FAMILIES", few)
    monkeypatch.setattr(demo, "write_families", partial(demo.write_families, families=tuple(few)))
    report = run(
        tmp_path, "demo", "--collection", "families", "--out", tmp_path / "demo", "--minutes", 0.1, "--shapes", 1
    )
    for name in ("contact_sheet.png", "morph_and_scan.png", "report.json", "space.h5", "scan_reconstructed.ply"):
        assert (tmp_path / "demo" / name).exists(), name
    assert report["shapes"] == report["families"] == 4
    assert report["search"]["queries"] == report["families"]
