"""The B-spline lattices: exact integrals, partition of unity, derivatives, and reading from many levels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss

from latentsdf.core.field import Jet
from latentsdf.solver.bending import SeparableBending, assembled, bending_of
from latentsdf.solver.bspline import CELL_BEND, CELL_SLOPE, CELL_VALUE, LatticeIndex, axis_stencils, axis_weights
from latentsdf.solver.levels import Stack, build_stack
from latentsdf.solver.linear_system import PointEvaluation, System
from latentsdf.solver.spline_field import SplineField


def random_points(count: int, seed: int = 0, reach: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-reach, reach, (count, 3))


def on_a_sphere(count: int, radius: float = 0.6, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def random_field(stack: Stack, seed: int = 0) -> SplineField:
    system = System(stack, [bending_of(level) for level in stack.levels], 1.0, [])
    coefficients = np.random.default_rng(seed).normal(size=system.unknowns)
    return SplineField(stack.levels, system.totals(coefficients))


def test_integrals_of_one_axis_are_those_of_quadrature() -> None:
    nodes, weights = leggauss(5)
    inside, weights = (nodes + 1) / 2, weights / 2
    for derivative, element in enumerate((CELL_VALUE, CELL_SLOPE, CELL_BEND)):
        functions = np.stack(axis_weights(inside, derivative))
        np.testing.assert_allclose(np.einsum("aq,bq,q->ab", functions, functions, weights), element, atol=1e-15)
    np.testing.assert_allclose(axis_stencils(9, CELL_VALUE)[5] * 120, [1, 26, 66, 26, 1], atol=1e-12)
    np.testing.assert_allclose(axis_stencils(9, CELL_SLOPE)[5], [-1 / 6, -1 / 3, 1, -1 / 3, -1 / 6], atol=1e-15)
    np.testing.assert_allclose(axis_stencils(9, CELL_BEND)[5], [1, -4, 6, -4, 1], atol=1e-15)


def test_bending_of_a_field_is_the_integral_of_its_squared_hessian() -> None:
    """Quadrature of the field that is read, borders included, against the stencils; relative to 1e-12."""
    stack = build_stack(np.zeros((1, 3)), 8, 8, 1)
    (level,) = stack.levels
    coefficients = np.random.default_rng(0).normal(size=len(level.nodes))
    field = SplineField([level], [coefficients])
    nodes, weights = leggauss(3)
    axis = (-1 + (np.arange(8)[:, None] + (nodes + 1) / 2) * level.width).reshape(-1)
    axis_weight = np.tile(weights / 2 * level.width, 8)
    points = torch.from_numpy(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3))
    weight = np.einsum("i,j,k->ijk", axis_weight, axis_weight, axis_weight).reshape(-1)
    integral = float(weight @ (field.hessian(points).numpy() ** 2).sum((1, 2)))
    assert integral == pytest.approx(float(coefficients @ (bending_of(level)(coefficients))), rel=1e-12)
    np.testing.assert_allclose(bending_of(level).matrix().diagonal(), level.bending_diagonal(), rtol=1e-13)


def test_bending_by_products_along_the_axes_is_that_of_the_assembled_matrix() -> None:
    (level,) = build_stack(np.zeros((1, 3)), 8, 8, 1).levels
    form, matrix = bending_of(level), assembled(level)
    assert isinstance(form, SeparableBending)
    coefficients = np.random.default_rng(0).normal(size=len(level.nodes))
    np.testing.assert_allclose(form(coefficients), matrix @ coefficients, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(form.transposed(coefficients), matrix.T @ coefficients, rtol=1e-11, atol=1e-11)


def test_bending_of_a_band_couples_own_functions_alone() -> None:
    """Rows of a band, at the border of the cube too, are those of the same functions on the whole lattice."""
    points = np.array([[0.98, -0.97, 0.5], [0.1, 0.2, 0.3]])
    band, whole = build_stack(points, 16, 8, 1).levels[1], build_stack(points, 16, 16, 1).levels[0]
    rows = whole.node_index(band.nodes)
    coefficients = np.random.default_rng(0).normal(size=len(band.nodes))
    spread = np.zeros(len(whole.nodes))
    spread[rows] = coefficients
    form = bending_of(band)
    np.testing.assert_allclose(form(coefficients), assembled(whole).dot(spread)[rows[band.own]], rtol=1e-11, atol=1e-11)
    own = np.random.default_rng(1).normal(size=len(band.own))
    assert own @ form(coefficients) == pytest.approx(form.transposed(own) @ coefficients, rel=1e-11)


def test_the_functions_sum_to_one_up_to_the_border() -> None:
    stack = build_stack(np.zeros((1, 3)), 16, 16, 1)
    field = SplineField(stack.levels, [np.ones(len(stack.levels[0].nodes))])
    points = torch.from_numpy(
        np.concatenate([random_points(2000), np.array(list(itertools.product((-1.0, 1.0), repeat=3)))])
    )
    assert float((field(points) - 1).abs().max()) < 1e-14
    assert float(field.gradient(points).abs().max()) < 1e-13


def test_refinement_changes_no_field() -> None:
    """Where only a coarse level has coefficients, the finer totals read the same values."""
    points = on_a_sphere(300)
    stack = build_stack(points, 64, 16, 1)
    system = System(stack, [bending_of(level) for level in stack.levels], 1.0, [])
    coefficients = np.zeros(system.unknowns)
    coefficients[system.slices[0]] = np.random.default_rng(0).normal(size=len(stack.levels[0].own))
    totals = system.totals(coefficients)
    queries = torch.from_numpy(np.concatenate([points, random_points(3000)]))
    fine, coarse = SplineField(stack.levels, totals), SplineField(stack.levels[:1], totals[:1])
    torch.testing.assert_close(fine(queries), coarse(queries), rtol=0, atol=1e-12)
    torch.testing.assert_close(fine.hessian(queries), coarse.hessian(queries), rtol=0, atol=1e-9)


def test_gradient_and_hessian_are_those_of_differences_and_of_autograd() -> None:
    points = on_a_sphere(200)
    field = random_field(build_stack(points, 64, 16, 1))
    queries = torch.from_numpy(np.concatenate([points, random_points(200, 1, 0.99)]))
    jet = Jet(field, queries)
    torch.testing.assert_close(jet.gradient, field.gradient(queries), rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(jet.hessian, field.hessian(queries), rtol=1e-9, atol=1e-7)
    step = 1e-6
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = step
        slope = (field(queries + shift) - field(queries - shift)) / (2 * step)
        # The second derivative jumps between cells, so a difference across a border is off by a step times the jump.
        torch.testing.assert_close(slope, field.gradient(queries)[:, axis], rtol=1e-4, atol=1e-2)
        width = field.levels[-1].width
        scaled = (queries + 1) / width
        inner = ((scaled - scaled.round()).abs() * width > 2 * step).all(1)
        bend = (field.gradient(queries + shift) - field.gradient(queries - shift)) / (2 * step)
        torch.testing.assert_close(bend[inner], field.hessian(queries)[inner][:, axis], rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(slope[inner], field.gradient(queries)[inner, axis], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_value_and_slope_are_continuous_across_levels_and_cells() -> None:
    points = on_a_sphere(200)
    field = random_field(build_stack(points, 64, 16, 1))
    lattice = torch.from_numpy(np.random.default_rng(0).integers(1, 64, (2000, 3)) / 32.0 - 1.0)
    for side in itertools.product((-1e-9, 1e-9), repeat=3):
        moved = lattice + torch.tensor(side, dtype=torch.float64)
        assert float((field(moved) - field(lattice)).abs().max()) < 1e-5
        assert float((field.gradient(moved) - field.gradient(lattice)).abs().max()) < 1e-3


def test_outside_the_cube_the_distance_to_it_is_added() -> None:
    field = random_field(build_stack(np.zeros((1, 3)), 8, 8, 1))
    border, outside = torch.tensor([[1.0, 0.2, 0.3]]), torch.tensor([[1.5, 0.2, 0.3]])
    torch.testing.assert_close(field(outside), field(border) + 0.5)
    assert torch.isfinite(Jet(field, torch.cat([border, outside])).gradient).all()
    assert field(border).dtype == torch.float32
    assert Jet(field, torch.zeros(0, 3)).value.shape == (0,)


def test_readings_and_their_transpose_match_the_field() -> None:
    points = on_a_sphere(200)
    stack = build_stack(points, 32, 8, 1)
    system = System(stack, [bending_of(level) for level in stack.levels], 1.0, [])
    random = np.random.default_rng(0)
    coefficients = random.normal(size=system.unknowns)
    totals = system.totals(coefficients)
    field, queries = SplineField(stack.levels, totals), np.concatenate([points, random_points(300)])
    reading = PointEvaluation(stack.levels, queries, slopes=True)
    found = reading(totals).reshape(4, -1)
    np.testing.assert_allclose(found[0], field(torch.from_numpy(queries)).numpy(), atol=1e-12)
    np.testing.assert_allclose(found[1:].T, field.gradient(torch.from_numpy(queries)).numpy(), atol=1e-11)
    values = random.normal(size=found.size)
    vectors = [np.zeros(len(level.nodes)) for level in stack.levels]
    reading.add_transposed(values, vectors)
    assert system.restrict(vectors) @ coefficients == pytest.approx(values @ found.reshape(-1), rel=1e-12)


def test_the_finder_knows_what_is_there() -> None:
    random = np.random.default_rng(0)
    places = np.unique(random.integers(0, 20, (500, 3)), axis=0)
    finder = LatticeIndex(places, 20)
    np.testing.assert_array_equal(finder(places), np.arange(len(places)))
    everywhere = np.stack(np.unravel_index(np.arange(24**3), (24,) * 3), 1) - 2
    assert (finder(everywhere) >= 0).sum() == len(places)
    steps = np.array(list(itertools.product(range(-2, 3), repeat=3)))
    np.testing.assert_array_equal(finder.around(places, -2, 2), np.stack([finder(places + step) for step in steps], 1))


def test_a_stack_says_what_it_cannot_be() -> None:
    with pytest.raises(ValueError, match="8 times a power of two, at most 1024, got 100"):
        build_stack(np.zeros((1, 3)), 100, 32, 1)
    with pytest.raises(ValueError, match="got 2048"):
        build_stack(np.zeros((1, 3)), 2048, 32, 1)
    with pytest.raises(ValueError, match="halo"):
        build_stack(np.zeros((1, 3)), 64, 32, 0)
