"""Shares of light whose exact values are known: walls, discs, and surfaces that nothing shades."""

import numpy as np
import pytest
import trimesh

from latentsdf.mesh.soft_shadows import CELLS, Receivers, cone, occluder, seen_share

UP = np.array([0.0, 0.0, 1.0])


def corners(mesh):
    return np.asarray(mesh.vertices)[np.asarray(mesh.faces)]


def shares(mesh, points, directions, soft=True):
    points = np.array(points, dtype=np.float32)
    receivers = Receivers(points, np.broadcast_to(UP.astype(np.float32), points.shape), 0.0)
    return seen_share([receivers], occluder(corners(mesh)), directions, soft)[0]


def test_a_cone_is_even_and_has_its_angle():
    axis = np.array([1.0, 2.0, 2.0]) / 3
    directions = cone(2 * axis, 40.0, 2000)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    heights = directions @ axis
    assert heights.min() == pytest.approx(np.cos(np.radians(40)), abs=1e-3)
    assert heights.mean() == pytest.approx((1 + np.cos(np.radians(40))) / 2, abs=1e-3)  # uniform by solid angle
    sideways = directions - heights[:, None] * axis
    assert np.abs(sideways.mean(0)).max() < 0.01


def test_points_of_an_occluder_are_even_by_area():
    mesh = trimesh.creation.box((1.0, 1.0, 0.02))
    points = occluder(corners(mesh), 10_000).points
    top = points[points[:, 2] > 0.0099]
    assert len(top) / len(points) == pytest.approx(1 / 2.08, abs=0.005)
    counts = np.histogram2d(top[:, 0], top[:, 1], bins=8, range=[[-0.5, 0.5]] * 2)[0]
    assert counts.std() / counts.mean() < 0.15  # at random it would be 0.12 of 72, here it is less or as much
    assert counts.min() > 0.5 * counts.mean()


@pytest.mark.parametrize("soft", [True, False])
def test_the_sky_beside_a_long_wall(soft):
    # of a wall of height h without ends the share of the sky at a distance d is (1 + d / sqrt(d^2 + h^2)) / 2; a depth
    # map sees the wall up to one of its cells taller
    height, cell = 0.1, 2.0 / CELLS
    wall = trimesh.creation.box((0.01, 2.0, height))
    wall.apply_translation((0, 0, height / 2))
    distances = np.array([0.1, 0.2, 0.4])
    found = shares(wall, [(d, 0.0, 0.0) for d in distances], cone(UP, 90.0, 800), soft)
    exact, taller = ((1 + distances / np.hypot(distances, h)) / 2 for h in (height, height + cell))
    assert (found < exact + 0.01).all()
    assert (found > taller - 0.02).all()


def test_the_sky_under_a_disc():
    # a disc of radius r at a height h hides r^2 / (r^2 + h^2) of the light that falls on the point below its middle
    radius, height = 0.5, 0.6
    disc = trimesh.creation.cylinder(radius, 0.01, sections=64)
    disc.apply_translation((0, 0, height))
    found = shares(disc, [(0.0, 0.0, 0.0)], cone(UP, 90.0, 800))
    assert found[0] == pytest.approx(1 - radius**2 / (radius**2 + height**2), abs=0.04)


def test_nothing_shades_a_convex_body_and_a_lamp_behind_gives_nothing_to_compare():
    mesh = trimesh.creation.icosphere(subdivisions=3)
    points = np.asarray(mesh.vertices, dtype=np.float32)
    receivers = Receivers(points, points)
    for soft in (True, False):
        found = seen_share([receivers], occluder(corners(mesh)), cone(UP, 60.0, 12), soft)[0]
        assert found.mean() > 0.998
        assert found.min() > 0.94  # where the light grazes


def test_sets_of_points_are_lit_as_each_alone():
    mesh = trimesh.creation.box((0.5, 0.5, 0.5))
    directions = cone(UP, 80.0, 20)
    sets = [
        Receivers(np.array([[x, 0, -0.25]], dtype=np.float32), UP[None].astype(np.float32), 0.2)
        for x in (0.3, 0.6, 2.0)
    ]
    together = seen_share(sets, occluder(corners(mesh)), directions)
    alone = [seen_share([part], occluder(corners(mesh)), directions)[0] for part in sets]
    np.testing.assert_allclose(together, alone)
    assert together[0] < together[1] < together[2]
    assert together[2] > 0.95
