"""Files of meshes: what each format holds comes back, also several shapes, levels and colours."""

from __future__ import annotations

import json
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals

from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.mesh_file import write_meshes
from latentsdf.mesh.surface_colors import load_surface_colors
from latentsdf.mesh.threemf import read_threemf
from latentsdf.mesh.vertex_data import split_at_creases

ENDINGS = ("ply", "obj", "stl", "off", "glb", "gltf", "3mf")


def ball() -> trimesh.Trimesh:
    """A unit sphere whose colour is its position."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.visual = ColorVisuals(mesh, vertex_colors=np.hstack([position_colors(mesh.vertices), np.full((642, 1), 255)]))
    return mesh


def position_colors(points: np.ndarray) -> np.ndarray:
    return np.round((points + 1) * 127).astype(np.uint8)


def glb_tree(path: Path) -> dict:
    content = path.read_bytes()
    magic, version, size = struct.unpack_from("<4sII", content)
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert (magic, version, size, kind) == (b"glTF", 2, len(content), b"JSON")
    return json.loads(content[20 : 20 + length])


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_mesh_back(tmp_path: Path, ending: str) -> None:
    mesh = ball()
    write_meshes({"ball/0": [mesh]}, tmp_path / f"x.{ending}")
    found = load_mesh(tmp_path / f"x.{ending}")
    assert found.is_watertight
    assert found.volume == pytest.approx(mesh.volume, rel=1e-5)
    assert len(found.vertices) == 642
    np.testing.assert_allclose(found.bounds, mesh.bounds, atol=1e-7)


@pytest.mark.parametrize("ending", ["ply", "obj", "off", "glb", "gltf", "3mf"])
def test_far_from_the_origin_a_millimetre_stays_one(tmp_path: Path, ending: str) -> None:
    box = trimesh.creation.box()
    box.apply_translation([5e5 + 1 / 3, 4.1e6, 120.0])
    write_meshes({"box": [box]}, tmp_path / f"x.{ending}")
    np.testing.assert_allclose(load_mesh(tmp_path / f"x.{ending}").bounds, box.bounds, rtol=0, atol=1e-6)


def test_stl_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    box.apply_translation([4.1e6, 0, 0])
    with pytest.raises(ValueError, match="too few for a mesh so far from the origin"):
        write_meshes({"box": [box]}, tmp_path / "x.stl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["glb", "gltf", "3mf"])
def test_several_shapes_are_objects_of_their_names(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"all.{ending}"
    box = trimesh.creation.box()
    write_meshes({"ball/0": [ball()], 'a "box" & <more>': [box]}, path)
    assert load_mesh(path).volume == pytest.approx(1 + ball().volume, rel=1e-5)
    if ending == "3mf":
        with zipfile.ZipFile(path) as archive:
            model = ElementTree.fromstring(archive.read("3D/3dmodel.model"))
        names = [item.get("name") for item in model.iter() if item.tag.endswith("object")]
        assert names == ["ball/0", 'a "box" & <more>']
    else:
        scene = trimesh.load_scene(path, process=False)
        assert set(scene.graph.nodes_geometry) == {"ball/0", 'a "box" & <more>'}
    with pytest.raises(ValueError, match="2 shapes are asked for; give a folder"):
        write_meshes({"a": [box], "b": [box]}, tmp_path / "all.obj")


def test_levels_of_detail_are_named_nodes_of_which_others_show_the_finest(tmp_path: Path) -> None:
    levels = [trimesh.creation.icosphere(subdivisions=number) for number in (3, 2, 1)]
    write_meshes({"ball": levels, "box": [trimesh.creation.box()]}, tmp_path / "x.glb")
    tree = glb_tree(tmp_path / "x.glb")
    assert [node["name"] for node in tree["nodes"]] == ["ball_LOD0", "ball_LOD1", "ball_LOD2", "box"]
    assert tree["scenes"][0]["nodes"] == [0, 3]
    assert tree["nodes"][0]["extensions"] == {"MSFT_lod": {"ids": [1, 2]}}
    assert tree["extensionsUsed"] == ["MSFT_lod"]
    faces = [tree["accessors"][mesh["primitives"][0]["indices"]]["count"] // 3 for mesh in tree["meshes"]]
    assert faces == [1280, 320, 80, 12]
    assert load_mesh(tmp_path / "x.glb").volume == pytest.approx(1 + levels[0].volume, rel=1e-5)
    with pytest.raises(ValueError, match=r"cannot hold 3 levels of detail; give a file ending in .glb"):
        write_meshes({"ball": levels}, tmp_path / "x.3mf")


def test_ply_holds_normals_colours_and_attributes(tmp_path: Path) -> None:
    mesh = ball()
    mesh.vertex_attributes["support"] = mesh.vertices[:, 2].astype(np.float32)
    write_meshes({"ball": [mesh]}, tmp_path / "x.ply", normals=True)
    raw = trimesh.load(tmp_path / "x.ply", process=False).metadata["_ply_raw"]["vertex"]["data"]
    names = ("x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "alpha", "support")
    assert raw.dtype.names == names
    np.testing.assert_allclose(np.stack([raw[name] for name in names[3:6]], axis=1), mesh.vertices, atol=0.01)
    np.testing.assert_array_equal(raw["support"], mesh.vertex_attributes["support"])
    np.testing.assert_array_equal(np.stack([raw[name] for name in names[6:9]], axis=1), position_colors(mesh.vertices))
    write_meshes({"ball": [mesh]}, tmp_path / "y.ply")
    assert b"property float nx" not in (tmp_path / "y.ply").read_bytes()[:400]


def test_glb_is_smooth_on_a_sphere_and_sharp_on_a_box(tmp_path: Path) -> None:
    split = split_at_creases(ball())
    assert len(split.origin) == 642
    np.testing.assert_allclose(split.normals, ball().vertices[split.origin], atol=0.02)
    box = split_at_creases(trimesh.creation.box())
    assert len(box.origin) == 24
    assert sorted(np.abs(box.normals).max(1)) == [1.0] * 24
    write_meshes({"box": [trimesh.creation.box()]}, tmp_path / "x.glb")
    write_meshes({"box": [trimesh.creation.box()]}, tmp_path / "y.glb", normals=False)
    smooth, bare = (glb_tree(tmp_path / f"{name}.glb")["meshes"][0]["primitives"][0] for name in "xy")
    assert set(smooth["attributes"]) == {"POSITION", "NORMAL"}
    assert set(bare["attributes"]) == {"POSITION"}


@pytest.mark.parametrize("ending", ["ply", "obj", "glb", "gltf"])
def test_colours_are_read_at_the_nearest_surface_point(tmp_path: Path, ending: str) -> None:
    write_meshes({"ball": [ball()]}, tmp_path / f"x.{ending}")
    source = load_surface_colors(tmp_path / f"x.{ending}")
    assert source is not None
    directions = np.random.default_rng(0).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    colors, distances = source(1.5 * directions)
    np.testing.assert_allclose(distances, 0.5, atol=0.01)
    difference = np.abs(colors[:, :3].astype(int) - position_colors(directions).astype(int))
    assert difference.max() <= 4
    assert (colors[:, 3] == 255).all()


def test_colours_of_faces_textures_and_plain_materials(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    shades = np.zeros((12, 4), np.uint8)
    shades[:, 3], shades[:, 0] = 255, 20 * np.arange(12)
    box.visual = ColorVisuals(box, face_colors=shades)
    box.export(str(tmp_path / "faces.ply"))
    colors = load_surface_colors(tmp_path / "faces.ply")
    assert colors is not None
    np.testing.assert_array_equal(colors(box.triangles_center)[0], shades)
    # A square with an image of four colours, one to a quarter.
    square = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)
    square.visual = TextureVisuals(uv=square.vertices[:, :2], image=Image.fromarray(pixels))
    for ending in ("obj", "glb"):
        square.export(str(tmp_path / f"square.{ending}"))
        source = load_surface_colors(tmp_path / f"square.{ending}")
        assert source is not None
        found = source(np.array([[0.1, 0.9, 0.3], [0.9, 0.9, 0.3], [0.1, 0.1, 0.3], [0.9, 0.1, 0.3]]))[0]
        np.testing.assert_array_equal(found[:, :3], pixels.reshape(4, 3))
    trimesh.creation.box().export(str(tmp_path / "bare.ply"))
    trimesh.creation.box().export(str(tmp_path / "bare.glb"))
    assert load_surface_colors(tmp_path / "bare.ply") is None
    assert load_surface_colors(tmp_path / "bare.glb") is None


def test_a_3mf_file_of_components_is_built_in_its_places(tmp_path: Path) -> None:
    write_meshes({"box": [trimesh.creation.box()]}, tmp_path / "x.3mf")
    with zipfile.ZipFile(tmp_path / "x.3mf") as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    component = (
        '<object id="9"><components><component objectid="2" transform="-2 0 0 0 2 0 0 0 2 5 0 0"/>'
        '<component objectid="2"/></components></object></resources>'
    )
    model = parts["3D/3dmodel.model"].replace("</resources>", component)
    parts["3D/3dmodel.model"] = model.replace(
        '<item objectid="2"/>', '<item objectid="9" transform="1 0 0 0 1 0 0 0 1 0 7 0"/>'
    )
    with zipfile.ZipFile(tmp_path / "y.3mf", "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    found = read_threemf(tmp_path / "y.3mf")
    assert found.volume == pytest.approx(9.0)  # the mirrored part is turned outward again
    np.testing.assert_allclose(found.bounds, [[-0.5, 6, -1], [6, 8, 1]])
    (tmp_path / "z.3mf").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"z.3mf: not a readable .3mf mesh \(no 3MF archive"):
        load_mesh(tmp_path / "z.3mf")
