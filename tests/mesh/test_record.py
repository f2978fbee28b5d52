"""Search records on shapes whose relations are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.mesh.pair_statistics import BLOCKS, pair_statistics
from latentsdf.mesh.record import (
    RECORD_BYTES,
    record_distances,
    record_of_mesh,
    record_of_points,
    record_of_sdf,
)
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.primitives import solids


def moved(mesh: trimesh.Trimesh, scale: float = 3.0) -> trimesh.Trimesh:
    turn = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
    return trimesh.Trimesh(scale * mesh.vertices @ turn.T + [7.0, -2.0, 1.0], mesh.faces, process=False)


def test_a_record_is_128_bytes() -> None:
    record = record_of_mesh(trimesh.creation.box((1, 2, 3)))
    assert record.nbytes == RECORD_BYTES == 128
    assert record.dtype == np.int8
    assert np.abs(record).max() == 127


def test_pose_and_scale_leave_the_statistics_of_the_same_points_unchanged() -> None:
    mesh = trimesh.creation.box((1, 2, 3))
    still, turned = (pair_statistics(*surface_samples(item, 2000, 1)) for item in (mesh, moved(mesh)))
    assert still.shape == (sum(BLOCKS),)
    # A cosine of exactly zero may fall in either of two bins, so a box is the hardest case.
    assert np.square(still - turned).sum() < 0.4
    sphere = trimesh.creation.icosphere(subdivisions=4)
    still, turned = (pair_statistics(*surface_samples(item, 2000, 1)) for item in (sphere, moved(sphere)))
    assert np.square(still - turned).sum() < 1e-2


def test_the_same_shape_moved_and_sampled_anew_is_nearer_than_another_shape() -> None:
    capsule, torus = trimesh.creation.capsule(1.0, 0.3), trimesh.creation.torus(1.0, 0.3)
    again = record_of_mesh(moved(capsule), seed=9)
    same, other = record_distances(again, [record_of_mesh(capsule), record_of_mesh(torus)])[0]
    assert same < 0.15 * other


def test_a_field_has_the_record_of_its_mesh() -> None:
    torus = trimesh.creation.torus(0.6, 0.2, major_sections=128, minor_sections=64)
    field, mesh = record_of_sdf(solids.torus(0.6, 0.2)), record_of_mesh(torus)
    other = record_of_mesh(trimesh.creation.box((1, 1, 0.2)))
    assert record_distances(field, mesh)[0, 0] < 0.2 * record_distances(field, other)[0, 0]


def test_distances_are_chords() -> None:
    record = record_of_mesh(trimesh.creation.box((1, 2, 3)))
    assert record_distances(record, [record, -record])[0] == pytest.approx([0.0, 2.0], abs=1e-6)


@pytest.mark.parametrize(
    ("points", "normals", "reason"),
    [
        (np.zeros((5, 3)), np.zeros((5, 3)), "coincide"),
        (np.zeros((1, 3)), np.zeros((1, 3)), "M >= 2"),
        (np.full((3, 3), np.nan), np.zeros((3, 3)), "finite"),
        (np.zeros((3, 3)), np.zeros((2, 3)), "points and normals"),
    ],
)
def test_bad_points_are_named(points: np.ndarray, normals: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        record_of_points(points, normals)
