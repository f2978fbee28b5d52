"""Compiled distances, signs and ray hits equal those of libigl, and signs of surfaces that are not closed are its."""

import sys

import numpy as np
import pytest
import trimesh

import latentsdf.mesh.pair_statistics as pair_statistics
from latentsdf.mesh.audit import audit_mesh
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.surface_sampling import surface_samples

pytest.importorskip("numba")


def joined(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), process=False)


def box(at: tuple[float, float, float] = (0.0, 0.0, 0.0), size: float = 1.0) -> trimesh.Trimesh:
    return trimesh.creation.box((size,) * 3, trimesh.transformations.translation_matrix(at))


def inverted(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)


def sliver_box() -> trimesh.Trimesh:
    """A box with a fan of needle-shaped triangles on one side."""
    mesh = trimesh.creation.box((1.0, 1.0, 1.0))
    faces = mesh.faces.tolist()
    a, b, c = faces.pop()
    steps = np.geomspace(1e-6, 0.5, 40)[:, None]
    added = mesh.vertices[a] * (1 - steps) + mesh.vertices[b] * steps
    chain = [a, *range(8, 8 + len(added)), b]
    faces += [[p, q, c] for p, q in zip(chain[:-1], chain[1:], strict=True)]
    # The other face at the divided edge is divided in the same way, so that the surface stays closed.
    other = next(face for face in faces if {a, b} <= set(face) and c not in face)
    faces.remove(other)
    (d,) = set(other) - {a, b}
    faces += [[q, p, d] for p, q in zip(chain[:-1], chain[1:], strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices, added]), faces, process=False)


CLOSED = {
    "ball": trimesh.creation.icosphere(subdivisions=4),
    "box along the axes": box(),
    "ring": trimesh.creation.torus(0.7, 0.3),
    "hollow ball": joined(
        trimesh.creation.icosphere(subdivisions=3), inverted(trimesh.creation.icosphere(subdivisions=3, radius=0.6))
    ),
    "body inside a body": joined(box(size=2.0), box(size=0.7)),
    "boxes that overlap": joined(box(), box((0.4, 0.3, 0.2)), box((0.5, 0.0, 0.0))),
    "boxes that share a plane": joined(box(), box((0.3, 0.1, 1.0))),
    "inside out": inverted(trimesh.creation.icosphere(subdivisions=2)),
    "needles": sliver_box(),
    "cylinder": trimesh.creation.cylinder(0.5, 2.0, sections=64),
}


def queries(mesh: trimesh.Trimesh, count: int = 6000) -> np.ndarray:
    """Points in and about the box, near the surface, and on a lattice that symmetric meshes touch."""
    generator = np.random.default_rng(0)
    low, high = mesh.bounds
    near = surface_samples(mesh, count, generator)[0] + generator.normal(0, 0.01, (count, 3))
    axis = np.linspace(-1, 1, 9)
    lattice = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3) + 1e-4
    return np.concatenate([generator.uniform(low - 0.2, high + 0.2, (count, 3)), near, lattice])


@pytest.mark.parametrize("name", CLOSED)
def test_signs_of_closed_surfaces_are_those_of_the_winding_number(name: str):
    mesh = CLOSED[name]
    ours, theirs = (MeshSDF(mesh.vertices, mesh.faces, backend=backend) for backend in ("numba", "igl"))
    assert ours._crossings is not None
    points = queries(mesh)
    off = theirs.distance(points) > 1e-6
    assert off.mean() > 0.95
    np.testing.assert_array_equal(ours.inside(points)[off], theirs.inside(points)[off])
    np.testing.assert_allclose(ours.distance(points), theirs.distance(points), atol=1e-6)


@pytest.mark.parametrize("name", ["missing face", "one face turned", "edge with three faces"])
def test_signs_of_other_surfaces_are_the_winding_numbers(name: str):
    ball = trimesh.creation.icosphere(subdivisions=3)
    faces = ball.faces.copy()
    if name == "missing face":
        faces = faces[1:]
    elif name == "one face turned":
        faces[0] = faces[0, ::-1]
    else:
        faces = np.concatenate([faces, [[*faces[0, :2], faces[700, 0]]]])
    ours, theirs = (MeshSDF(ball.vertices, faces, backend=backend) for backend in ("numba", "igl"))
    assert ours._crossings is None
    points = queries(ball)
    np.testing.assert_array_equal(ours.inside(points), theirs.inside(points))
    np.testing.assert_allclose(ours.distance(points), theirs.distance(points), atol=1e-6)


def test_nearest_of_a_soup_are_those_of_every_triangle_tried():
    generator = np.random.default_rng(3)
    vertices = generator.uniform(-1, 1, (120, 3))
    faces = generator.permutation(120).reshape(-1, 3)
    points = generator.uniform(-1.5, 1.5, (301, 3))
    distances, rows, nearest = MeshSDF(vertices, faces, backend="numba").closest(points)
    onto = np.stack([trimesh.triangles.closest_point(np.tile(vertices[face], (301, 1, 1)), points) for face in faces])
    every = np.linalg.norm(onto - points, axis=2)
    np.testing.assert_allclose(distances, every.min(0), atol=1e-12)
    np.testing.assert_array_equal(rows, every.argmin(0))
    np.testing.assert_allclose(nearest, onto[rows, np.arange(301)], atol=1e-12)


def test_triangles_of_all_sizes_at_one_place_do_not_make_the_hierarchy_too_deep():
    sizes = np.geomspace(1e-14, 1.0, 3000)
    corners = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    vertices = (sizes[:, None, None] * corners).reshape(-1, 3)
    sdf = MeshSDF(vertices, np.arange(9000).reshape(-1, 3), backend="numba")
    points = np.random.default_rng(0).normal(size=(500, 3))
    np.testing.assert_allclose(
        sdf.distance(points),
        MeshSDF(vertices, np.arange(9000).reshape(-1, 3), backend="igl").distance(points),
        atol=1e-6,
    )
    same = np.tile(np.arange(3), (50, 1))  # fifty times the same triangle
    assert MeshSDF(corners, same, backend="numba").distance(np.ones((1, 3)))[0] == pytest.approx(2 / 3**0.5)


def test_what_a_point_gets_does_not_depend_on_the_others():
    ball = CLOSED["ball"]
    sdf, points = MeshSDF(ball.vertices, ball.faces, backend="numba"), queries(ball)
    whole = sdf.signed_distance(points)
    np.testing.assert_allclose(whole[::7], sdf.signed_distance(points[::7]), atol=1e-7)
    np.testing.assert_array_equal(whole, sdf.signed_distance(points))


def test_ray_hits_are_those_of_libigl():
    mesh = joined(trimesh.creation.torus(0.7, 0.3), box(size=0.9), trimesh.creation.icosphere(subdivisions=3))
    ours, theirs = (MeshSDF(mesh.vertices, mesh.faces, backend=backend) for backend in ("numba", "igl"))
    generator = np.random.default_rng(1)
    starts = generator.uniform(-1, 1, (3000, 3))
    directions = generator.normal(size=(3000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spans = np.sort(generator.uniform(0, 1, (3000, 2)), axis=1)
    apart = generator.integers(0, len(mesh.vertices), (3000, 2))
    np.testing.assert_array_equal(ours.tree.hits(starts, directions), theirs.tree.hits(starts, directions))
    np.testing.assert_array_equal(
        ours.tree.hits(starts, directions, spans, apart), theirs.tree.hits(starts, directions, spans, apart)
    )
    np.testing.assert_array_equal(ours.tree.blocked(starts, directions), theirs.tree.blocked(starts, directions))
    assert 0.2 < ours.tree.blocked(starts, directions).mean() < 0.99


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_an_audit_is_the_same_with_either_hierarchy(turn: float):
    other = box((0.41, 0.32, 0.23))
    other.apply_transform(trimesh.transformations.rotation_matrix(turn, (0.3, 0.5, 0.8)))
    mesh = joined(box(), other) if turn else joined(box(), inverted(box(size=0.5)))
    audit = audit_mesh(mesh)
    assert audit == audit_mesh(mesh, sdf=MeshSDF(mesh.vertices * 3 + 5, mesh.faces, backend="igl"))
    assert bool(audit.self_intersections) == (turn > 0)


def test_relations_of_pairs_are_counted_alike_without_numba(monkeypatch: pytest.MonkeyPatch):
    points, normals = surface_samples(CLOSED["boxes that overlap"], 3000, 1)
    compiled = pair_statistics.pair_statistics(points, normals, 4)
    assert "latentsdf.mesh.pair_counts" in sys.modules
    monkeypatch.delitem(sys.modules, "numba")
    np.testing.assert_array_equal(pair_statistics.pair_statistics(points, normals, 4), compiled)
