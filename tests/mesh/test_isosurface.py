"""Sparse extraction must give the mesh of dense marching cubes, from a fraction of the evaluations."""

import igl
import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from latentsdf.core.field import evaluate
from latentsdf.mesh.crossed_cells import coarse_lattice, completed, crossed_cells
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.sampled_lattice import SampledLattice

DOUBLE = torch.zeros(0, dtype=torch.float64)


def sphere(points, radius=0.7, center=(0.0, 0.0, 0.0)):
    return (points - torch.tensor(center, dtype=points.dtype)).norm(dim=-1) - radius


def torus(points):
    ring = torch.stack([points[:, :2].norm(dim=-1) - 0.6007, points[:, 2]], -1)
    return ring.norm(dim=-1) - 0.2303


def csg(points):
    sides = points.abs() - torch.tensor([0.61, 0.52, 0.43], dtype=points.dtype)
    box = sides.clamp_min(0).norm(dim=-1) + sides.amax(-1).clamp_max(0)
    hole = points[:, 1:].norm(dim=-1) - 0.21
    return torch.maximum(box, -hole).minimum(sphere(points, 0.2, (0.6, 0.5, 0.4)))


def random_network():
    generator = torch.Generator().manual_seed(3)
    widths = [3, 24, 24, 1]
    layers = [
        (torch.randn(a, b, generator=generator).double() / a**0.5, torch.randn(b, generator=generator).double())
        for a, b in zip(widths[:-1], widths[1:], strict=True)
    ]

    def field(points):
        x = 4 * points.double()
        for weight, bias in layers[:-1]:
            x = torch.nn.functional.softplus(x @ weight + bias, beta=8)
        return (x @ layers[-1][0])[:, 0].to(points.dtype)

    tenth = float(field(torch.rand(4000, 3, generator=generator).double() * 2 - 1).quantile(0.1))
    return lambda points: torch.maximum(3 * (field(points) - tenth), sphere(points, 0.833))


class Counting:
    def __init__(self, field):
        self.field, self.count = field, 0

    def __call__(self, points):
        self.count += len(points)
        return self.field(points)


def dense(field, resolution):
    ticks = 2.0 * np.arange(resolution + 1) / resolution - 1
    z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    values = evaluate(field, torch.from_numpy(points)).numpy().copy()
    border = (np.abs(points) == 1).any(1)
    values[border] = np.maximum(values[border], 1e-12)
    values[values == 0] = 1e-12  # libigl counts zero as inside
    n = resolution + 1
    return igl.marching_cubes(values, points, n, n, n, 0.0)[:2]


def assert_same_surface(mesh, vertices, faces):
    assert len(mesh.faces) == len(faces)
    assert len(mesh.vertices) == len(vertices)
    distance, match = KDTree(vertices).query(mesh.vertices)
    assert distance.max() < 1e-6
    ours, theirs = (np.unique(np.sort(rows, axis=1), axis=0) for rows in (np.asarray(match)[mesh.faces], faces))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("resolution", [64, 128])
@pytest.mark.parametrize("field", [sphere, torus, csg, random_network()], ids=["sphere", "torus", "csg", "network"])
def test_same_mesh_as_dense_marching_cubes(field, resolution):
    counting = Counting(field)
    mesh = extract_mesh(counting, resolution, like=DOUBLE)
    assert_same_surface(mesh, *dense(field, resolution))
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    if resolution == 128:
        assert counting.count < 129**3 / 3


def test_a_fourteenth_of_the_dense_evaluations_at_256():
    counting = Counting(torus)
    extract_mesh(counting, 256)
    assert counting.count < 257**3 / 14


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [100, 150])
def test_resolutions_that_are_no_power_of_two(resolution):
    assert_same_surface(extract_mesh(torus, resolution, like=DOUBLE), *dense(torus, resolution))


def test_vertices_lie_on_the_surface_to_second_order():
    error = {
        n: sphere(torch.from_numpy(extract_mesh(sphere, n, like=DOUBLE).vertices)).abs().max() for n in (32, 64, 128)
    }
    for n in (32, 64, 128):
        assert error[n] < (2 / n) ** 2 / 8 / 0.7 * 1.2
    assert error[32] / error[128] > 8


def test_a_surface_that_leaves_the_cube_is_capped_at_its_border():
    for resolution in (40, 96):
        mesh = extract_mesh(lambda x: sphere(x, 1.2), resolution, like=DOUBLE)
        assert mesh.is_watertight
        assert mesh.volume > 0
        np.testing.assert_allclose(np.abs(mesh.vertices).max(0), 1.0, atol=1e-6)
    assert_same_surface(mesh, *dense(lambda x: sphere(x, 1.2), 96))
    half_space = extract_mesh(lambda x: x[:, 2] - 0.25, 96, like=DOUBLE)
    assert half_space.is_watertight
    assert half_space.volume == pytest.approx(2 * 2 * 1.25, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.1, 0.01])
def test_truncated_fields_come_out_complete(width):
    def clamped(x):
        return torus(x).clamp(-width, width)

    def smooth(x):
        return width * torch.tanh(torus(x) / width)

    for field in (clamped, smooth):
        assert_same_surface(extract_mesh(field, 128, like=DOUBLE), *dense(field, 128))


def specks(points):
    """A big body and two components of about one cell of the 64^3 lattice, far off it."""
    small = sphere(points, 0.02, (-0.8125, 0.8125, 0.8125)).minimum(sphere(points, 0.02, (0.8, -0.8, 0.79)))
    return sphere(points, 0.3, (0.2, 0.0, 0.0)).minimum(small)


def test_tiny_far_components_are_kept():
    for field in (specks, lambda x: specks(x).clamp(-0.1, 0.1), lambda x: 0.05 * torch.tanh(20 * specks(x))):
        mesh = extract_mesh(field, 128, like=DOUBLE)
        assert mesh.body_count == 3
        assert_same_surface(mesh, *dense(field, 128))


def thin_parts(points):
    """A tilted plate, a shell and a rod of half a cell to a cell of the 128^3 lattice, close to one another."""
    normal = torch.tensor([0.36, 0.48, 0.8], dtype=points.dtype)
    plate = torch.maximum((points @ normal - 0.113).abs() - 0.006, sphere(points, 0.6))
    shell = sphere(points, 0.31, (-0.4, -0.3, -0.37)).abs() - 0.005
    rod = torch.maximum((points[:, 1:] - 0.613).norm(dim=-1) - 0.008, points[:, 0].abs() - 0.7)
    return plate.minimum(shell).minimum(rod)


def test_parts_thinner_than_a_cell_are_those_of_the_dense_lattice():
    for field in (thin_parts, lambda x: thin_parts(x).clamp(-0.1, 0.1), lambda x: 2.0 * thin_parts(x)):
        assert_same_surface(extract_mesh(field, 128, like=DOUBLE), *dense(field, 128))


def test_components_seen_on_the_coarse_lattice_survive_a_bound_that_is_too_small():
    def dots(points):
        return specks(points).minimum(sphere(points, 0.02, (-0.875, 0.5, 0.875)))

    mesh = extract_mesh(dots, 256, like=DOUBLE, lipschitz=1e-6)
    assert mesh.is_watertight
    ends = mesh.vertices.min(0), mesh.vertices.max(0)
    assert ends[0][0] < -0.88
    assert ends[1][2] > 0.88
    assert_same_surface(extract_mesh(torus, 128, like=DOUBLE, lipschitz=1e-6), *dense(torus, 128))


def test_a_steep_field_and_one_without_a_graph_match_the_dense_mesh():
    def stretched(x):
        return 7 * torus(x) * (1.5 + torch.sin(5 * x[:, 0]))

    def outside_torch(x):
        return torch.from_numpy(torus(x).numpy())

    assert_same_surface(extract_mesh(stretched, 128, like=DOUBLE), *dense(stretched, 128))
    assert_same_surface(extract_mesh(outside_torch, 128, like=DOUBLE), *dense(torus, 128))


def test_level_half_width_and_type_of_the_queries():
    seen = []

    def watched(x):
        seen.append(x.dtype)
        return sphere(x)

    mesh = extract_mesh(watched, 64, level=0.1, half_width=0.9)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=3e-3)
    assert set(seen) == {torch.float32}
    assert mesh.vertices.dtype == np.float64
    cut = extract_mesh(sphere, 64, half_width=0.5)
    assert np.abs(cut.vertices).max() <= 0.5


def test_values_of_exactly_zero_make_no_degenerate_faces():
    def box(x):
        return x.abs().amax(-1) - 0.5

    mesh = extract_mesh(box, 64, like=DOUBLE)
    assert mesh.is_watertight
    assert mesh.area_faces.min() > 0
    assert mesh.volume == pytest.approx(1 - 6 / 32**2, abs=2e-4)  # marching cubes cuts the twelve edges


@pytest.mark.parametrize("resolution", [32, 128])
def test_fields_without_a_surface_are_refused_with_the_extreme_value(resolution):
    with pytest.raises(ValueError, match=r"positive everywhere.*smallest value is 0\.25 at \[0\.0, 0\.0, 0\.0\]"):
        extract_mesh(lambda x: x.norm(dim=-1) + 0.25, resolution)
    with pytest.raises(ValueError, match=r"below level 0 everywhere.*largest value -0\.26"):
        extract_mesh(lambda x: x.norm(dim=-1) - 2.0, resolution)


def test_bad_fields_are_refused():
    with pytest.raises(ValueError, match=r"not finite at 34848 of 35937 points"):
        extract_mesh(lambda x: torch.where(x[:, 0] > -1, torch.nan, 1.0) + sphere(x), 32)
    with pytest.raises(ValueError, match=r"must map \(N, 3\) to \(N,\).*35937, 1"):
        extract_mesh(lambda x: sphere(x)[:, None], 32)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"resolution": 3}, "from 4 to 1024, got 3"),
        ({"resolution": 5000}, "got 5000"),
        ({"resolution": 64.5}, "whole number"),
        ({"half_width": 0.0}, "half_width must be positive"),
        ({"level": float("nan")}, "level must be finite"),
        ({"lipschitz": -1.0}, "lipschitz must be positive"),
    ],
)
def test_arguments_out_of_range_are_refused(keywords, text):
    with pytest.raises(ValueError, match=text):
        extract_mesh(sphere, **keywords)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_field_that_is_rounded_otherwise_in_every_batch_is_closed(seed: int) -> None:
    batches = iter(range(1000 * seed, 1000 * seed + 1000))

    def box(points: torch.Tensor) -> torch.Tensor:  # zero, but for its rounding, on whole faces of the lattice
        generator = torch.Generator().manual_seed(next(batches))
        return (points.abs() - 0.5).amax(-1) + 1e-7 * torch.randn(len(points), generator=generator)

    mesh = extract_mesh(box, 64, lipschitz=0.2)  # a bound so small that the surface is followed through its faces
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.volume, 1.0, atol=4e-3)  # edges are bevelled


def test_a_block_that_was_taken_for_empty_is_evaluated_where_the_surface_enters_it() -> None:
    lattice = SampledLattice(lambda points: points.norm(dim=-1) - 0.6, 64, 0.0, 1.0, None)
    cells = crossed_cells(lattice, *coarse_lattice(lattice), None)
    blocks = cells.low // 2
    lost = (blocks == blocks[:, :1]).all(0) | (blocks == blocks[:, -1:]).all(0)
    again = completed(lattice, cells.those(~lost))
    order, expected = (np.lexsort(part.low) for part in (again, cells))
    np.testing.assert_array_equal(again.low[:, order], cells.low[:, expected])
    np.testing.assert_allclose(again.corners[:, order], cells.corners[:, expected], atol=1e-6)
