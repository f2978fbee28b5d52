"""Refinement of spheres: the scan where there are points, the prior where there are none, few bytes."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import Frame
from latentsdf.decoder import Decoder
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.primitives import sphere, translate, union
from latentsdf.reconstruction import refinement, term_descent
from latentsdf.reconstruction.constrained_prior import ConstrainedPrior
from latentsdf.reconstruction.refinement import RefineConfig, Refinement, RefinementStatus, refine
from latentsdf.scan.neighbourhoods import noise_level
from latentsdf.scan.normals import outward_normals
from latentsdf.scan.orientation import orient_by_prior
from latentsdf.scan.scan import Scan
from latentsdf.scan.visibility import in_free_space, refuted_by_sensor
from latentsdf.scan.winding import CLOSED, openness
from latentsdf.solver import Correction, SolveConfig, SplineField, solve
from latentsdf.space.shape import Shape

RADIUS = 0.5
SMALL = RefineConfig(resolution=32)
FRAME = Frame(Rotation.from_euler("xyz", [0.3, -0.5, 1.0]).as_matrix(), 100.0, np.array([1.0, 2.0, 3.0]))


class Ball:
    """A stand-in for a decoder: whatever the code, a ball."""

    def condition(self, code: torch.Tensor, branch: str | None = None):
        return sphere(RADIUS)


def ball() -> Shape:
    return Shape("ball", torch.zeros(4), FRAME, cast(Decoder, Ball()))


def directions(count: int = 3000, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def scanned(unit: np.ndarray, normals: np.ndarray | None = None, sensor: np.ndarray | None = None) -> Scan:
    """A scan in source units of points given in the unit frame."""
    turned = None if normals is None else normals @ FRAME.rotation
    return Scan(FRAME.to_source(unit), turned, None if sensor is None else FRAME.to_source(sensor))


def half() -> np.ndarray:
    found = directions()
    return found[found[:, 2] > 0]


def at(found: Refinement, places: np.ndarray) -> np.ndarray:
    return found.shape.sdf(torch.from_numpy(places).float()).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("radius", [0.52, 0.6])
def test_half_a_sphere_moves_and_the_other_half_stays(radius: float) -> None:
    seen, far = half(), directions(seed=1)
    far = far[far[:, 2] < -0.5]
    found = refine(ball(), scanned(radius * seen, seen), config=SMALL)
    assert found.method == "solve"
    assert found.status is RefinementStatus.CORRECTED
    assert np.abs(at(found, radius * seen)).mean() < 5e-4
    assert np.abs(at(found, RADIUS * far)).max() < 1e-3
    surface = extract_mesh(found.shape.sdf, 48)
    assert surface.is_watertight
    assert surface.body_count == 1
    radii = np.linalg.norm(surface.vertices, axis=1)
    assert RADIUS - 4e-3 < radii.min() < radii.max() < radius + 4e-3


def test_a_descent_on_terms_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(term_descent, "BATCH", term_descent.BATCH._replace(surface=512, near=512, space=256))
    seen, far = half(), directions(seed=1)
    far = far[far[:, 2] < -0.5]
    config = RefineConfig(resolution=32, steps=100)
    scan = scanned(0.53 * seen, seen)
    found = refine(ball(), scan, {"surface": 1.0, "normals": 0.1}, config)
    assert found.method == "descent"
    assert np.abs(at(found, 0.53 * seen)).mean() < 4e-3
    assert np.abs(at(found, RADIUS * far)).max() < 1e-3
    assert extract_mesh(found.shape.sdf, 48).body_count == 1
    again = refine(ball(), scan, {"surface": 1.0, "normals": 0.1}, config)
    assert again.shape.correction is not None
    assert found.shape.correction is not None
    assert again.shape.correction.packed == found.shape.correction.packed


def test_terms_of_second_order_are_taken_of_the_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(term_descent, "BATCH", term_descent.BATCH._replace(surface=64, near=64, space=64))
    config = RefineConfig(resolution=32, steps=3)
    assert refine(ball(), scanned(0.53 * half(), half()), "digs", config).shape.correction is not None
    with pytest.raises(ValueError, match="unknown preset"):
        refine(ball(), scanned(0.53 * half(), half()), "dogs", config)


@pytest.mark.slow
def test_a_scan_that_agrees_changes_nothing() -> None:
    seen = half()
    found = refine(ball(), scanned(RADIUS * seen, seen), config=SMALL)
    assert isinstance(found.shape.correction, Correction)
    places = torch.from_numpy(RADIUS * directions(seed=1)).float()
    assert float(found.shape.correction(places).abs().max()) < 1e-3
    assert found.shape.correction.nbytes < 20_000


def test_strays_and_points_outside_do_not_wreck_it() -> None:
    random, seen = np.random.default_rng(0), directions()
    points = np.concatenate([0.55 * seen, random.uniform(-0.95, 0.95, (300, 3)), random.uniform(2, 9, (50, 3))])
    normals = np.concatenate([seen, directions(350, seed=2)])
    found = refine(ball(), scanned(points, normals), config=SMALL)
    assert any("50 of 3,350 points left out" in note for note in found.notes)
    assert np.abs(at(found, 0.55 * directions(500, seed=3))).mean() < 3e-3
    assert extract_mesh(found.shape.sdf, 48).body_count == 1


@pytest.mark.slow
def test_normals_that_are_missing_follow_the_prior() -> None:
    seen = half()
    found = refine(ball(), scanned(0.53 * seen), config=SMALL)
    assert any("no normals" in note for note in found.notes)
    assert np.abs(at(found, 0.53 * seen)).mean() < 1e-3
    turned = orient_by_prior(0.53 * seen, seen * np.where(seen[:, :1] > 0, 1.0, -1.0), sphere(RADIUS))
    assert (np.einsum("nd,nd->n", turned, seen) > 0).mean() > 0.99
    kept = orient_by_prior(0.9 * seen, -seen, sphere(RADIUS))
    assert (np.einsum("nd,nd->n", kept, seen) < 0).all()


@pytest.mark.slow
def test_a_whole_bare_scan_keeps_its_own_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small ball across the prior's surface: what the prior says of its inner half would be wrong."""
    asked: list[int] = []

    def seen_by_prior(points, normals, prior):
        asked.append(len(points))
        return orient_by_prior(points, normals, prior)

    monkeypatch.setattr(refinement, "orient_by_prior", seen_by_prior)
    seen, centre = directions(3000), np.array([0.0, 0.0, RADIUS])
    found = refine(ball(), scanned(centre + 0.15 * seen), config=SMALL)
    assert not asked
    surface = found.shape.mesh(64)
    assert surface.body_count == 1
    np.testing.assert_allclose(np.linalg.norm(FRAME.to_unit(surface.vertices) - centre, axis=1), 0.15, atol=1e-2)
    refine(ball(), scanned(0.53 * half()), config=SMALL)
    assert asked


@pytest.mark.slow
def test_a_prior_that_is_far_off_gives_way_to_a_whole_scan() -> None:
    """A small ball far from the prior: the prior's own surface, which no point supports, has to go."""
    seen, centre = directions(2000), np.array([0.0, 0.0, 0.75])
    found = refine(ball(), scanned(centre + 0.15 * seen, seen), config=SMALL)
    assert isinstance(found.shape.correction, Correction)
    assert found.shape.correction.alone
    assert any("covers its surface" in note for note in found.notes)
    surface = found.shape.mesh(64)
    assert surface.body_count == 1
    np.testing.assert_allclose(np.linalg.norm(FRAME.to_unit(surface.vertices) - centre, axis=1), 0.15, atol=5e-3)


def test_free_space_is_freed_by_rays() -> None:
    """A wall behind the ball: the sensor sees it through where the ball would be."""
    flat = np.random.default_rng(0).uniform(-0.6, 0.6, (3000, 2))
    wall = np.concatenate([flat, np.full((3000, 1), -0.6)], 1)
    normals, sensor = np.tile([0.0, 0.0, 1.0], (3000, 1)), np.array([0.0, 0.0, 4.0])
    bounded = ConstrainedPrior(sphere(0.2), Scan(wall, normals, sensor))
    assert not bounded.closed
    assert float(bounded(torch.zeros(1, 3))) > 0.05
    behind = torch.tensor([[0.0, 0.0, -0.65], [0.0, 0.0, -0.95]])
    found = ConstrainedPrior(sphere(0.2), Scan(wall, normals))(behind)
    torch.testing.assert_close(found.abs(), torch.tensor([0.05, 0.75]), atol=0.02, rtol=0)


def test_what_a_sensor_looked_past_is_empty_unless_the_scan_is_cropped() -> None:
    """A small ball is seen; the prior has another one beside it, which the sensor would have seen."""
    centre, sensor = np.array([-0.6, 0.0, 0.0]), np.array([-0.6, 0.0, 3.0])
    seen = directions(4000)
    seen = seen[seen[:, 2] > 0.1]
    points = centre + 0.2 * seen
    beside = torch.tensor([[0.5, 0.0, 0.0]])
    prior = union(*(translate(sphere(0.2), (at, 0.0, 0.0)) for at in (-0.6, 0.5)))
    assert float(prior(beside)) < -0.1
    assert float(ConstrainedPrior(prior, Scan(points, seen, sensor))(beside)) > 0.1
    assert float(ConstrainedPrior(prior, Scan(points, seen, sensor, cropped=True))(beside)) < -0.1
    inside = torch.tensor([[-0.6, 0.0, 0.0]])
    assert float(ConstrainedPrior(prior, Scan(points, seen, sensor))(inside)) < -0.05


def test_rays_clear_of_the_points_pass_the_shape() -> None:
    """A ball of radius 0.5 from a distance of 2 fills a cone of half angle asin(1/4); only beyond it rays are clear."""
    sensor, seen = np.array([0.0, 0.0, 2.0]), directions(8000)
    points = 0.5 * seen[seen[:, 2] > 0.25]
    edge = np.arcsin(0.25)
    angles = np.array([0.0, 0.9 * edge, 1.15 * edge, 2 * edge])
    for depth in (1.0, 3.0):
        ways = np.stack([np.sin(angles), np.zeros(4), -np.cos(angles)], 1)
        past = in_free_space(points, sensor, sensor + depth * ways)
        assert past.tolist() == [False, False, True, True]
    hollow = points[np.linalg.norm(points[:, :2], axis=1) > 0.2]
    assert in_free_space(hollow, sensor, np.array([[0.0, 0.0, -0.9]])).all()


@pytest.mark.slow
def test_each_of_several_views_speaks_for_itself() -> None:
    """From above a plate hides what is under it, from the side it does not; each view alone says less than both."""
    flat = np.random.default_rng(0).uniform(-0.5, 0.5, (6000, 3))
    plate = flat * [1.0, 1.0, 0.0]
    edge = flat[:2000] * [0.0, 1.0, 0.04] + [0.5, 0.0, 0.0]
    above, aside = np.array([0.0, 0.0, 3.0]), np.array([3.0, 0.0, 0.0])
    points, sensor = np.concatenate([plate, edge]), np.repeat([above, aside], [6000, 2000], axis=0)
    places = np.array([[0.0, 0.0, -0.4], [0.0, 0.9, 0.0], [0.2, 0.1, 0.01]])
    assert in_free_space(plate, above, places).tolist() == [False, True, False]
    assert in_free_space(edge, aside, places).tolist() == [True, True, False]
    assert in_free_space(points, sensor, places).tolist() == [True, True, False]
    assert refuted_by_sensor(points, sensor, places, 0.05).tolist() == [True, True, False]
    few = np.concatenate([points, np.full((5, 3), 0.9)]), np.concatenate([sensor, np.full((5, 3), -9.0)])
    assert in_free_space(*few, places).tolist() == [True, True, False]  # five points are no view
    up = np.tile([0.0, 0.0, 1.0], (8000, 1))
    under = torch.tensor([[0.0, 0.0, -0.4]])
    assert float(ConstrainedPrior(sphere(0.6), Scan(points, up, sensor))(under)) > 0.1
    assert float(ConstrainedPrior(sphere(0.6), Scan(plate, up[:6000], above))(under)) < -0.05


def test_strays_of_several_views_leave_with_their_sensors() -> None:
    unit = directions(1500)
    unit[:, 2] = np.abs(unit[:, 2])
    cameras = np.where(unit[:, :1] > 0, [[3.0, 0.0, 3.0]], [[-3.0, 0.0, 3.0]])
    points = np.concatenate([0.55 * unit, [[0.9, 0.0, 0.3], [-0.9, 0.1, 0.2], [0.0, 0.9, 0.1]]])
    sensors = np.concatenate([cameras, cameras[:3]])
    found = refine(ball(), scanned(points, sensor=sensors), config=SMALL)
    assert found.status is RefinementStatus.CORRECTED
    assert np.abs(at(found, 0.55 * unit[:100])).mean() < 0.02


def test_what_is_known_of_a_scan_by_itself() -> None:
    seen = directions(4000)
    assert openness(0.5 * seen, seen) < CLOSED
    assert openness(0.5 * seen[seen[:, 2] > -0.5], seen[seen[:, 2] > -0.5]) > CLOSED
    rough = 0.5 * seen + 0.02 * np.random.default_rng(3).normal(size=seen.shape)
    assert openness(rough, outward_normals(rough)) < CLOSED
    half = seen[:, 2] > 0
    assert openness(rough[half], outward_normals(rough[half])) > CLOSED
    assert noise_level(0.5 * seen) < 5e-4
    for level in (0.003, 0.01):
        noisy = 0.5 * seen + level * np.random.default_rng(9).normal(size=seen.shape)
        assert noise_level(noisy) == pytest.approx(level, rel=0.15)
    assert noise_level(seen[:10]) == 0.0


def test_too_few_points_leave_the_shape_as_it_is() -> None:
    for unit in (0.5 * directions(20), 5.0 * directions(100), np.linspace(-0.5, 0.5, 100)[:, None] * np.ones(3)):
        found = refine(ball(), scanned(unit), config=SMALL)
        assert found.shape.correction is None
        assert found.status is RefinementStatus.TOO_FEW_POINTS
        assert "too few points" in found.notes[-1]


def test_a_correction_is_read_from_its_bytes_within_its_precision() -> None:
    seen = half()
    ripples = (0.55 + 0.01 * np.sin(20 * seen[:, :1])) * seen
    solution = solve(ripples, seen, SolveConfig(resolution=64, dense=16), prior=sphere(RADIUS))
    places = torch.from_numpy(np.concatenate([ripples, np.random.default_rng(0).uniform(-1, 1, (3000, 3))]))
    sizes = []
    for precision in (1e-3, 1e-4):
        kept = Correction.of(solution.correction, precision)
        assert float((kept(places) - solution.correction.evaluate_clamped(places)).abs().max()) < 1.001 * precision
        assert torch.equal(Correction(kept.packed)(places), kept(places))
        sizes.append(kept.nbytes)
    assert sizes[0] < sizes[1] < 60_000
    level = solution.correction.levels[0]
    alone = Correction.of(solution.correction, 1e-4, alone=True)
    outside = torch.tensor([[3.0, 0.0, 0.0]], dtype=torch.float64)
    assert alone.alone
    assert not kept.alone
    torch.testing.assert_close(alone(outside), kept(outside) + 2)
    nothing = Correction.of(SplineField([level], [np.zeros(len(level.nodes))]))
    assert nothing.nbytes < 40
    assert float(nothing(places).abs().max()) == 0.0
    for bad in (b"", kept.packed[:-9], b"hello"):
        with pytest.raises(ValueError, match="damaged"):
            _ = Correction(bad).field
    with pytest.raises(ValueError, match="precision"):
        Correction.of(solution.correction, 0.0)


def test_a_prior_is_held_to_what_is_known_better() -> None:
    seen = half()
    solution = solve(0.5 * seen, seen, SolveConfig(resolution=32), prior=sphere(0.5), held=sphere(0.4))
    far = directions(seed=1)
    far = torch.from_numpy(far[far[:, 2] < -0.6])
    assert float(solution.sdf(0.4 * far).abs().max()) < 0.02
    with pytest.raises(ValueError, match="give prior as well"):
        solve(0.5 * seen, seen, held=sphere(0.4))


def test_numbers_that_make_no_sense_are_refused() -> None:
    for wrong in ({"noise": -1.0}, {"reach": 0.0}, {"points": 3}, {"precision": 0.0}, {"steps": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RefineConfig(**wrong)  # pyright: ignore[reportArgumentType]
