"""Derivatives of fields whose derivatives are known."""

from __future__ import annotations

import pytest
import torch

from latentsdf.core.field import Jet, evaluate
from latentsdf.decoder import CoarseMLP, DeepSDFConfig, DualConfig, build_decoder


def sphere(points: torch.Tensor) -> torch.Tensor:
    return points.norm(dim=-1) - 1.0


def some_points(count: int = 50) -> torch.Tensor:
    points = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return points / points.norm(dim=-1, keepdim=True) * torch.linspace(0.5, 2.0, count, dtype=torch.float64)[:, None]


def test_jet_of_a_sphere() -> None:
    points = some_points()
    jet = Jet(sphere, points)
    radius = points.norm(dim=-1)
    torch.testing.assert_close(jet.value, radius - 1.0)
    torch.testing.assert_close(jet.gradient, points / radius[:, None])
    torch.testing.assert_close(jet.laplacian, 2.0 / radius)
    torch.testing.assert_close(jet.project(), points / radius[:, None], rtol=0, atol=1e-12)
    trace_free = jet.hessian @ jet.normal[:, :, None]
    torch.testing.assert_close(trace_free, torch.zeros_like(trace_free), rtol=0, atol=1e-12)


def test_jet_takes_each_derivative_once() -> None:
    jet = Jet(sphere, some_points())
    assert jet.gradient is jet.gradient
    assert jet.hessian is jet.hessian


def test_a_linear_field_has_a_zero_hessian() -> None:
    normal = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    jet = Jet(lambda x: x @ normal - 0.1, some_points())
    torch.testing.assert_close(jet.gradient, normal.expand(50, 3))
    assert float(jet.hessian.detach().abs().max()) == 0.0
    constant = Jet(lambda x: torch.ones(len(x), dtype=x.dtype), some_points())
    assert float(constant.gradient.abs().max()) == 0.0


def test_the_shape_of_a_field_is_checked() -> None:
    with pytest.raises(ValueError, match=r"\(N, 3\)"):
        Jet(sphere, torch.zeros(3))
    with pytest.raises(ValueError, match="must map"):
        Jet(lambda x: x, torch.zeros(4, 3))


def test_a_relu_field_refuses_second_derivatives() -> None:
    code = torch.zeros(8)
    rough = build_decoder(DeepSDFConfig(code_size=8, width=32, depth=2))
    jet = Jet(rough.condition(code), torch.rand(5, 3))
    assert jet.gradient.shape == (5, 3)
    with pytest.raises(ValueError, match="softplus"):
        _ = jet.laplacian
    smooth = build_decoder(DualConfig(code_size=8, coarse=CoarseMLP(width=16, depth=2), grid_resolution=4))
    assert Jet(smooth.condition(code, "coarse"), torch.rand(5, 3)).hessian.abs().max() > 0


def test_evaluate_in_chunks_equals_evaluate_at_once() -> None:
    points = some_points(100)
    torch.testing.assert_close(evaluate(sphere, points, chunk=7), sphere(points), rtol=0, atol=0)
