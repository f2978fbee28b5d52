"""Every decoder keeps the protocol: condition equals the batched call, and says what it is."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from latentsdf.decoder import (
    CoarseMLP,
    CoarseVolumes,
    DeepSDFConfig,
    DualConfig,
    LinearConfig,
    VolumesConfig,
    build_decoder,
    decoder_from_dict,
    decoder_to_dict,
    principal_components,
)
from latentsdf.decoder.lookup import read_contracted, read_volumes
from latentsdf.decoder.modulated import positional_encoding

CONFIGS = [
    DeepSDFConfig(code_size=6, width=24, depth=4),
    DualConfig(code_size=6, coarse=CoarseMLP(width=16, depth=2), grid_resolution=5, grid_channels=3, fine_width=8),
    DualConfig(code_size=6, coarse=CoarseVolumes(resolutions=(4, 6), channels=(3, 2), width=8), residual=False),
    LinearConfig(code_size=6, resolution=7),
    VolumesConfig(code_size=6, volumes=CoarseVolumes(resolutions=(4, 6), channels=(3, 2), width=8)),
]


def built(config):
    torch.manual_seed(0)
    decoder = build_decoder(config).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return decoder


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: decoder_to_dict(config)["kind"])
def test_condition_equals_the_batched_call(config) -> None:
    decoder = built(config)
    codes, points = torch.randn(3, 6), torch.rand(3, 40, 3) * 2 - 1
    for branch in decoder.branches:
        together = decoder(codes, points, branch)
        assert together.shape == (3, 40)
        for i in range(3):
            torch.testing.assert_close(decoder.condition(codes[i], branch)(points[i]), together[i])
    torch.testing.assert_close(decoder(codes, points), decoder(codes, points, decoder.branches[-1]))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: decoder_to_dict(config)["kind"])
def test_groups_hold_every_parameter_once(config) -> None:
    decoder = built(config)
    grouped = [id(p) for group in decoder.groups().values() for p in group]
    assert sorted(grouped) == sorted(id(p) for p in decoder.parameters())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: decoder_to_dict(config)["kind"])
def test_a_config_survives_its_dictionary(config) -> None:
    assert decoder_from_dict(decoder_to_dict(config)) == config


def test_unknown_names_are_errors() -> None:
    plain = decoder_to_dict(CONFIGS[1])
    with pytest.raises(ValueError, match="unknown field 'grid_chanels'"):
        decoder_from_dict({**plain, "grid_chanels": 3})
    with pytest.raises(ValueError, match="unknown decoder 'triplane'"):
        decoder_from_dict({"kind": "triplane"})
    with pytest.raises(ValueError, match="no branch 'sharp'; it has coarse, fine, fused"):
        built(CONFIGS[1]).condition(torch.zeros(6), "sharp")
    with pytest.raises(ValueError, match="codes of 6 numbers, got 5"):
        built(CONFIGS[1])(torch.zeros(2, 5), torch.zeros(2, 3, 3))


def test_an_absurd_size_is_refused_with_its_bytes() -> None:
    with pytest.raises(ValueError, match=r"1\.10 GB.*over the limit of 1\.00 GB"):
        build_decoder(DualConfig(grid_resolution=129, grid_channels=128, max_bytes=1_000_000_000))
    with pytest.raises(ValueError, match="code_size must be at least 1, got 0"):
        DualConfig(code_size=0)


def test_grid_and_code_sizes_are_independent() -> None:
    small, large = (build_decoder(DualConfig(code_size=size)) for size in (8, 256))
    assert small.grid.shape == large.grid.shape


def test_the_fine_branch_starts_as_the_coarse_one() -> None:
    decoder = build_decoder(CONFIGS[1])
    codes, points = torch.randn(2, 6), torch.rand(2, 30, 3)
    torch.testing.assert_close(decoder(codes, points, "fine"), decoder(codes, points, "coarse"))


@pytest.mark.parametrize("config", CONFIGS[1:3], ids=["residual", "own field"])
def test_fusion_trusts_the_fine_field_inside_the_band_only(config) -> None:
    decoder = built(config)
    codes, points = torch.randn(4, 6), torch.rand(4, 4000, 3) * 2 - 1
    coarse = decoder(codes, points, "coarse")
    with torch.no_grad():  # a random field need not have a surface: shift it to its own median
        dict(decoder.named_parameters())["coarse.network.out.bias"].sub_(coarse.median())
    coarse, fine, fused = (decoder(codes, points, branch) for branch in ("coarse", "fine", "fused"))
    band = config.band
    inside, outside = coarse.abs() < 0.8 * band, coarse.abs() >= band
    assert inside.any()
    assert outside.any()
    torch.testing.assert_close(fused[inside], fine[inside])
    torch.testing.assert_close(fused[outside], coarse[outside])
    edge = ~inside & ~outside
    low, high = torch.minimum(coarse, fine), torch.maximum(coarse, fine)
    assert ((fused >= low - 1e-6) & (fused <= high + 1e-6))[edge].all()


def test_volumes_are_read_as_grid_sample_reads_them() -> None:
    volumes, points = torch.randn(2, 6, 6, 6, 3), torch.rand(2, 50, 3) * 2.4 - 1.2
    expected = functional.grid_sample(
        volumes.permute(0, 4, 1, 2, 3), points.flip(-1)[:, :, None, None], align_corners=True, padding_mode="border"
    )[..., 0, 0].transpose(1, 2)
    torch.testing.assert_close(read_volumes(volumes, points), expected)
    torch.testing.assert_close(read_volumes(volumes, points.clone().requires_grad_(True)), expected)


def test_volume_reads_have_derivatives_to_second_order() -> None:
    volumes = torch.randn(1, 3, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(1, 4, 3, dtype=torch.float64) * 0.3 + 0.1).requires_grad_(True)
    assert torch.autograd.gradcheck(read_volumes, (volumes, points))
    assert torch.autograd.gradgradcheck(read_volumes, (volumes, points))


def test_positional_encoding_counts_and_keeps_the_point() -> None:
    points = torch.rand(5, 3)
    encoded = positional_encoding(points, 8)
    assert encoded.shape == (5, 51)
    torch.testing.assert_close(encoded[:, :3], points)
    torch.testing.assert_close(encoded[:, -3:], (points * 128).cos())


def test_principal_components_reconstruct_low_rank_data_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(12, 3, generator=generator) @ torch.randn(3, 200, generator=generator) + 5.0
    mean, basis, codes = principal_components(data, 3)
    torch.testing.assert_close(mean + codes @ basis, data, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3), rtol=0, atol=1e-5)
    _, short, padded = principal_components(data[:3], 8)
    assert padded.shape == (3, 8)
    assert float(short[2:].abs().max()) == 0.0


def test_fast_volume_reads_have_the_gradients_of_plain_gathers() -> None:
    volumes = torch.randn(2, 5, 5, 5, 3, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(2, 60, 3, dtype=torch.float64) * 2.4 - 1.2).requires_grad_(True)
    weights = torch.randn(2, 60, 3, dtype=torch.float64)
    fast, plain = (read_volumes(volumes, points, repeatable) for repeatable in (False, True))
    torch.testing.assert_close(fast, plain)
    for a, b in zip(
        torch.autograd.grad((fast * weights).sum(), (volumes, points)),
        torch.autograd.grad((plain * weights).sum(), (volumes, points)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_matrices_read_and_multiplied_at_once_are_those_read_first() -> None:
    random = torch.Generator().manual_seed(0)
    table = torch.randn(4, 4, 4, 3, 5, generator=random)
    points = 2.4 * torch.rand(50, 3, generator=random) - 1.2
    rows = torch.randn(50, 3, generator=random)
    matrices = read_volumes(table.flatten(3)[None], points[None])[0].view(50, 3, 5)
    torch.testing.assert_close(read_contracted(table, points, rows), torch.einsum("nc,ncd->nd", rows, matrices))
