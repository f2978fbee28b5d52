"""`residual_mean` is one measure, with a space and without, and the one that the documentation states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from conftest import primitive

from latentsdf.cli import main
from latentsdf.core.field import LEAST_SLOPE, first_order_distance
from latentsdf.fitting import direct_solve
from latentsdf.fitting.fitted_field import Fitted
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.primitives import sphere
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.scan.scan import Scan
from latentsdf.space.store import load

DOCS = Path(__file__).parents[2] / "docs"
FORMULA = "|f(x)| / max(|grad f(x)|, 0.05)"


def test_the_documentation_states_the_formula_of_the_code() -> None:
    for text in (*((DOCS / name).read_text() for name in ("conventions.md", "cli.md")), first_order_distance.__doc__):
        assert FORMULA in str(text)
    assert LEAST_SLOPE == 0.05


def test_the_formula_on_fields_that_are_not_distances() -> None:
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
    radii = torch.linspace(0.2, 2.0, 500)
    points, ball = directions * radii[:, None], sphere(1.0)
    torch.testing.assert_close(first_order_distance(lambda x: 3.0 * ball(x), points, 64), (radii - 1.0).abs())
    flat = first_order_distance(lambda x: 0.01 * ball(x), points)
    torch.testing.assert_close(flat, 0.01 * (radii - 1.0).abs() / LEAST_SLOPE)
    assert first_order_distance(ball, points[:0]).shape == (0,)


def test_without_a_space_a_multiple_of_the_field_has_the_same_residual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = primitive("ball", 1.0).sample(2000, seed=0) + np.random.default_rng(0).normal(0.0, 0.02, (2000, 3))
    trimesh.PointCloud(points).export(str(tmp_path / "scan.ply"))
    solve = direct_solve.solve_scan

    def tripled(*arguments: object, **options: object) -> Fitted:
        field = solve(*arguments, **options)  # pyright: ignore[reportArgumentType]
        return replace(field, sdf=lambda at: 3.0 * field.sdf(at))

    figures = []
    for function in (solve, tripled):
        monkeypatch.setattr(direct_solve, "solve_scan", function)
        target, out = tmp_path / "result.json", tmp_path / "out.ply"
        call = ["reconstruct", tmp_path / "scan.ply", "-o", out, "--resolution", 32, "--json", target, "--quiet"]
        assert main([str(item) for item in call]) == 0
        figures.append(json.loads(target.read_text()))
    assert 0.005 < figures[0]["residual_mean"] < 0.03
    for key in ("residual_mean", "residual_p90"):
        assert figures[1][key] == pytest.approx(figures[0][key], rel=1e-5)


def test_with_a_space_the_residual_is_that_of_the_shape(space_path: Path) -> None:
    scan = Scan(surface_samples(primitive("ring", 1.1), 1000, seed=0)[0])
    result = reconstruct(load(space_path), scan)
    distances = first_order_distance(result.shape, torch.from_numpy(scan.points))
    assert result.residual_mean == pytest.approx(float(distances.mean()), rel=1e-6)
    assert result.residual_p90 == pytest.approx(float(distances.quantile(0.9)), rel=1e-6)
