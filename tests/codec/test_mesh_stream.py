"""Coded meshes: exact round trips, their sizes, and what becomes of damaged streams."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from latentsdf.codec.mesh_stream import LATTICES, LatticeMesh, cells_of, decode_mesh, encode_mesh, snap_to_lattice


def triangles_of(mesh: LatticeMesh) -> list[tuple]:
    """Positions of the corners of each face, from its least corner on, in order."""
    found = []
    for face in mesh.faces.tolist():
        corners = [tuple(mesh.positions[item].tolist()) for item in face]
        first = corners.index(min(corners))
        found.append(tuple(corners[first:] + corners[:first]))
    return sorted(found)


def open_grid(count: int) -> LatticeMesh:
    """A flat sheet of count^2 squares."""
    x, y = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + count + 1, corner + 1], axis=1),
            np.stack([corner + 1, corner + count + 1, corner + count + 2], axis=1),
        ]
    )
    return LatticeMesh(np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1), faces, 16)


def three_fins() -> LatticeMesh:
    """Three faces on one edge, two of them with the same direction of it, and one face twice."""
    positions = np.array([[8, 8, 0], [8, 8, 16], [0, 8, 8], [16, 8, 8], [8, 0, 8]])
    return LatticeMesh(positions, np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 1, 2]]), 8)


def solid(mesh: trimesh.Trimesh, lattice: int) -> LatticeMesh:
    return snap_to_lattice(mesh.vertices, mesh.faces, lattice)


def three_solids() -> LatticeMesh:
    ball, ring = trimesh.creation.icosphere(1, 0.3), trimesh.creation.torus(0.6, 0.2, 12, 8)
    count = len(ball.vertices)
    vertices = np.concatenate([ball.vertices - 0.5, ball.vertices + 0.5, ring.vertices])
    return snap_to_lattice(vertices, np.concatenate([ball.faces, ball.faces + count, ring.faces + 2 * count]), 14)


CASES = {
    "cube": solid(trimesh.creation.box((1, 1, 1)), 4),
    "sphere": solid(trimesh.creation.icosphere(2, 0.9), 18),
    "grid": open_grid(12),
    "fins": three_fins(),
    "parts": three_solids(),
    "one face": LatticeMesh(np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]]), np.array([[0, 1, 2]]), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_positions_and_faces_come_back_exactly(name: str) -> None:
    mesh = CASES[name]
    made = decode_mesh(encode_mesh(mesh))
    assert triangles_of(made) == triangles_of(mesh)
    assert made.lattice == mesh.lattice
    assert encode_mesh(made)[:4] == encode_mesh(mesh)[:4]


def test_any_set_of_faces_comes_back() -> None:
    generator = np.random.default_rng(0)
    for count in range(1, 40):
        faces = np.stack([generator.permutation(9)[:3] for _ in range(count)])
        mesh = LatticeMesh(generator.integers(0, 9, (9, 3)), faces, 4)
        assert triangles_of(decode_mesh(encode_mesh(mesh))) == triangles_of(mesh)


def test_faces_that_name_a_vertex_twice_are_left_out() -> None:
    cube = CASES["cube"]
    wrong = cube._replace(faces=np.concatenate([cube.faces, [[0, 0, 1]]]))
    assert encode_mesh(wrong) == encode_mesh(cube)


def test_sizes() -> None:
    assert len(encode_mesh(CASES["cube"])) <= 20
    assert len(encode_mesh(CASES["grid"])) * 8 <= 3.0 * len(CASES["grid"].faces)
    assert len(encode_mesh(CASES["sphere"])) * 8 <= 9.0 * len(CASES["sphere"].faces)


def test_rounding_to_a_lattice() -> None:
    assert [cells_of(number) for number in (0, 1, 4, 8, 47)] == [4, 5, 8, 16, 14336]
    sphere = trimesh.creation.icosphere(3, 0.9)
    mesh = solid(sphere, 20)
    assert np.abs(mesh.vertices[:, None] - sphere.vertices).max(-1).min(1).max() <= 1.0 / cells_of(20) + 1e-12
    assert len(solid(sphere, 0).faces) < len(sphere.faces)


def test_wrong_meshes_are_refused() -> None:
    cube = CASES["cube"]
    for wrong in (
        cube._replace(lattice=LATTICES),
        cube._replace(positions=cube.positions + cells_of(4)),
        cube._replace(faces=cube.faces[:0]),
        cube._replace(faces=cube.faces + 1),
    ):
        with pytest.raises(ValueError, match="mesh|faces|positions"):
            encode_mesh(wrong)


@pytest.mark.parametrize("name", ["cube", "sphere", "fins", "parts"])
def test_damaged_streams_give_an_error_or_a_mesh(name: str) -> None:
    generator = np.random.default_rng(1)
    stream = encode_mesh(CASES[name])
    for _ in range(60 if len(stream) > 100 else 700):
        data = bytearray(stream)
        for _ in range(generator.integers(1, 4)):
            data[generator.integers(len(data))] = generator.integers(256)
        cut = bytes(data[: generator.integers(len(data) + 1)] if generator.random() < 0.3 else data)
        try:
            mesh = decode_mesh(cut)
        except ValueError:
            continue
        assert len(mesh.faces) == int.from_bytes(cut[2:4], "little")
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.positions)
        assert (np.diff(np.sort(mesh.faces, axis=1)) > 0).all()
        assert mesh.positions.min() >= 0
        assert mesh.positions.max() <= cells_of(mesh.lattice)
