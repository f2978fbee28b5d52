"""Files that other programs open and write, through the command line: scenes, levels, colours, views, depth images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from conftest import primitive
from PIL import Image
from trimesh.visual import ColorVisuals

from latentsdf.cli import main
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.vertex_data import vertex_colors
from latentsdf.space.store import load

Capture = pytest.CaptureFixture[str]


def run(tmp_path: Path, *arguments: object) -> dict:
    """Run a verb that must succeed and give its JSON."""
    target = tmp_path / "result.json"
    assert main([str(a) for a in arguments] + ["--json", str(target), "--quiet"]) == 0
    return json.loads(target.read_text())


def painted(mesh: trimesh.Trimesh) -> np.ndarray:
    """Colours (V, 4) of a mesh that has some."""
    colors = vertex_colors(mesh)
    assert colors is not None
    return colors


def refused(capsys: Capture, *arguments: object) -> str:
    """The one line of an error with exit code 2."""
    capsys.readouterr()
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert (code, err.count("\n")) == (2, 1), err
    return err


def test_several_names_are_one_scene(tmp_path: Path, space_path: Path) -> None:
    names = ("ball/0", "ring/1", "box/2")
    command = [sys.executable, "-m", "latentsdf", "mesh", space_path, *names, "-o", "all.glb", "--resolution", "32"]
    done = subprocess.run([*map(str, command)], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.count("all.glb") == 3
    scene = trimesh.load_scene(tmp_path / "all.glb", process=False)
    assert set(scene.graph.nodes_geometry) == set(names)
    space = load(space_path)
    volumes = [abs(space[name].mesh(32).volume) for name in names]
    assert load_mesh(tmp_path / "all.glb").volume == pytest.approx(sum(volumes), rel=1e-4)
    run(tmp_path, "mesh", space_path, *names, "-o", tmp_path / "all.3mf", "--resolution", 32)
    assert load_mesh(tmp_path / "all.3mf").volume == pytest.approx(sum(volumes), rel=1e-4)
    made = run(tmp_path, "mesh", space_path, *names, "-o", tmp_path / "out", "--resolution", 32, "--format", "gltf")
    for item, volume in zip(made["meshes"], volumes, strict=True):  # each one with a buffer of its own
        assert load_mesh(item["path"]).volume == pytest.approx(volume, rel=1e-4)


def test_levels_of_detail_keep_to_their_tolerances(tmp_path: Path, space_path: Path) -> None:
    verb = ("mesh", space_path, "ring/1", "-o", tmp_path / "ring.glb", "--resolution", 48)
    (row,) = run(tmp_path, *verb, "--lod", "0.05,0,0.01")["meshes"]
    assert [level["tolerance"] for level in row["levels"]] == [0, 0.01, 0.05]
    faces = [level["faces"] for level in row["levels"]]
    assert row["faces"] == faces[0] > 4 * faces[1]
    assert faces[1] > 2 * faces[2]
    shape = load(space_path)["ring/1"]
    truth = shape.mesh(48)
    scene = trimesh.load_scene(tmp_path / "ring.glb", process=False)
    assert list(scene.graph.nodes_geometry) == ["ring/1_LOD0"]
    content = (tmp_path / "ring.glb").read_bytes()
    tree = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert [node["name"] for node in tree["nodes"]] == ["ring/1_LOD0", "ring/1_LOD1", "ring/1_LOD2"]
    # The distance of each level, measured again from the numbers of the file.
    start = 28 + int.from_bytes(content[12:16], "little")
    for level, mesh in zip(row["levels"], tree["meshes"], strict=True):
        accessor = tree["accessors"][mesh["primitives"][0]["attributes"]["POSITION"]]
        view = tree["bufferViews"][accessor["bufferView"]]
        vertices = np.frombuffer(content, "<f4", 3 * accessor["count"], start + view["byteOffset"]).reshape(-1, 3)
        distance = MeshSDF(truth.vertices, truth.faces).distance(vertices).max() / shape.frame.scale
        assert distance <= level["distance"] + 1e-6 <= level["tolerance"] + 2e-6


def test_colours_of_the_source_go_to_the_mesh(tmp_path: Path, space_path: Path) -> None:
    source = primitive("ball", 0.8)
    shades = np.round((source.vertices / 0.8 + 1) * 127).astype(np.uint8)
    source.visual = ColorVisuals(source, vertex_colors=shades)
    (tmp_path / "meshes" / "ball").mkdir(parents=True)
    source.export(str(tmp_path / "meshes" / "ball" / "0.ply"))
    for given in (tmp_path / "meshes" / "ball" / "0.ply", tmp_path / "meshes"):
        verb = ("mesh", space_path, "ball/0", "-o", tmp_path / "x.ply", "--resolution", 32, "--normals")
        (row,) = run(tmp_path, *verb, "--colors", given)["meshes"]
        assert row["color_distance"] < 0.1
        found = trimesh.load(tmp_path / "x.ply", process=False)
        assert isinstance(found, trimesh.Trimesh)
        directions = found.vertices / np.linalg.norm(found.vertices, axis=1, keepdims=True)
        wanted = np.round((directions + 1) * 127)
        assert np.abs(painted(found)[:, :3] - wanted).max() < 12
        assert b"property float nz" in (tmp_path / "x.ply").read_bytes()[:400]


def test_what_scenes_levels_and_colours_refuse(tmp_path: Path, space_path: Path, capsys: Capture) -> None:
    two = ("mesh", space_path, "ball/0", "ball/1", "-o")
    assert "2 shapes are asked for; give a folder, or a file ending in .glb" in refused(
        capsys, *two, tmp_path / "x.obj"
    )
    assert "which .obj cannot hold; write .glb" in refused(capsys, *two[:3], "-o", tmp_path / "x.obj", "--lod", "0.1")
    assert "which .ply cannot hold" in refused(capsys, *two, tmp_path / "out", "--lod", "0.1", "--format", "ply")
    assert "must be below 1" in refused(capsys, *two, tmp_path / "x.glb", "--lod", "0.1,2")
    assert "asked for twice" in refused(capsys, *two[:3], *two[2:], tmp_path / "x.glb")
    assert "no such file or folder" in refused(
        capsys, *two[:3], "-o", tmp_path / "x.ply", "--colors", tmp_path / "no.ply"
    )
    primitive("ball", 1.0).export(str(tmp_path / "bare.ply"))
    bare = ("--colors", tmp_path / "bare.ply")
    assert "one source of colours for 2 shapes" in refused(capsys, *two, tmp_path / "x.glb", *bare)
    assert "holds no mesh named ball/0" in refused(capsys, *two, tmp_path / "x.glb", "--colors", tmp_path)
    assert "bare holds no colours" in refused(capsys, *two[:3], "-o", tmp_path / "x.ply", "--quiet", *bare)
    assert [path.name for path in tmp_path.iterdir()] == ["bare.ply"]


# --- scans of several views --------------------------------------------------------------------------------------


def caps(count: int = 1500) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points of a unit sphere around (5, 0, 0) as six sensors see them, and the sensors."""
    found, generator = [], np.random.default_rng(0)
    for axis in range(3):
        for side in (-3.0, 3.0):
            eye = np.zeros(3)
            eye[axis] = side
            points = generator.normal(size=(4 * count, 3))
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            found.append((points[points @ eye > 1.0][:count] + [5, 0, 0], eye + [5, 0, 0]))
    return found


def check_sphere(path: Path) -> trimesh.Trimesh:
    surface = load_mesh(path)
    assert surface.is_watertight
    np.testing.assert_allclose(np.linalg.norm(surface.vertices - [5, 0, 0], axis=1), 1.0, atol=0.06)
    return surface


def test_views_and_their_sensors_are_one_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views, listed = [], []
    for number, (points, eye) in enumerate(caps()):
        np.savez(tmp_path / f"v{number}.npz", points=points, colors=np.full((len(points), 3), 40 * number, np.uint8))
        views.append(f"v{number}.npz@" + ",".join(f"{value:g}" for value in eye))
        listed.append({"file": f"v{number}.npz", "sensor": eye.tolist()})
    monkeypatch.chdir(tmp_path)
    command = [
        sys.executable,
        "-m",
        "latentsdf",
        "reconstruct",
        *views,
        "-o",
        "a.ply",
        "--resolution",
        "48",
        "--colors",
    ]
    subprocess.run([*command, "--quiet"], check=True, capture_output=True)
    check_sphere(tmp_path / "a.ply")
    raw = trimesh.load(tmp_path / "a.ply", process=False)
    assert isinstance(raw, trimesh.Trimesh)
    top = painted(raw)[np.argmax(raw.vertices[:, 2])]
    np.testing.assert_array_equal(top, [200, 200, 200, 255])
    assert b"property float support" in (tmp_path / "a.ply").read_bytes()[:500]
    (tmp_path / "poses.json").write_text(json.dumps({"views": listed}))
    found = run(tmp_path, "reconstruct", "--poses", "poses.json", "-o", "b.glb", "--resolution", 48)
    assert found["residual_mean"] < 0.01
    check_sphere(tmp_path / "b.glb")
    assert (tmp_path / "b.glb").stat().st_size > 1000


def test_a_view_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    points = np.concatenate([points for points, _ in caps()])
    np.save(tmp_path / "a@1,2,3.npy", points)
    run(tmp_path, "reconstruct", tmp_path / "a@1,2,3.npy", "-o", tmp_path / "x.ply", "--resolution", 32)
    check_sphere(tmp_path / "x.ply")


def test_a_folder_of_depth_images_is_a_scan(tmp_path: Path) -> None:
    (tmp_path / "rgbd").mkdir()
    rows, columns = np.mgrid[:48, :48]
    rays = np.stack([(columns - 23.5) / 60, (rows - 23.5) / 60, np.ones((48, 48))], axis=-1)
    inside = (3 * rays[..., 2]) ** 2 - (rays**2).sum(-1) * 8  # of a unit sphere three before the camera
    z = np.where(inside > 0, (3 - np.sqrt(np.maximum(inside, 0))) / (rays**2).sum(-1), 0)
    for number, axis in enumerate((0, 0, 0, 0, 1, 1)):
        angle = (number if axis == 0 else 2 * number - 9) * np.pi / 2
        turn = np.array(trimesh.transformations.rotation_matrix(angle, np.eye(3)[axis]), dtype=float)
        turn[:3, 3] = np.array([5, 0, 0]) - 3 * turn[:3, 2]
        Image.fromarray(np.round(1000 * z).astype(np.uint16)).save(tmp_path / "rgbd" / f"frame-{number}.depth.png")
        np.savetxt(tmp_path / "rgbd" / f"frame-{number}.pose.txt", turn)
    camera = ("--intrinsics", 60, 60, 23.5, 23.5)
    verb = ("reconstruct", tmp_path / "rgbd", "-o", tmp_path / "x.ply", "--resolution", 48)
    run(tmp_path, *verb, *camera)
    check_sphere(tmp_path / "x.ply")


def test_what_views_refuse(tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "a.npy", caps()[0][0])
    (tmp_path / "empty").mkdir()
    one, out = tmp_path / "a.npy", ("-o", tmp_path / "x.ply")
    assert "give a SCAN, several views VIEW@X,Y,Z, or --poses FILE" in refused(capsys, "reconstruct", *out)
    assert "not both" in refused(capsys, "reconstruct", one, "--poses", one, *out)
    assert "without a sensor; write" in refused(capsys, "reconstruct", one, f"{one}@1,2,3", *out)
    assert "stands where the view was seen from, X,Y,Z; got '1,2'" in refused(capsys, "reconstruct", f"{one}@1,2", *out)
    assert "must be finite" in refused(capsys, "reconstruct", f"{one}@1,2,nan", *out)
    assert "no scan file" in refused(capsys, "reconstruct", f"{tmp_path}/b.npy@1,2,3", *out)
    sensor = ("--sensor", 0, 0, 0)
    assert "leave --sensor out" in refused(capsys, "reconstruct", f"{one}@1,2,3", *sensor, *out)
    assert "have poses; leave the sensor out" in refused(capsys, "reconstruct", tmp_path / "empty", *sensor, *out)
    assert "holds no depth images" in refused(capsys, "reconstruct", tmp_path / "empty", *out)
    assert "--frames is of a folder" in refused(capsys, "reconstruct", one, "--frames", 3, *out)
    assert "no such file" in refused(capsys, "reconstruct", "--poses", tmp_path / "no.json", *out)
    assert "a holds no colours" in refused(capsys, "reconstruct", one, *out, "--colors", "--quiet")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "empty"}
