"""Planes of symmetry: found beside a shifted guess, refused where the sensor saw otherwise, and worth something."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray

from latentsdf.core.field import SDF, evaluate
from latentsdf.core.frame import Frame
from latentsdf.decoder import Decoder
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.primitives import box, sphere, translate, union
from latentsdf.reconstruction.refinement import RefineConfig, refine
from latentsdf.scan.scan import Scan
from latentsdf.scan.symmetry import MirrorPlane, OrientedPoints, mirror_images, symmetry_planes
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.shape import Shape

KNOB = 0.18


def knobs(*sides: float) -> SDF:
    """A box with knobs on its ends; with both it is its own mirror image in x = 0 and in y = 0, never in z = 0."""
    return union(box((0.5, 0.3, 0.2)), *(translate(sphere(KNOB), (side * 0.5, 0.0, 0.15)) for side in sides))


def seen(sdf: SDF, seed: int = 2) -> tuple[Scan, NDArray[np.float64]]:
    """A scan with normals from one place, and the place."""
    scan = virtual_scan(extract_mesh(sdf, 64), count=3000, views=1, seed=seed)
    assert scan.sensor is not None
    return scan, scan.sensor


def shown(scan: Scan) -> OrientedPoints:
    assert scan.normals is not None
    return OrientedPoints(scan.points, scan.normals)


def test_reflections_undo_themselves() -> None:
    random = np.random.default_rng(0)
    normal = random.normal(size=3)
    plane, points = MirrorPlane(normal / np.linalg.norm(normal), 0.3), random.normal(size=(50, 3))
    np.testing.assert_allclose(plane.reflect_points(plane.reflect_points(points)), points, atol=1e-12)
    np.testing.assert_allclose(((plane.reflect_points(points) + points) / 2) @ plane.normal, 0.3, atol=1e-12)
    np.testing.assert_allclose(
        plane.reflect_directions(points)[:, None] @ plane.normal, -points[:, None] @ plane.normal
    )


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_planes_are_found_and_set_right_by_the_scan(seed: int) -> None:
    scan, sensor = seen(knobs(-1, 1), seed)
    guess = OrientedPoints(*surface_samples(extract_mesh(translate(knobs(-1, 1), (0.02, -0.015, 0.0)), 48), 4000, 0))
    found = symmetry_planes(guess, shown(scan), sensor)
    normals = np.array([plane.normal for plane in found])
    assert len(found) == 2
    assert np.abs(normals).max(1).min() > 0.999
    assert sorted(np.abs(normals).argmax(1)) == [0, 1]
    assert max(abs(plane.offset) for plane in found) < 0.004


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_what_the_rays_speak_against_is_refused(seed: int) -> None:
    """The guess has two knobs, the shape only one: mirrored, it would stand where the sensor looked past."""
    scan, sensor = seen(knobs(1), seed)
    guess = OrientedPoints(*surface_samples(extract_mesh(knobs(-1, 1), 48), 4000, 0))
    found = symmetry_planes(guess, shown(scan), sensor)
    axes = [int(np.abs(plane.normal).argmax()) for plane in found]
    assert 1 in axes
    assert 0 not in axes


def test_images_lie_on_the_shape_where_nothing_was_seen() -> None:
    sdf = knobs(-1, 1)
    scan, sensor = seen(sdf)
    planes = [MirrorPlane(np.array([1.0, 0.0, 0.0]), 0.0), MirrorPlane(np.array([0.0, 1.0, 0.0]), 0.0)]
    points, normals = mirror_images(shown(scan), np.ones(len(scan), dtype=bool), sensor, planes)
    assert len(points) > 1000
    assert float(evaluate(sdf, torch.from_numpy(points)).abs().max()) < 0.015
    outward = evaluate(sdf, torch.from_numpy(points + 0.02 * normals))
    assert float((outward > 0).double().mean()) > 0.98
    gap = np.linalg.norm(points[:, None] - scan.points[None, ::10], axis=2).min()
    assert gap > 0.01
    upper = mirror_images(shown(scan), scan.points[:, 2] > 0, sensor, planes).points
    assert 0 < len(upper) < len(points)
    assert float(upper[:, 2].min()) > 0
    assert mirror_images(shown(scan), np.ones(len(scan), dtype=bool), sensor, []).points.shape == (0, 3)


class Plain:
    """A stand-in for a decoder: whatever the code, the box without its knobs."""

    def condition(self, code: torch.Tensor, branch: str | None = None) -> SDF:
        return box((0.5, 0.3, 0.2))


def test_the_unseen_knob_is_there_after_tightening() -> None:
    sdf = knobs(-1, 1)
    truth = cast(trimesh.Trimesh, extract_mesh(sdf, 64))
    scan, _ = seen(sdf)
    shape = Shape("plain", torch.zeros(4), Frame.identity(), cast(Decoder, Plain()))
    found = {}
    for mirror in (False, True):
        tight = refine(shape, Scan(scan.points, sensor=scan.sensor), config=RefineConfig(resolution=64, mirror=mirror))
        assert any("mirrored" in note for note in tight.notes) is mirror
        found[mirror] = compare(extract_mesh(tight.shape.sdf, 64), truth).chamfer_l1
    assert found[True] < 0.75 * found[False]
    cropped = Scan(scan.points, sensor=scan.sensor, cropped=True)
    assert not any("mirrored" in note for note in refine(shape, cropped, config=RefineConfig(resolution=32)).notes)


def test_a_prior_that_no_point_supports_has_no_planes() -> None:
    """All of the prior's surface lies where the sensor looked past: there is nothing to be symmetric."""
    seen_points = np.array([-0.7, 0.0, 0.0]) + 0.1 * np.random.default_rng(0).normal(size=(400, 3)) * [0.5, 1, 0.05]
    shape = Shape("plain", torch.zeros(4), Frame.identity(), cast(Decoder, Small()))
    tight = refine(shape, Scan(seen_points, sensor=np.array([-0.7, 0.0, 3.0])), config=RefineConfig(resolution=32))
    assert not any("mirrored" in note for note in tight.notes)


class Small:
    """A stand-in for a decoder: a small ball far from everything that is seen."""

    def condition(self, code: torch.Tensor, branch: str | None = None) -> SDF:
        return translate(sphere(0.1), (0.7, 0.0, 0.0))
