"""The solver on shapes with known answers: exactness, convergence, priors, outliers, and refused input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.core.field import SDF, Jet
from latentsdf.primitives import sphere, torus
from latentsdf.scan.reliability import LEAST_WEIGHT
from latentsdf.scan.scan import Scan
from latentsdf.solver import (
    SolveConfig,
    SolveStop,
    galerkin,
    robust_weights,
    solve,
    weight_gradient,
)
from latentsdf.solver.bending import bending_of
from latentsdf.solver.levels import build_stack
from latentsdf.solver.linear_system import Misfit, PointEvaluation, System
from latentsdf.solver.robust import isolation_weights

SMALL = SolveConfig(resolution=32, dense=16)


def surface(sdf: SDF, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) on the surface of an exact field, and its normals."""
    points = torch.from_numpy(np.random.default_rng(seed).uniform(-0.9, 0.9, (3 * count, 3)))
    for _ in range(5):
        points = Jet(sdf, points).project().detach()
    points = points[sdf(points).abs() < 1e-12][:count]
    assert len(points) == count
    return points.numpy(), Jet(sdf, points).normal.detach().numpy()


def small_system(points: np.ndarray, normals: np.ndarray, weights: np.ndarray, bending: float = 1e-2) -> System:
    """A stack of two levels with few enough unknowns to look at its whole matrix."""
    stack = build_stack(points, 16, 8, 1)
    reading = PointEvaluation(stack.levels, points, slopes=True)
    targets = np.concatenate([np.zeros(len(points)), normals.T.reshape(-1)])
    misfit = Misfit(reading, np.concatenate([10 * weights, np.tile(weights, 3)]), targets)
    return System(stack, [bending_of(level) for level in stack.levels], bending, [misfit])


def flat_patch(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on a slanted square, and its normal."""
    flat = np.random.default_rng(0).uniform(-0.3, 0.3, (count, 2))
    points = flat[:, :1] * [0.8, 0.0, -0.6] + flat[:, 1:] * [0.0, 1.0, 0.0] + 0.1 * np.array([0.6, 0.0, 0.8])
    return points, np.tile([0.6, 0.0, 0.8], (count, 1))


def scaled_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    scale = np.diag(matrix) ** -0.5
    return np.linalg.eigvalsh(scale[:, None] * matrix * scale)


def test_the_equations_are_symmetric_and_positive_definite() -> None:
    system = small_system(*flat_patch(15), np.full(15, 1 / 15))
    assert len(system.levels) == 2
    matrix = system.matrix()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14 * np.abs(matrix).max())
    np.testing.assert_allclose(np.diag(matrix), np.concatenate(system._diagonals), rtol=1e-10)
    random = np.random.default_rng(0)
    for _ in range(3):
        coefficients = random.normal(size=system.unknowns)
        np.testing.assert_allclose(system(coefficients), matrix @ coefficients, atol=1e-12 * np.abs(matrix).max())
    assert scaled_eigenvalues(matrix).min() > 1e-7


def test_where_a_band_is_wide_only_coefficients_of_the_zero_field_are_free() -> None:
    points, normals = surface(sphere(0.3), 40)
    system = small_system(points, normals, np.full(40, 1 / 40))
    eigenvalues, vectors = np.linalg.eigh(system.matrix())
    null = vectors[:, eigenvalues < 1e-11 * eigenvalues[-1]]
    assert null.shape[1] > 0
    assert eigenvalues.min() > -1e-13 * eigenvalues[-1]
    worst = max(float(np.abs(system.totals(vector)[-1]).max()) for vector in null.T)
    assert worst < 1e-6


def test_without_data_only_linear_fields_are_free() -> None:
    stack = build_stack(np.zeros((1, 3)), 8, 8, 1)
    free = np.linalg.eigvalsh(System(stack, [bending_of(stack.levels[0])], 1.0, []).matrix())
    assert abs(free[3]) < 1e-12 * free[-1]
    assert free[4] > 1e-6 * free[-1]


def test_iterations_and_the_direct_solve_find_the_least_energy() -> None:
    points, normals = flat_patch(15)
    random = np.random.default_rng(0)
    system = small_system(points + 0.01 * random.normal(size=points.shape), normals, np.full(15, 1 / 15))
    solution, iterations, residual = system.solve(system.right_hand_side, None, 1e-11, 2000)
    expected = np.linalg.solve(system.matrix(), system.right_hand_side)
    assert 0 < iterations < 2000
    assert residual <= 1e-11
    np.testing.assert_allclose(solution, expected, atol=1e-6 * np.abs(expected).max())
    for size in (1e-3, 1e-1):
        assert system.energy(solution + size * random.normal(size=len(solution))) > system.energy(solution)
    direct = solve(*surface(sphere(0.6), 500), SolveConfig(resolution=8))
    assert direct.stop is SolveStop.DIRECT
    assert direct.iterations == (0,)
    assert direct.residual < 1e-10
    assert direct.unknowns == 1000


@pytest.mark.slow
@pytest.mark.parametrize("shape", [sphere(0.6), torus(0.55, 0.22)])
def test_the_error_falls_with_the_square_of_the_cell_width(shape: SDF, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galerkin, "TOLERANCE", 1e-4)
    points, normals = surface(shape, 4000)
    queries, directions = (torch.from_numpy(part) for part in surface(shape, 1000, seed=1))
    values, slopes = [], []
    for resolution in (8, 16, 32):
        solution = solve(points, normals, SolveConfig(resolution=resolution))
        assert solution.stop is not SolveStop.EXHAUSTED
        values.append(float(solution.sdf(queries).abs().mean()))
        slopes.append(float((Jet(solution.sdf, queries).gradient.detach() - directions).norm(dim=1).mean()))
    assert np.log2(values[0] / values[1]) > 2.0
    assert np.log2(values[1] / values[2]) > 2.0
    assert np.log2(slopes[0] / slopes[1]) > 1.0
    assert np.log2(slopes[1] / slopes[2]) > 1.0
    assert values[-1] < 1e-4


def test_a_plane_is_solved_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear field has no bending, so it costs nothing; points that all lie in one plane are no error."""
    for name, value in (("BORDER", 0.0), ("TOLERANCE", 1e-9), ("ITERATIONS", 3000)):
        monkeypatch.setattr(galerkin, name, value)
    points, normals = flat_patch(200)
    config = SolveConfig(resolution=16, dense=8)
    solution = solve(points, normals, config)
    queries = np.random.default_rng(0).uniform(-1, 1, (1000, 3))
    expected = queries @ normals[0] - 0.1
    np.testing.assert_allclose(solution.sdf(torch.from_numpy(queries)).numpy(), expected, atol=1e-5)


def test_the_band_and_the_dense_lattice_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galerkin, "TOLERANCE", 1e-5)
    points, normals = surface(sphere(0.6), 2000)
    dense = solve(points, normals, SolveConfig(resolution=32, dense=32))
    band = solve(points, normals, SolveConfig(resolution=32, dense=16))
    assert band.unknowns < dense.unknowns / 3
    at = torch.from_numpy(points)
    assert float((dense.sdf(at) - band.sdf(at)).abs().max()) < 2e-4
    queries = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2000, 3)))
    outside = queries.norm(dim=1) > 0.65
    assert bool((band.sdf(queries)[outside] > 0).all())
    assert bool((band.sdf(queries)[queries.norm(dim=1) < 0.55] < 0).all())


def test_the_order_of_points_does_not_matter() -> None:
    points, normals = surface(torus(0.55, 0.22), 500)
    weights = np.linspace(0.5, 1.0, 500)
    shuffled = np.random.default_rng(0).permutation(500)
    config = SolveConfig(resolution=32, dense=16, robust="geman-mcclure")
    first = solve(points, normals, config, weights=weights)
    second = solve(points[shuffled], 2 * normals[shuffled], config, weights=weights[shuffled])
    queries = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (500, 3)))
    torch.testing.assert_close(first.sdf(queries), second.sdf(queries), rtol=0, atol=1e-11)
    np.testing.assert_allclose(first.weights[shuffled], second.weights, atol=1e-10)
    np.testing.assert_allclose(first.normals[shuffled], second.normals, atol=1e-15)


def test_without_data_the_prior_stays_and_with_data_it_gives_way() -> None:
    random = np.random.default_rng(0)
    directions = random.normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = directions[directions[:, 2] > 0.2]
    solution = solve(0.65 * seen, seen, SMALL, prior=sphere(0.6))
    ways = torch.from_numpy(directions)
    hidden = ways[ways[:, 2] < -0.4]
    assert float(solution.sdf(0.6 * hidden).abs().max()) < 2e-3
    torch.testing.assert_close(Jet(solution.sdf, 0.6 * hidden).normal, hidden, rtol=0, atol=0.02)
    assert float(solution.sdf(0.65 * torch.from_numpy(seen)).abs().mean()) < 5e-4
    exact = solve(0.6 * seen, seen, SMALL, prior=sphere(0.6))
    assert float(exact.correction(0.6 * ways).abs().max()) < 1e-6


def test_robust_weights_beat_none_where_there_are_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galerkin, "TOLERANCE", 1e-4)
    points, normals = surface(sphere(0.6), 2000)
    random = np.random.default_rng(0)
    outliers = random.permutation(2000)[:200]
    points[outliers] = random.uniform(-0.7, 0.7, (200, 3))
    wild = random.normal(size=(200, 3))
    normals[outliers] = wild / np.linalg.norm(wild, axis=1, keepdims=True)
    queries = torch.from_numpy(surface(sphere(0.6), 1000, seed=1)[0])
    errors = {}
    for robust in ("none", "geman-mcclure", "welsch"):
        solution = solve(points, normals, SolveConfig(resolution=32, dense=16, robust=robust))
        errors[robust] = float(solution.sdf(queries).abs().mean())
        if robust != "none":
            far = np.abs(np.linalg.norm(points, axis=1) - 0.6) > 0.05
            good = np.delete(np.arange(2000), outliers)
            assert np.median(solution.weights[far]) < 1e-2 < 0.5 < np.median(solution.weights[good])
    assert errors["geman-mcclure"] < errors["none"] / 3
    assert errors["welsch"] < errors["none"] / 3


def test_weight_functions() -> None:
    residuals = np.array([0.0, 0.1, -0.1, 10.0])
    np.testing.assert_allclose(robust_weights(residuals, 0.1, "geman-mcclure")[:3], [1, 0.25, 0.25])
    np.testing.assert_allclose(robust_weights(residuals, 0.1, "welsch"), [1, np.exp(-1), np.exp(-1), LEAST_WEIGHT])
    np.testing.assert_array_equal(robust_weights(residuals, 0.1, "none"), 1)
    with pytest.raises(ValueError, match="positive"):
        robust_weights(residuals, 0.0, "welsch")
    cluster = np.random.default_rng(0).normal(size=(100, 3)) * 0.01
    isolated = isolation_weights(np.concatenate([cluster, [[1.0, 0.0, 0.0]]]), "welsch")
    assert isolated[-1] == LEAST_WEIGHT
    assert np.median(isolated) > 0.5


@pytest.mark.slow
def test_the_adjoint_is_the_derivative_by_the_weights() -> None:
    points, normals = surface(sphere(0.3), 30)
    random = np.random.default_rng(0)
    points = points + 0.02 * random.normal(size=points.shape)
    weights = random.uniform(0.2, 1.0, 30) / 30
    queries = random.uniform(-0.4, 0.4, (20, 3))
    pull = random.normal(size=20)

    def loss(weights: np.ndarray) -> tuple[float, System, np.ndarray, PointEvaluation]:
        system = small_system(points, normals, weights)
        solution, _, _ = system.solve(system.right_hand_side, None, 1e-13, 5000)
        reading = PointEvaluation(system.levels, queries, slopes=False)
        return float(pull @ np.sin(5 * reading(system.totals(solution)))), system, solution, reading

    _, system, solution, reading = loss(weights)
    vectors = [np.zeros(len(level.nodes)) for level in system.levels]
    reading.add_transposed(5 * pull * np.cos(5 * reading(system.totals(solution))), vectors)
    rows = weight_gradient(system, system.misfits[0], solution, system.restrict(vectors), tolerance=1e-13, limit=5000)
    found = 10 * rows[:30] + rows[30:].reshape(3, 30).sum(0)
    for i in range(0, 30, 7):
        step = np.zeros(30)
        step[i] = 1e-4 * weights[i]
        slope = (loss(weights + step)[0] - loss(weights - step)[0]) / (2 * step[i])
        assert found[i] == pytest.approx(slope, rel=1e-4, abs=1e-6 * np.abs(found).max())


def test_a_scan_without_normals_is_solved_and_a_sensor_decides_the_side() -> None:
    points, normals = surface(sphere(0.6), 2000)
    solution = solve(Scan(points), config=SMALL)
    assert np.einsum("nd,nd->n", solution.normals, normals).min() > 0.9
    assert float(solution.sdf(torch.zeros(1, 3))) < 0 < float(solution.sdf(torch.ones(1, 3)))
    front = points[points[:, 2] > 0]
    inside_out = solve(Scan(front, sensor=np.array([0.0, 0.0, 0.1])), config=SMALL)
    assert np.einsum("nd,nd->n", inside_out.normals, front).mean() < -0.3


def test_what_a_solve_refuses() -> None:
    points, normals = surface(sphere(0.6), 100)
    with pytest.raises(ValueError, match="at least 10 points, got 9"):
        solve(points[:9], normals[:9])
    with pytest.raises(ValueError, match="one place or on one line"):
        solve(np.linspace(-0.5, 0.5, 50)[:, None] * np.ones(3), np.tile([0.0, 0.0, 1.0], (50, 1)))
    with pytest.raises(ValueError, match="one place or on one line"):
        solve(np.full((50, 3), 0.1), np.tile([0.0, 0.0, 1.0], (50, 1)))
    with pytest.raises(ValueError, match="1 of 100 points are not finite, the first at row 7"):
        solve(np.where(np.arange(100)[:, None] == 7, np.nan, points), normals)
    with pytest.raises(ValueError, match="1 normals have length zero, the first at row 3"):
        solve(points, np.where(np.arange(100)[:, None] == 3, 0.0, normals))
    with pytest.raises(ValueError, match="normals are not finite"):
        solve(points, np.where(np.arange(100)[:, None] == 3, np.inf, normals))
    with pytest.raises(ValueError, match="outside the cube"):
        solve(3 * points, normals)
    with pytest.raises(ValueError, match=r"as many normals, got shape \(50, 3\)"):
        solve(points, normals[:50])
    with pytest.raises(ValueError, match="brings its own normals"):
        solve(Scan(points, normals), normals)
    with pytest.raises(ValueError, match="weights must not be negative"):
        solve(points, normals, weights=-np.ones(100))
    with pytest.raises(ValueError, match=r"shape \(N, 3\)"):
        solve(points[:, :2])
    with pytest.raises(ValueError, match="8 times a power of two"):
        solve(points, normals, SolveConfig(resolution=100))
    with pytest.raises(ValueError, match="bending must be positive"):
        SolveConfig(bending=0.0)
    with pytest.raises(ValueError, match="robust must be one of"):
        SolveConfig(robust="huber")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="the prior is not finite"):
        solve(points, normals, SMALL, prior=lambda x: x.sum(-1) / 0.0)
