"""`latentsdf pack`: shapes in the bytes that a target asks for, resumed where it was stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from latentsdf.cli import main
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.space.store import load
from latentsdf.space.stored_mesh import StoredMesh


def pack(folder: Path, *arguments: object) -> dict[str, Any]:
    target = folder / "result.json"
    assert main(["pack", *map(str, arguments), "--json", str(target), "--quiet"]) == 0
    return json.loads(target.read_text())


def meshes_of_one_class(mesh_dir: Path, folder: Path) -> Path:
    shutil.copytree(mesh_dir / "box", folder / "meshes" / "box")
    return folder / "meshes"


@pytest.mark.slow
def test_shapes_come_closer_in_the_bytes_allowed_and_can_be_stripped_again(
    space_path: Path, mesh_dir: Path, tmp_path: Path
) -> None:
    meshes, out = meshes_of_one_class(mesh_dir, tmp_path), tmp_path / "packed.h5"
    result = pack(tmp_path, space_path, out, "--meshes", meshes, "--bytes", 120)
    assert [row["name"] for row in result["packed"]] == ["box/0", "box/1", "box/2"]
    assert [row["name"] for row in result["as_they_are"]] == [
        name for name in load(space_path) if not name.startswith("box/")
    ]
    assert result["file_bytes"] == out.stat().st_size
    before, after = load(space_path), load(out)
    assert after.names == before.names
    for row in result["packed"]:
        shape = after[row["name"]]
        assert isinstance(shape.correction, StoredMesh)  # a box takes the fewest bytes as twelve triangles
        assert row["mode"] == "mesh"
        assert row["code_bytes"] + shape.correction.nbytes == row["bytes"] <= 120
        truth = load_mesh(mesh_dir / f"{row['name']}.ply")
        scores = [compare(item[row["name"]].mesh(96), truth).f_scores[0.01] for item in (before, after)]
        assert scores[1] > scores[0]
        assert scores[1] == pytest.approx(row["f_score"], abs=0.04)
    stripped = pack(tmp_path, out, tmp_path / "codes.h5", "--code-only")
    assert stripped["packed"] == []
    assert all(shape.correction is None for shape in load(tmp_path / "codes.h5").values())


@pytest.mark.slow
def test_an_unfinished_file_is_gone_on_with(
    space_path: Path, mesh_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meshes, out = meshes_of_one_class(mesh_dir, tmp_path), tmp_path / "packed.h5"
    hidden = (meshes / "box" / "2.ply").rename(tmp_path / "hidden.ply")
    first = pack(tmp_path, space_path, out, "--meshes", meshes, "--bytes", 60)
    assert len(first["packed"]) == 2
    hidden.rename(meshes / "box" / "2.ply")
    second = pack(tmp_path, space_path, out, "--meshes", meshes, "--bytes", 60, "--resume")
    assert sorted(row["name"] for row in second["packed"]) == ["box/0", "box/1", "box/2"]
    arguments = [str(space_path), str(out), "--meshes", str(meshes), "--bytes", "90", "--resume", "--quiet"]
    assert main(["pack", *arguments]) == 2
    assert "was packed by --bytes 60; go on with the same target" in capsys.readouterr().err
    kept = {row["name"]: row for row in second["packed"]}
    assert all(kept[row["name"]] == row for row in first["packed"])


def test_what_cannot_be_packed_is_said(
    space_path: Path, mesh_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: object) -> str:
        assert main(["pack", str(space_path), *map(str, arguments), "--quiet"]) == 2
        return capsys.readouterr().err

    out = tmp_path / "out.h5"
    assert "needs --meshes" in refused(out)
    assert "needs --meshes" in refused(out, "--bytes", 60)
    assert "needs --meshes" in refused(out, "--code-only", "--meshes", mesh_dir)
    assert "done at once" in refused(out, "--code-only", "--resume")
    assert "is the space itself" in refused(space_path, "--code-only")
    assert "no such" in refused(out, "--bytes", 60, "--meshes", tmp_path / "none")
    out.write_text("mine")
    assert "use --resume to go on with it, --force" in refused(out, "--code-only")
    assert out.read_text() == "mine"


@pytest.mark.slow
def test_training_ends_with_shapes_overfitted(dataset_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    meshes, out, report = meshes_of_one_class(mesh_dir, tmp_path), tmp_path / "space.h5", tmp_path / "result.json"
    options = ["--minutes", "0.03", "--code-size", "8", "--bytes", "100", "--meshes", str(meshes), "--quiet"]
    assert main(["train", str(dataset_path), str(out), *options, "--json", str(report)]) == 0
    packed = json.loads(report.read_text())["packed"]
    assert [row["name"] for row in packed["packed"]] == ["box/0", "box/1", "box/2"]
    space = load(out)
    assert all(space[row["name"]].mode == row["mode"] and row["bytes"] <= 100 for row in packed["packed"])
    assert packed["file_bytes"] == out.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meshes", "result.json", "space.h5"]


def test_overfitting_at_the_end_needs_the_meshes(
    dataset_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "space.h5"
    assert main(["train", str(dataset_path), str(out), "--tolerance", "--quiet"]) == 2
    assert "together with --meshes" in capsys.readouterr().err
    assert not out.exists()
