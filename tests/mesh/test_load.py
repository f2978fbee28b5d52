"""Loading, repair, audit and signed distance of meshes whose answers are known."""

import json

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.mesh.audit import Audit, audit_mesh
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.repair import repair_mesh
from latentsdf.mesh.surface_sampling import surface_samples

BOX_PLY = (
    "ply\nformat ascii 1.0\nelement vertex {v}\nproperty float x\nproperty float y\nproperty float z\n"
    "element face {f}\nproperty list uchar int vertex_indices\nend_header\n"
)


def box(size=1.0, at=(0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    made = trimesh.creation.box((size, size, size))
    return trimesh.Trimesh(made.vertices + np.asarray(at), made.faces, process=False)


def joined(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)]
    return trimesh.Trimesh(np.concatenate([m.vertices for m in meshes]), np.concatenate(faces), process=False)


def inverted(mesh):
    return trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[:, ::-1], process=False)


def box_sdf(points, half=0.5):
    beyond = np.abs(points) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(1), 0)


@pytest.mark.parametrize("ending", ["ply", "obj", "stl", "off", "glb", "STL"])
def test_every_kind_of_file_gives_the_same_box(tmp_path, ending):
    path = tmp_path / f"box.{ending}"
    box().export(path, file_type=ending.lower())
    mesh = load_mesh(path)
    assert mesh.vertices.shape == (8, 3)
    assert mesh.faces.shape == (12, 3)
    assert mesh.vertices.dtype == np.float64
    assert mesh.volume == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("contents", "ending"),
    [("ply", "off"), ("ply", "obj"), ("ply", "stl"), ("stl", "ply"), ("off", "ply"), ("obj", "ply"), ("glb", "off")],
)
def test_a_file_with_the_ending_of_another_format_is_named_as_such(tmp_path, contents, ending):
    path = tmp_path / f"box.{ending}"
    box().export(path, file_type=contents)
    says = (
        f"^box.{ending}: the contents are not {ending.upper()} but {contents.upper()}; rename it to box.{contents}, or"
    )
    with pytest.raises(ValueError, match=says):
        load_mesh(path)


def test_bytes_that_are_no_text_are_refused_without_a_word_of_modules(tmp_path):
    path = tmp_path / "noise.off"
    path.write_bytes(bytes(range(128, 256)) * 40)
    with pytest.raises(ValueError, match=r"^noise.off: the contents are not OFF; export the mesh again$"):
        load_mesh(path)


def test_a_scene_becomes_one_mesh_with_its_places_and_mirrors(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(box(), transform=np.diag([2.0, 1.0, 1.0, 1.0]))
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 5.0
    scene.add_geometry(box(), transform=mirror)
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb")
    assert mesh.bounds[:, 0] == pytest.approx([-1.0, 5.5])
    assert mesh.volume == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("box.dae", "x", "no mesh ending"),
        ("empty.ply", "", "empty"),
        ("none.ply", BOX_PLY.format(v=0, f=0), "empty"),
        ("junk.ply", "not a mesh", "not a readable .ply mesh"),
        ("junk.obj", "not a mesh", "empty"),
        ("junk.stl", "not a mesh", "mesh"),
        ("junk.glb", "not a mesh", "not a readable .glb mesh"),
        ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "point cloud .3 points.*reconstruct"),
        ("points.ply", BOX_PLY.format(v=2, f=0) + "0 0 0\n1 1 1\n", "point cloud .2 points.*reconstruct"),
        ("nan.ply", BOX_PLY.format(v=3, f=1) + "0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n", "1 of 3 vertices are NaN"),
        ("line.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no area"),
        ("range.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "range.off"),
    ],
)
def test_bad_files_are_refused_in_one_line_that_names_them(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=says) as caught:
        load_mesh(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.ply"):
        load_mesh(tmp_path / "nowhere.ply")


def test_a_mesh_inside_out_is_turned():
    mesh, flipped = repair_mesh(inverted(box()))
    assert flipped == 12
    assert mesh.volume == pytest.approx(1.0)


def test_mixed_winding_is_made_one():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    faces = np.array(sphere.faces)
    wrong = np.random.default_rng(0).choice(len(faces), 400, replace=False)
    faces[wrong] = faces[wrong, ::-1]
    mesh, flipped = repair_mesh(trimesh.Trimesh(sphere.vertices, faces, process=False))
    assert flipped == 400
    assert mesh.volume == pytest.approx(sphere.volume)


@pytest.mark.parametrize("inside_out", [False, True])
def test_a_cavity_stays_a_cavity(inside_out):
    hollow = joined(box(2.0), inverted(box(1.0)))
    mesh, flipped = repair_mesh(inverted(hollow) if inside_out else hollow)
    assert flipped == (24 if inside_out else 0)
    assert mesh.volume == pytest.approx(7.0)
    signs = MeshSDF(mesh.vertices, mesh.faces).inside(np.array([[0.0, 0, 0], [0.75, 0, 0], [1.5, 0, 0]]))
    assert signs.tolist() == [False, True, False]


@pytest.mark.parametrize("inside_out", [False, True])
def test_a_cavity_stays_a_cavity_when_faces_are_missing(inside_out):
    outer, inner = trimesh.creation.icosphere(radius=2.0), inverted(trimesh.creation.icosphere(radius=1.0))
    hollow = joined(outer, inner)
    kept = np.random.default_rng(0).permutation(len(hollow.faces))[: int(0.97 * len(hollow.faces))]
    holed = trimesh.Trimesh(hollow.vertices, hollow.faces[kept], process=False)
    mesh, flipped = repair_mesh(inverted(holed) if inside_out else holed)
    assert flipped == (len(kept) if inside_out else 0)


def test_a_solid_in_a_cavity_in_a_solid_is_turned_as_a_whole():
    nest = joined(box(4.0), inverted(box(3.0)), box(1.0))
    mesh, flipped = repair_mesh(joined(inverted(nest), box(1.0, at=(9, 0, 0))))
    assert flipped == 36
    assert mesh.volume == pytest.approx(64 - 27 + 1 + 1)


def test_each_of_ten_bodies_is_oriented_by_itself():
    bodies = [box(at=(2.0 * k, 0, 0)) for k in range(10)]
    mesh, flipped = repair_mesh(joined(*[inverted(b) if k % 3 == 0 else b for k, b in enumerate(bodies)]))
    assert flipped == 4 * 12
    assert mesh.volume == pytest.approx(10.0)
    assert audit_mesh(mesh, flipped_faces=flipped).components == 10


def test_overlapping_bodies_are_no_cavities():
    mesh, _ = repair_mesh(joined(box(), inverted(box(at=(0.3, 0.2, 0.1)))))
    assert mesh.volume == pytest.approx(2.0)


def test_bodies_that_share_an_edge_are_oriented_apart():
    first, second = box(), inverted(box(at=(1.0, 1.0, 0.0)))
    both = joined(first, second)
    both.merge_vertices()
    mesh, flipped = repair_mesh(both)
    assert flipped == 12
    assert mesh.volume == pytest.approx(2.0)


def test_degenerate_and_repeated_faces_go():
    made = box()
    faces = np.concatenate([made.faces, made.faces[:3], made.faces[3:4, ::-1], [[0, 0, 1]]])
    mesh, flipped = repair_mesh(trimesh.Trimesh(made.vertices, faces, process=False))
    assert len(mesh.faces) == 12
    assert flipped == 0


def test_a_flat_sheet_is_refused():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    turn = np.linalg.qr([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])[0]
    sheet = trimesh.Trimesh(corners @ turn.T * 1000 + 1e4, [[0, 1, 2], [0, 2, 3]], process=False)
    with pytest.raises(ValueError, match="mesh is flat: its 4 vertices"):
        repair_mesh(sheet)


@pytest.mark.parametrize("backend", ["numba", "igl"])
@pytest.mark.parametrize(("size", "shift"), [(1.0, 0.0), (1e3, 1e4), (1e-3, 0.0)])
def test_distance_to_a_box_is_exact_in_any_units(backend, size, shift, capfd):
    if backend == "numba":
        pytest.importorskip("numba")
    sdf = MeshSDF(box().vertices * size + shift, box().faces, backend=backend)
    points = np.random.default_rng(0).uniform(-1, 1, (5000, 3))
    values = sdf.signed_distance(points * size + shift)
    np.testing.assert_allclose(values / size, box_sdf(points), atol=1e-6)
    np.testing.assert_array_equal(np.abs(values), sdf.distance(points * size + shift))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("backend", ["numba", "igl"])
def test_nearest_points_lie_on_the_faces_named(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    sphere = trimesh.creation.icosphere(subdivisions=2)
    faces = np.concatenate([[[0, 0, 1]], sphere.faces])  # a degenerate face in front must not shift the names
    sdf = MeshSDF(sphere.vertices, faces, backend=backend)
    points = np.random.default_rng(1).normal(size=(2000, 3))
    distances, index, nearest = sdf.closest(points)
    np.testing.assert_allclose(np.linalg.norm(points - nearest, axis=1), distances, atol=1e-6)
    corners = sphere.vertices[faces[index]]
    onto = trimesh.triangles.closest_point(corners, points)
    np.testing.assert_allclose(onto, nearest, atol=2e-6)
    np.testing.assert_allclose(distances, MeshSDF(sphere.vertices, faces, backend="igl").distance(points), atol=1e-6)


def test_a_mesh_is_an_sdf_of_tensors():
    sdf = MeshSDF(box().vertices, box().faces)
    values = sdf(torch.tensor([[0.0, 0, 0], [2, 0, 0]], dtype=torch.float32, requires_grad=True))
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, torch.tensor([-0.5, 1.5]))
    assert sdf(torch.zeros(0, 3)).shape == (0,)


def test_signs_survive_missing_faces():
    sphere = trimesh.creation.icosphere(subdivisions=4)
    rng = np.random.default_rng(0)
    kept = rng.permutation(len(sphere.faces))[: int(0.97 * len(sphere.faces))]
    holed, flipped = repair_mesh(inverted(trimesh.Trimesh(sphere.vertices, sphere.faces[kept], process=False)))
    assert flipped == len(kept)
    points = rng.uniform(-1.2, 1.2, (20_000, 3))
    truth = MeshSDF(sphere.vertices, sphere.faces).signed_distance(points)
    wrong = MeshSDF(holed.vertices, holed.faces).inside(points) != (truth < 0)
    assert wrong.mean() < 0.001
    assert np.abs(truth[wrong]).max(initial=0) < 0.05  # within a missing face's size of the hole
    audit = audit_mesh(holed, flipped_faces=flipped)
    assert not audit.watertight
    assert audit.boundary_edges > 300
    assert "winding number" in audit.notes[0]


@pytest.mark.parametrize(
    ("vertices", "faces", "says"),
    [
        (np.zeros((3, 3)), [[0, 1, 2]], "coincide"),
        (np.eye(3), np.empty((0, 3)), "no faces"),
        (np.eye(3), [[0, 1, 3]], "there are 3"),
        (np.eye(3), [[0, 1, 1]], "has an area"),
        ([[0, 0, np.inf], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], "not finite"),
    ],
)
def test_no_distance_to_nonsense(vertices, faces, says):
    with pytest.raises(ValueError, match=says):
        MeshSDF(vertices, faces)


def test_audit_of_a_box_far_away():
    mesh = trimesh.Trimesh(box().vertices * [1000, 2000, 500] + 1e4, box().faces, process=False)
    audit = audit_mesh(mesh)
    assert (audit.vertices, audit.faces, audit.components, audit.boundary_edges) == (8, 12, 1, 0)
    assert audit.watertight
    assert audit.consistent_winding
    assert audit.volume == pytest.approx(1e9)
    assert audit.extents == pytest.approx((1000, 2000, 500))
    assert (audit.self_intersections, audit.degenerate_faces, audit.sign_disagreement) == (0, 0, 0.0)
    assert audit.notes == ()
    assert Audit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit
    assert str(audit) == "12 faces, closed, 1 component, size 1000 x 2000 x 500, volume 1e+09"


def test_audit_reads_only_its_own_records():
    with pytest.raises(ValueError, match="colour"):
        Audit.from_dict({**audit_mesh(box()).to_dict(), "colour": 1})


def test_audit_counts_piercing_edges():
    # A corner of each box stands in the other: three edges pierce each way, and three face diagonals do.
    shift = (0.61, 0.57, 0.53)
    assert audit_mesh(joined(box(), box(at=shift))).self_intersections == 9
    assert audit_mesh(joined(box(), box(at=(1.5, 0, 0)))).self_intersections == 0
    assert audit_mesh(trimesh.creation.icosphere(subdivisions=3)).self_intersections == 0


def test_audit_sees_holes_and_doubts():
    assert audit_mesh(trimesh.Trimesh(box().vertices, box().faces[1:], process=False)).boundary_edges == 3
    assert audit_mesh(inverted(box())).sign_disagreement > 0.2
    faces = np.array(box().faces)
    faces[0] = faces[0, ::-1]
    assert not audit_mesh(trimesh.Trimesh(box().vertices, faces, process=False)).consistent_winding


def test_many_faces_are_audited_without_the_costly_check():
    audit = audit_mesh(trimesh.creation.icosphere(subdivisions=6))
    assert audit.faces == 81920
    assert audit.self_intersections is None
    assert audit.sign_disagreement == 0.0


def test_surface_samples_are_uniform_by_area():
    mesh = trimesh.Trimesh(box().vertices * [4, 1, 1], box().faces, process=False)
    points, normals = surface_samples(mesh, 20_000, seed=3)
    assert np.abs(box_sdf(points / [4, 1, 1])).max() < 1e-12
    ends = np.abs(normals[:, 0]) == 1
    assert ends.mean() == pytest.approx(2 / 18, abs=0.01)
    np.testing.assert_allclose(points[ends, 0], 2 * normals[ends, 0])
    np.testing.assert_allclose(points.mean(0), 0, atol=0.03)
    np.testing.assert_array_equal(points, surface_samples(mesh, 20_000, seed=3)[0])
    assert surface_samples(mesh, 0)[0].shape == (0, 3)
