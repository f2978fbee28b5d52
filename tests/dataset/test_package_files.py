"""Recipes that take meshes out of wheels: near-twins by their keys, and a wheel made here from end to end."""

from __future__ import annotations

import csv
import importlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import trimesh

pytest.importorskip("manifold3d")
pytest.importorskip("fast_simplification")

RECIPES = Path(__file__).parents[2] / "datasets"


@pytest.fixture(autouse=True)
def recipes_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(RECIPES))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(RECIPES)):
            del sys.modules[name]


def recipe(name: str) -> ModuleType:
    return importlib.import_module(name)


def wedge(width: float = 1.0) -> trimesh.Trimesh:
    """A closed mesh without any symmetry."""
    points = np.array([[0, 0, 0], [2, 0, 0], [2.3, width, 0.2], [0.1, 1.4, 0], [0.4, 0.3, 1.0], [1.7, 0.2, 0.6]])
    return trimesh.convex.convex_hull(points)


def test_the_key_of_a_sphere_is_known() -> None:
    key = recipe("twins").shape_key(trimesh.creation.icosphere(subdivisions=4))
    assert key[:3] == pytest.approx([3**-0.5] * 3, abs=0.01)
    assert 0 <= key[3] < 0.1
    assert key[4:] == pytest.approx(1.0, abs=0.01)


def test_moved_mirrored_scaled_and_refined_copies_are_twins() -> None:
    twins = recipe("twins")
    met = twins.Twins()
    assert met.of(twins.shape_key(wedge())) is None
    met.add("wedge", twins.shape_key(wedge()))
    copy = wedge().subdivide().subdivide()
    copy.apply_transform(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]) @ np.diag([3.0, 3.0, -3.0, 1]))
    copy.apply_translation([5, 0, 0])
    assert met.of(twins.shape_key(copy)) == "wedge"
    assert met.of(twins.shape_key(wedge(1.5))) is None
    assert met.of(twins.shape_key(trimesh.creation.box())) is None


def test_a_wheel_gives_one_of_each_set_of_twins_with_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = recipe("package_files")
    mirrored = wedge().apply_transform(np.diag([-1.0, 1, 1, 1]))
    members = {
        "toys/meshes/left.stl": wedge().export(file_type="stl"),
        "toys/meshes/right.STL": mirrored.export(file_type="stl"),
        "toys/meshes/brick.obj": str(trimesh.creation.box((1, 2, 3)).export(file_type="obj")).encode(),
        "toys/meshes/flat.obj": b"v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 1 1 0\nf 1 2 5\nf 2 3 5\nf 3 4 5\nf 4 1 5\n",
        "toys/meshes/collision/brick.stl": trimesh.creation.box().export(file_type="stl"),
        "toys/meshes/left_out.stl": trimesh.creation.icosphere().export(file_type="stl"),
        "other/ball.stl": trimesh.creation.icosphere().export(file_type="stl"),
    }
    wheel = tmp_path / "toy_box-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (tmp_path / "names.txt").write_text("left_out\n")
    folders = [files.Folder("toy-box", "toys/", "toy", "MIT", "A. Maker")]
    arguments = ["toys.py", str(tmp_path / "out"), "--source", str(wheel), "--leave-out", str(tmp_path / "names.txt")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert files.write_folders("Write toys.", folders, "toy.csv") == 0
    made = {path.name: trimesh.load_mesh(path) for path in sorted((tmp_path / "out" / "toy").iterdir())}
    assert list(made) == ["toy-box_toys_brick.ply", "toy-box_toys_left.ply"]
    assert made["toy-box_toys_brick.ply"].volume == pytest.approx(6.0)
    assert made["toy-box_toys_left.ply"].volume == pytest.approx(wedge().volume, rel=1e-3)
    rows = list(csv.DictReader((tmp_path / "out" / "toy.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["licence"], row["author"], row["change"]) for row in rows] == [
        ("MIT", "A. Maker", "union of closed parts")
    ] * 2
    assert rows[1]["source"] == "PyPI toy_box-1.0-py3-none-any.whl, toys/meshes/left.stl"
    out, err = capsys.readouterr()
    assert out.endswith("left out: 1 near-twins, 1 that could not be closed\n")
    assert "toy-box_toys_right is a near-twin of toy-box_toys_left" in err
    assert "toy-box_toys_flat left out: flat" in err


def stl(mesh: trimesh.Trimesh) -> bytes:
    data = mesh.export(file_type="stl")
    assert isinstance(data, bytes)
    return data


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    """A wheel with a link in pieces, links with a visual and a collision mesh, and a link in two formats."""
    far = trimesh.creation.box((1, 2, 5)).apply_translation([4, 0, 0])
    members = {
        "simple/arm/base_0.stl": stl(trimesh.creation.box((1, 2, 5))),
        "simple/arm/base_1.stl": stl(far),
        "simple/arm/base.stl": stl(trimesh.creation.box((5, 2, 5))),
        "simple/arm/link_vis.stl": stl(wedge()),
        "simple/arm/link.stl": stl(wedge(2.0)),
        "simple/arm/elbow_vis.stl": stl(trimesh.creation.box((1, 1, 0))),
        "simple/arm/elbow.stl": stl(trimesh.creation.icosphere()),
        "simple/arm/hand_jaw.stl": stl(trimesh.creation.cylinder(1.0, 5.0)),
        "simple/arm/obj_meshes/elbow.stl": stl(trimesh.creation.box((1, 4, 9))),
        "simple/arm/foot_coll.stl": stl(trimesh.creation.box((1, 4, 9))),
        "simple/arm/foot.obj": str(trimesh.creation.cone(1.0, 2.0).export(file_type="obj")).encode(),
        "simple/arm/foot.stl": stl(trimesh.creation.annulus(1.0, 2.0, 1.0)),
    }
    wheel = tmp_path / "toy_box-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return wheel


def test_of_each_link_one_mesh_is_written_the_visual_one_first(
    robot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = recipe("package_files")
    folders = [files.Folder("toy-box", "simple/arm/", "toy", "MIT", "A. Maker", pieces=True, without="jaw")]
    monkeypatch.setattr(sys, "argv", ["toys.py", str(tmp_path / "out"), "--source", str(robot)])
    assert files.write_folders("Write toys.", folders, "toy.csv") == 0
    made = {path.stem: trimesh.load_mesh(path) for path in sorted((tmp_path / "out" / "toy").iterdir())}
    names = ["toy-box_arm_base", "toy-box_arm_elbow", "toy-box_arm_foot", "toy-box_arm_link_vis"]
    assert list(made) == names
    assert made["toy-box_arm_base"].volume == pytest.approx(20.0)
    assert made["toy-box_arm_base"].body_count == 2
    assert made["toy-box_arm_link_vis"].volume == pytest.approx(wedge().volume, rel=1e-3)
    assert made["toy-box_arm_foot"].extents == pytest.approx([2, 2, 2], rel=0.02)
    table = (tmp_path / "out" / "toy.csv").read_text(encoding="utf-8")
    rows = {row["file"]: row for row in csv.DictReader(table.splitlines())}
    assert list(rows)[0] == "toy/toy-box_arm_base.ply"
    assert rows["toy/toy-box_arm_base.ply"]["source"].endswith("whl, simple/arm/base_0.stl, simple/arm/base_1.stl")
    assert rows["toy/toy-box_arm_foot.ply"]["source"].endswith("whl, simple/arm/foot.obj")
    assert "toy-box_arm_elbow_vis left out: " in capsys.readouterr().err


def test_specks_beside_a_part_are_left_out() -> None:
    files = recipe("package_files")
    part, speck = trimesh.creation.box((1, 2, 3)), trimesh.creation.box((0.01, 0.01, 0.01)).apply_translation([9, 0, 0])
    small = trimesh.creation.box((0.2, 0.2, 0.2)).apply_translation([2, 0, 0])
    both = files.without_crumbs(trimesh.util.concatenate([part, speck, small]))
    assert both.body_count == 2
    assert both.volume == pytest.approx(6.008)
    assert files.without_crumbs(part) is part


def test_names_left_out_leave_the_other_meshes_of_their_links_out_too(robot: Path) -> None:
    files = recipe("package_files")
    folder = files.Folder("toy-box", "simple/arm/", "toy", "MIT", "A. Maker", pieces=True)
    with zipfile.ZipFile(robot) as archive:
        listed = files.entries([archive], [folder])
    links = {entry.link.removeprefix("toy-box_arm_") for entry in files.chosen(listed, {"base_1", "link_vis"}, None)}
    assert links == {"elbow", "hand_jaw", "foot"}
    for seed in range(5):
        order = files.chosen(listed, set(), seed)
        assert sorted(order) == sorted(listed)
        names = [entry.name.removeprefix("toy-box_arm_") for entry in order]
        assert names.index("link_vis") + 1 == names.index("link")
        assert names.index("elbow_vis") + 1 == names.index("elbow")
    assert len({tuple(entry.link for entry in files.chosen(listed, set(), seed)) for seed in range(5)}) > 1


def test_sources_without_the_package_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = recipe("package_files")
    wheel = tmp_path / "other-1.0-py3-none-any.whl"
    zipfile.ZipFile(wheel, "w").close()
    monkeypatch.setattr(sys, "argv", ["toys.py", str(tmp_path / "out"), "--source", str(wheel)])
    with pytest.raises(SystemExit, match="2"):
        files.write_folders("Write toys.", [files.Folder("toy-box", "toys/", "toy", "MIT", "A. Maker")], "toy.csv")
    assert "toys: the sources hold no mesh of toy-box; --source takes their wheels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["bones", "props", "robot_parts"])
def test_every_folder_has_a_free_licence_and_an_author(name: str) -> None:
    free = {"MIT", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0"}
    folders = recipe(name).FOLDERS
    assert len(set(folders)) == len(folders)
    assert {folder.licence for folder in folders} <= free
    assert all(folder.author and folder.path.endswith("/") for folder in folders)


def test_robots_without_a_free_licence_are_not_taken() -> None:
    taken = {folder.path.rstrip("/").split("/")[-1] for folder in recipe("robot_parts").FOLDERS}
    assert taken >= {"sawyer_description", "bd_gripper", "ability_hand", "anymal_b_simple_description"}
    assert not taken & {
        "gr1",
        "go2",
        "z1",
        "z1_gripper",
        "fourier_hands",
        "inspire_hands",
        "b1",
        "arx5",
        "schunk_svh_hand",
        "icub_description",
    }
    assert not [path for path in taken if "puma" in path or "frankie" in path]
