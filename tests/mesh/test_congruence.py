"""Alignment of solids whose transforms are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.mesh.congruence import TOLERANCE, align, changed
from latentsdf.mesh.orientations import GRID, STEPS, orientations
from latentsdf.mesh.similarity import Similarity
from latentsdf.mesh.surface import Surface

TURN = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()


def boxes(*parts: tuple[tuple[float, float, float], tuple[float, float, float]]) -> trimesh.Trimesh:
    """Boxes of some extents at some centres, in one mesh."""
    made = [trimesh.creation.box(extents).apply_translation(center) for extents, center in parts]
    return joined(made)


def joined(meshes: Sequence[trimesh.Trimesh]) -> trimesh.Trimesh:
    """The faces of several meshes in one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), process=False)


def chiral() -> trimesh.Trimesh:
    """Three arms of different lengths along three axes: no rotation makes it its mirror image."""
    return boxes(
        ((1, 1, 1), (0, 0, 0)), ((2, 0.5, 0.5), (1, 0, 0)), ((0.5, 3, 0.5), (0, 1.5, 0)), ((0.5, 0.5, 4), (0, 0, 2))
    )


def image(mesh: trimesh.Trimesh, transform: Similarity) -> trimesh.Trimesh:
    faces = mesh.faces[:, ::-1] if transform.mirrored else mesh.faces
    return trimesh.Trimesh(transform.apply(mesh.vertices), faces, process=False)


def test_moments_do_not_depend_on_the_triangles() -> None:
    mesh = chiral()
    coarse, fine = Surface(mesh), Surface(mesh.subdivide().subdivide())
    assert np.allclose(coarse.centroid, fine.centroid)
    assert np.allclose(coarse.moments, fine.moments)
    assert coarse.spread == pytest.approx(fine.spread)
    assert Surface(trimesh.creation.icosphere(4, 2.0)).moments == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_a_similarity_and_its_inverse() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    transform = Similarity(TURN @ np.diag([1, -1, 1]), 2.0, np.array([1.0, 2.0, 3.0]))
    assert np.allclose(transform.inverse().apply(transform.apply(points)), points)
    assert np.allclose((transform @ transform).apply(points), transform.apply(transform.apply(points)))
    assert transform.mirrored
    assert Similarity(np.diag([1.0, -1.0, 1.0]), 1.0, np.zeros(3)).angle == 0.0
    assert Similarity(TURN, 1.0, np.zeros(3)).angle == pytest.approx(np.degrees(np.linalg.norm([0.4, -1.1, 0.7])))


@pytest.mark.parametrize(
    "transform",
    [
        Similarity(np.eye(3), 1.0, np.zeros(3)),
        Similarity(np.eye(3), 1.0, np.array([3.0, -2.0, 0.5])),
        Similarity(np.eye(3), 0.01, np.array([3.0, -2.0, 0.5])),
        Similarity(TURN, 1.0, np.zeros(3)),
        Similarity(TURN, 25.4, np.array([100.0, 0.0, 0.0])),
        Similarity(np.diag([-1.0, 1.0, 1.0]), 1.0, np.zeros(3)),
        Similarity(TURN @ np.diag([1.0, 1.0, -1.0]), 3.0, np.ones(3)),
    ],
)
def test_the_transform_of_a_chiral_solid_is_found(transform: Similarity) -> None:
    mesh = chiral()
    found = align(Surface(mesh), Surface(image(mesh, transform)))
    assert found is not None
    assert found.fit.distance < 1e-6
    assert found.transform.mirrored == transform.mirrored
    assert np.allclose(
        found.transform.apply(mesh.vertices), transform.apply(mesh.vertices), atol=1e-5 * transform.scale
    )


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.creation.box((1, 2, 3)),
        trimesh.creation.box((1, 1, 1)),
        trimesh.creation.box((2, 2, 1)),
        trimesh.creation.torus(1.0, 0.3),
        trimesh.creation.cone(1.0, 2.0),
        trimesh.creation.icosphere(3),
    ],
    ids=["box", "cube", "plate", "torus", "cone", "sphere"],
)
def test_a_symmetric_solid_is_never_mirrored(mesh: trimesh.Trimesh) -> None:
    transform = Similarity(TURN @ np.diag([1.0, 1.0, -1.0]), 0.5, np.ones(3))
    found = align(Surface(mesh), Surface(image(mesh, transform)))
    assert found is not None
    assert found.fit.distance < TOLERANCE
    assert not found.transform.mirrored
    assert found.transform.scale == pytest.approx(0.5, rel=0.005)


def test_an_open_surface_lies_on_the_closed_one() -> None:
    mesh = chiral().subdivide().subdivide()
    kept = mesh.triangles_center[:, 2] < 3.5
    part = image(trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False), Similarity(TURN, 2.0, np.ones(3)))
    found = align(Surface(part), Surface(mesh), match="covered")
    assert found is not None
    assert found.fit.forward < 1e-6 < TOLERANCE < found.fit.backward
    assert found.transform.scale == pytest.approx(0.5, rel=1e-5)


def test_other_solids_are_not_aligned() -> None:
    torus, plate = Surface(trimesh.creation.torus(1.0, 0.3)), Surface(trimesh.creation.box((2, 2, 1)))
    found = align(torus, plate)
    assert found is None or found.fit.distance > 2 * TOLERANCE
    for match in ("covered", "partial"):
        found = align(torus, plate, match=match)
        assert found is None or found.fit.share < 0.5


def test_changes_smaller_than_half_the_tolerance_do_not_count() -> None:
    surface = Surface(chiral())
    small = Similarity(np.eye(3), 1.004, np.array([0.001, 0.0, 0.0]))
    assert not any(changed(small, surface, surface, TOLERANCE))
    assert changed(small, surface, surface, 0.001).scaled


def test_the_number_of_orientations_follows_the_moments() -> None:
    long, round_, sphere = (
        Surface(mesh) for mesh in (chiral(), trimesh.creation.cone(1.0, 4.0), trimesh.creation.icosphere(3))
    )
    assert len(orientations(long, long)) == 9
    assert len(orientations(round_, round_)) == 9 + 4 * STEPS
    assert len(orientations(sphere, sphere)) == 9 + 2 * (GRID + 24)


def test_a_tolerance_that_is_not_positive_is_refused() -> None:
    surface = Surface(chiral())
    with pytest.raises(ValueError, match="must be positive, got 0"):
        align(surface, surface, 0.0)


def test_a_mesh_without_area_is_refused() -> None:
    with pytest.raises(ValueError, match="no area"):
        Surface(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False))
