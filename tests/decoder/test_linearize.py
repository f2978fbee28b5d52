"""Derivatives of fields in code and point, against finite differences."""

from __future__ import annotations

import pytest
import torch

from latentsdf.decoder import (
    CoarseMLP,
    CoarseVolumes,
    DeepSDFConfig,
    DualConfig,
    LinearConfig,
    VolumesConfig,
    build_decoder,
)

DECODERS = {
    "volumes": DualConfig(code_size=5, coarse=CoarseVolumes(resolutions=(3, 5), channels=(2, 3), width=8, depth=2)),
    "plain volumes": DualConfig(code_size=5, coarse=CoarseVolumes(resolutions=(4,), channels=(3,), width=8, warp=0)),
    "own field": DualConfig(code_size=5, residual=False, grid_resolution=4, grid_channels=2),
    "network": DualConfig(code_size=5, coarse=CoarseMLP(width=16, depth=2, octaves=2, activation="softplus")),
    "deepsdf": DeepSDFConfig(code_size=5, width=32, depth=4, dropout=0.0, activation="softplus"),
    "linear": LinearConfig(code_size=5, resolution=6),
    "volumes alone": VolumesConfig(code_size=5, volumes=CoarseVolumes(resolutions=(3, 5), channels=(2, 3), width=8)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_derivatives_match_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(DECODERS[name]).double().eval().requires_grad_(False)
    for tensor in decoder.parameters():
        tensor.add_(0.1 * torch.randn_like(tensor))
    codes = torch.randn(3, 5, dtype=torch.float64)
    points = 1.8 * torch.rand(3, 40, 3, dtype=torch.float64) - 0.9
    for branch in decoder.branches:
        found = decoder.linearizer(branch)(codes, points)
        torch.testing.assert_close(found.values, decoder(codes, points, branch))
        step = 1e-6
        for axis in range(5):
            shift = step * torch.eye(5, dtype=torch.float64)[axis]
            slope = (decoder(codes + shift, points, branch) - decoder(codes - shift, points, branch)) / (2 * step)
            agree(found.of_codes[..., axis], slope, branch)
        for axis in range(3):
            shift = step * torch.eye(3, dtype=torch.float64)[axis]
            slope = (decoder(codes, points + shift, branch) - decoder(codes, points - shift, branch)) / (2 * step)
            agree(found.of_points[..., axis], slope, branch)
        assert not found.of_codes.requires_grad


def agree(found: torch.Tensor, slope: torch.Tensor, branch: str) -> None:
    """Everywhere, but where a point sits on a kink, or in the rim of the band (whose blend is held fixed)."""
    close = torch.isclose(found, slope, rtol=1e-4, atol=1e-6).float().mean()
    assert float(close) > (0.6 if branch == "fused" else 0.97)


def test_a_linearization_predicts_a_small_step() -> None:
    torch.manual_seed(1)
    decoder = build_decoder(DECODERS["volumes"]).double().eval().requires_grad_(False)
    codes, points = torch.randn(2, 5, dtype=torch.float64), torch.rand(2, 50, 3, dtype=torch.float64)
    found = decoder.linearizer("fused")(codes, points)
    step = 1e-4 * torch.randn(2, 5, dtype=torch.float64)
    predicted = found.values + torch.einsum("snd,sd->sn", found.of_codes, step)
    torch.testing.assert_close(predicted, decoder(codes + step, points, "fused"), rtol=1e-5, atol=1e-6)
