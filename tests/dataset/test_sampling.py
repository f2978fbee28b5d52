"""Query points: where they lie, how many, and that their distances are exact."""

import numpy as np
import pytest
import trimesh

from latentsdf.dataset.band_lattice import Blocks, truncated_lattice
from latentsdf.dataset.sampling import SamplingConfig, draw_samples, near_surface_points, round_points, uniform_points
from latentsdf.mesh.distance import MeshSDF

SMALL = SamplingConfig(near=3000, uniform=1000, band=2000, band_resolution=64, band_layers=3, lattice=24)
HALF = 0.45


def big_triangle_box():
    return trimesh.creation.box((2 * HALF,) * 3)


def box_sdf(points):
    beyond = np.abs(points) - HALF
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(-1), 0)


def lattice_points(resolution):
    axis = np.linspace(-1, 1, resolution)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def band_vertices(distance, resolution, layers):
    """Sorted indices of all lattice vertices within a number of layers of the surface."""
    spacing = 2.0 / resolution
    index, _ = Blocks(resolution + 1, spacing).near(distance, layers * spacing, smallest=1)
    return index[np.lexsort(index.T[::-1])]


def vertex_rule_band(vertices, resolution, layers):
    """The band of the released Compact-SDF code: cells that hold a mesh vertex, dilated by the layers."""
    cells = np.unique(np.floor((vertices + 1) * resolution / 2).astype(np.int64), axis=0)
    steps = np.arange(-layers, layers + 2)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.unique((cells[:, None] + offsets).reshape(-1, 3).clip(0, resolution), axis=0)


@pytest.mark.parametrize("resolution", [4, 17, 32, 50])
def test_the_band_is_every_vertex_near_enough_and_no_other(resolution):
    found = band_vertices(lambda points: np.abs(box_sdf(points)), resolution, 2)
    near = np.abs(box_sdf(lattice_points(resolution + 1))) <= 2 * 2.0 / resolution
    np.testing.assert_array_equal(found, np.argwhere(near))


def test_the_band_has_no_hole_where_the_vertex_rule_has_one():
    box, resolution, layers = big_triangle_box(), 64, 6
    sdf = MeshSDF(box.vertices, box.faces)
    ours = band_vertices(sdf.distance, resolution, layers)
    theirs = vertex_rule_band(np.asarray(box.vertices), resolution, layers)
    middle_of_top = [32, 32, round((HALF + 1) * 32)]
    assert middle_of_top in ours.tolist()
    assert middle_of_top not in theirs.tolist()
    near = np.argwhere(np.abs(box_sdf(lattice_points(resolution + 1))) <= 2.0 / resolution)
    covered = {tuple(row) for row in theirs.tolist()}
    assert np.mean([tuple(row) in covered for row in near.tolist()]) < 0.5
    assert {tuple(row) for row in near.tolist()} <= {tuple(row) for row in ours.tolist()}


def test_far_cells_are_never_asked():
    asked = []

    def distance(points):
        asked.append(len(points))
        return np.abs(np.linalg.norm(points, axis=1) - 0.5)

    found = band_vertices(distance, 128, 2)
    assert sum(asked) < 0.1 * 129**3
    assert len(found) > 0.4 * asked[-1]


@pytest.mark.parametrize("resolution", [2, 9, 24])
@pytest.mark.parametrize("truncation", [0.1, 0.5])
def test_the_lattice_is_the_clipped_distance(resolution, truncation):
    box = big_triangle_box()
    lattice = truncated_lattice(MeshSDF(box.vertices, box.faces), resolution, truncation)
    assert lattice.shape == (resolution,) * 3
    assert lattice.dtype == np.float16
    truth = np.clip(box_sdf(lattice_points(resolution)), -truncation, truncation)
    np.testing.assert_allclose(lattice.astype(np.float64), truth, atol=2.5e-4)


def test_drawn_groups_have_their_sizes_and_exact_distances_at_rounded_points():
    groups = draw_samples(big_triangle_box(), SMALL, seed=4)
    assert {name: len(group) for name, group in groups.items()} == {
        "near": 3000,
        "uniform": 1000,
        "band": 2000,
    }
    for group in groups.values():
        np.testing.assert_array_equal(group.points, round_points(group.points))
        assert np.abs(group.points).max() <= 1
        np.testing.assert_allclose(group.distances, box_sdf(group.points), atol=1e-6)
    assert np.abs(groups["near"].distances).mean() < 0.02
    assert (groups["uniform"].distances < 0).mean() == pytest.approx(HALF**3, abs=0.03)


def test_nine_in_ten_of_the_band_group_are_distinct_vertices_of_the_band():
    group = draw_samples(big_triangle_box(), SMALL, seed=4)["band"]
    index = (group.points + 1) * SMALL.band_resolution / 2
    np.testing.assert_array_equal(index, np.round(index))
    in_band = np.abs(group.distances) <= SMALL.band_layers * 2 / SMALL.band_resolution
    assert 1800 <= in_band.sum() < 1900
    assert len(np.unique(index, axis=0)) > 1950
    assert 5 <= (~in_band[:200]).sum() <= 40  # shuffled
    spread = np.histogramdd(group.points[in_band], bins=2)[0]
    assert spread.min() > 0.7 * spread.max()


def test_a_band_smaller_than_asked_is_given_whole():
    config = SamplingConfig(near=0, uniform=0, band=100_000, band_resolution=16, band_layers=1)
    group = draw_samples(big_triangle_box(), config, seed=0)["band"]
    expected = np.abs(box_sdf(lattice_points(17))) <= 2 / 16
    assert len(group) == expected.sum() + 10_000


def test_draws_repeat_with_the_seed_and_differ_without():
    first, again, other = (draw_samples(big_triangle_box(), SMALL, seed=seed) for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name].points, again[name].points)
        np.testing.assert_array_equal(first[name].distances, again[name].distances)
        assert not np.array_equal(first[name].points, other[name].points)


def test_near_points_have_the_spread_asked_for_and_stay_in_the_cube():
    generator = np.random.default_rng(0)
    points = near_surface_points(np.zeros((100, 3)), (0.2, 0.02), 20_000, generator)
    assert points[::2].std() == pytest.approx(0.2, rel=0.02)
    assert points[1::2].std() == pytest.approx(0.02, rel=0.02)
    assert np.abs(near_surface_points(np.ones((10, 3)), (0.5,), 1000, generator)).max() == 1.0
    assert np.abs(uniform_points(1000, generator)).max() <= 1.0
    with pytest.raises(ValueError, match="no surface point"):
        near_surface_points(np.empty((0, 3)), (0.1,), 5, generator)


@pytest.mark.parametrize(
    "wrong",
    [
        {"near": -1},
        {"near": 0, "uniform": 0, "band": 0},
        {"near_sigmas": ()},
        {"near_sigmas": (0.1, 0.0)},
        {"band_resolution": 3},
        {"band_layers": 0},
        {"lattice": 1},
        {"truncation": 0.0},
    ],
)
def test_absurd_settings_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplingConfig(**wrong)
