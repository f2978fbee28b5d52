"""The verb `duplicates`: a folder, a space, a sheet, and what is refused before any work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation

from latentsdf.cli import main
from latentsdf.cli.duplicates import TOLERANCES
from latentsdf.mesh.congruence import TOLERANCE

KEYS = {"source", "tolerance", "shapes", "groups", "variants", "compared", "skipped", "interrupted", "sheet", "seconds"}


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latentsdf", "duplicates", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["duplicates", *map(str, arguments), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def found(path: Path, target: Path, *options: object) -> Any:
    assert main(["duplicates", str(path), "--quiet", "--workers", "1", "--json", str(target), *map(str, options)]) == 0
    return json.loads(target.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A torus, its scaled, subdivided copy, a plate, its rotated copy, a bad file and one of a taken name."""
    path = tmp_path / "meshes"
    (path / "ring").mkdir(parents=True)
    torus, plate = trimesh.creation.torus(1.0, 0.3), trimesh.creation.box((3, 2, 0.5))
    torus.export(str(path / "ring" / "a.ply"))
    torus.export(str(path / "ring" / "a.stl"))
    torus.subdivide().apply_scale(10.0).export(str(path / "ring" / "b.obj"))
    plate.export(str(path / "plate.ply"))
    turn = Rotation.from_rotvec([0.3, 0.2, -0.4]).as_matrix()
    trimesh.Trimesh(plate.vertices @ turn.T, plate.faces, process=False).export(str(path / "turned.ply"))
    (path / "bad.ply").write_text("no mesh")
    return path


def test_the_default_tolerance_is_that_of_the_library() -> None:
    assert TOLERANCES[0] == TOLERANCE


@pytest.mark.slow
def test_a_folder_as_a_process(folder: Path, tmp_path: Path) -> None:
    sheet, out = tmp_path / "new" / "sheet.png", tmp_path / "found.json"
    done = process(folder, "--sheet", sheet, "--json", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "records 100%" in done.stderr
    assert "compare 100%" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("skipped ring/a.stl: the name 'ring/a' is taken by a.ply")
    assert lines[1].startswith("skipped bad: bad.ply: not a readable .ply mesh")
    assert lines[2] == "2 shapes: plate, turned"
    assert lines[3].startswith("  plate -> turned: rotated by 30.9 degrees; distance ")
    assert lines[4] == "2 shapes: ring/a, ring/b"
    assert lines[5].startswith("  ring/a -> ring/b: scaled by 10, other triangles; distance ")
    assert lines[6].startswith("4 shapes, 4 of them in 2 groups, 2 skipped, 2 pairs compared, tolerance 0.01, ")
    assert lines[7:] == [str(sheet)]
    result = json.loads(out.read_text())
    assert set(result) == KEYS
    assert [group["names"] for group in result["groups"]] == [["plate", "turned"], ["ring/a", "ring/b"]]
    relation = result["groups"][1]["relations"][0]
    assert (relation["kind"], relation["remeshed"], relation["mirrored"]) == ("scaled", True, False)
    assert relation["scale"] == pytest.approx(10.0, rel=1e-3)
    assert np.shape(relation["transform"]) == (4, 4)
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 150


@pytest.mark.slow
def test_a_folder_where_nothing_is_alike(tmp_path: Path) -> None:
    trimesh.creation.icosphere(2).export(str(tmp_path / "0.ply"))
    trimesh.creation.torus(1.0, 0.3).export(str(tmp_path / "1.ply"))
    result = found(tmp_path, tmp_path / "found.json", "--sheet", tmp_path / "none.png", "--variants")
    assert (result["groups"], result["variants"], result["sheet"]) == ([], [], None)
    assert not (tmp_path / "none.png").exists()


@pytest.mark.slow
def test_shapes_of_a_space(space_path: Path, tmp_path: Path) -> None:
    before = space_path.read_bytes()
    result = found(space_path, tmp_path / "found.json")
    assert (result["shapes"], result["tolerance"]) == (9, TOLERANCES[1])
    assert space_path.read_bytes() == before
    for group in result["groups"]:
        for relation in group["relations"]:
            assert relation["distance"] <= TOLERANCES[1]


def test_wrong_arguments_are_refused(
    capsys: pytest.CaptureFixture[str], mesh_dir: Path, dataset_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    assert "no mesh below" in refused(capsys, tmp_path / "empty")
    assert "dataset" in refused(capsys, dataset_path)
    assert "ending must be one of .png" in refused(capsys, mesh_dir, "--sheet", tmp_path / "x.jpg")
    assert "is a folder, a file is wanted" in refused(capsys, mesh_dir, "--sheet", tmp_path / "folder.png")
    assert "is a file, a folder is wanted" in refused(capsys, mesh_dir, "--sheet", tmp_path / "file" / "x.png")


@pytest.mark.slow
def test_a_folder_without_a_readable_mesh(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.ply").write_text("no mesh")
    assert "no shape of" in refused(capsys, tmp_path, "--workers", 1)
