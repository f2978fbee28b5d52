"""Normals of bare points: their directions, and their sides on shapes whose outside is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.scan.neighbourhoods import neighbour_distances
from latentsdf.scan.normals import estimate_normals, outward_normals, same_side_normals
from latentsdf.scan.orientation import orient_normals
from latentsdf.scan.surface_winding import SurfaceWinding
from latentsdf.scan.virtual import virtual_scan


def sampled(mesh: trimesh.Trimesh, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=0)[:2]
    return np.asarray(points), np.asarray(mesh.face_normals[faces])


def right(points: np.ndarray, normals: np.ndarray) -> float:
    """Share of the normals found that are on the true ones' side."""
    return float((np.einsum("nd,nd->n", outward_normals(points), normals) > 0).mean())


def thin() -> trimesh.Trimesh:
    """A table: a plate as thin as the points are far apart, on four legs."""
    legs = [
        trimesh.creation.box((0.08, 0.08, 0.7), trimesh.transformations.translation_matrix((x, y, -0.35)))
        for x in (-0.5, 0.5)
        for y in (-0.4, 0.4)
    ]
    table = trimesh.util.concatenate([trimesh.creation.box((1.2, 1.0, 0.05)), *legs])
    assert isinstance(table, trimesh.Trimesh)
    return table


def test_planes_through_neighbours_have_the_normal_of_the_surface() -> None:
    points, normals = sampled(trimesh.creation.icosphere(subdivisions=4, radius=0.6))
    directions, around = estimate_normals(points, 12)
    assert around.shape == (3000, 12)
    assert np.abs(np.einsum("nd,nd->n", directions, normals)).min() > 0.95
    assert (around[:, 0] == np.arange(3000)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: trimesh.creation.icosphere(subdivisions=4),
        lambda: trimesh.creation.torus(0.55, 0.22),
        lambda: trimesh.creation.box((1.0, 0.6, 0.3)),
        lambda: trimesh.creation.annulus(0.3, 0.5, 0.2),
    ],
    ids=["sphere", "torus", "box", "ring"],
)
def test_sides_of_whole_shapes(make) -> None:
    points, normals = sampled(make())
    assert right(points, normals) > 0.99
    noisy = points + np.random.default_rng(0).normal(0.0, 0.005, points.shape)
    assert right(noisy, normals) > 0.98


def test_both_faces_of_a_thin_plate_look_away_from_each_other() -> None:
    points, normals = sampled(thin(), 5000)
    assert right(points, normals) > 0.97


def test_winding_numbers_find_the_sides_of_thin_legs_and_rails() -> None:
    """Neighbours alone flip whole legs, which are as thick as planes are wide: by them 0.69 and 0.86 are right."""
    bars = [
        trimesh.creation.box(size, trimesh.transformations.translation_matrix(place))
        for size, place in (
            *(((0.08, 0.08, 0.8), (x, y, -0.42)) for x in (-0.5, 0.5) for y in (-0.4, 0.4)),
            *(((0.92, 0.08, 0.08), (0.0, y, -0.6)) for y in (-0.4, 0.4)),
        )
    ]
    stool = trimesh.util.concatenate([trimesh.creation.box((1.2, 1.0, 0.04)), *bars])
    assert isinstance(stool, trimesh.Trimesh)
    points, normals = sampled(stool, 5000)
    assert right(points, normals) > 0.9
    points, normals = sampled(thin(), 5000)
    assert right(points + np.random.default_rng(1).normal(0.0, 0.005, points.shape), normals) > 0.93


@pytest.mark.parametrize("count", [3000, 6000], ids=["all points", "a choice of points"])
def test_winding_numbers_on_a_closed_surface_are_a_half(count: int) -> None:
    points, normals = sampled(trimesh.creation.icosphere(subdivisions=4, radius=0.6), count)
    winding = SurfaceWinding.of(points, normals, neighbour_distances(points))
    assert winding.share == min(1.0, 4000 / count)
    numbers = winding.matrix.sum(1).numpy()
    assert abs(numbers.mean() - 0.5) < 0.02
    assert numbers.std() < 0.02
    # The product and the target are those of the normal equations of ||K s - 1/2||^2.
    dense = winding.matrix.double().numpy()
    signs = np.random.default_rng(0).choice([-1.0, 1.0], count)
    np.testing.assert_allclose(winding.product(signs)[winding.rows], dense.T @ dense @ signs[winding.rows], atol=1e-4)
    np.testing.assert_allclose(winding.target(count)[winding.rows], 0.5 * dense.sum(0), atol=1e-4)
    np.testing.assert_allclose(winding.diagonal(count)[winding.rows], (dense**2).sum(0), rtol=1e-4, atol=1e-12)


def test_planes_of_one_side_do_not_mix_the_faces_of_an_edge() -> None:
    points, normals = sampled(trimesh.creation.box((1.0, 0.6, 0.05)), 3000)
    directions, around = estimate_normals(points, 24)
    oriented = orient_normals(points, directions, around)
    before, after = (
        float(np.einsum("nd,nd->n", found, normals).mean())
        for found in (oriented, same_side_normals(points, oriented, 24))
    )
    assert after > before
    flat = same_side_normals(points, normals, 24)
    assert np.einsum("nd,nd->n", flat, normals).min() > 0.999


def test_parts_that_do_not_touch_each_look_outward() -> None:
    points, normals = sampled(trimesh.creation.torus(0.5, 0.2))
    apart = np.concatenate([points + [1.5, 0, 0], points - [1.5, 0, 0]])
    assert right(apart, np.concatenate([normals, normals])) > 0.99


def test_a_single_view_without_its_sensor_keeps_the_side_that_was_seen() -> None:
    for mesh in (trimesh.creation.icosphere(subdivisions=4, radius=0.8), trimesh.creation.torus(0.55, 0.22)):
        scan = virtual_scan(mesh, count=3000, views=1, seed=0)
        assert scan.normals is not None
        assert right(scan.points, scan.normals) > 0.97


def test_a_sensor_decides() -> None:
    points, _ = sampled(trimesh.creation.icosphere(subdivisions=4, radius=0.6))
    front = points[points[:, 2] > 0.2]
    inward = outward_normals(front, np.array([0.0, 0.0, 0.1]))
    assert (np.einsum("nd,nd->n", inward, front) < 0).mean() > 0.9
    each = np.tile([0.0, 0.0, 9.0], (len(front), 1))
    assert (np.einsum("nd,nd->n", outward_normals(front, each), front) > 0).all()


def test_the_frame_and_its_unit_do_not_matter() -> None:
    points, normals = sampled(thin(), 5000)
    turn = Rotation.from_euler("xyz", (20, 50, 70), degrees=True).as_matrix()
    moved = 1000 * points @ turn.T + [1e4, -2e4, 3e3]
    assert right(moved, normals @ turn.T) == pytest.approx(right(points, normals), abs=0.02)


def test_double_points_do_no_harm_and_two_points_are_refused() -> None:
    points, normals = sampled(trimesh.creation.icosphere(subdivisions=3), 800)
    assert right(np.repeat(points, 2, 0), np.repeat(normals, 2, 0)) > 0.99
    with pytest.raises(ValueError, match="a plane needs 3 points, got 2 points"):
        outward_normals(points[:2])


def test_much_noise_takes_more_neighbours() -> None:
    points, normals = sampled(trimesh.creation.icosphere(subdivisions=4, radius=0.6))
    rough = points + np.random.default_rng(0).normal(0.0, 0.04, points.shape)
    cosines = [np.einsum("nd,nd->n", outward_normals(rough, neighbours=k), normals).mean() for k in (None, 30, 13)]
    assert cosines[0] == cosines[1] > cosines[2]
    little = points + np.random.default_rng(0).normal(0.0, 0.002, points.shape)
    np.testing.assert_array_equal(outward_normals(little), outward_normals(little, neighbours=13))
