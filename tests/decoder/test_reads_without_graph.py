"""Fields that are read without a graph, in chunks and in place, are those read with one."""

from __future__ import annotations

import pytest
import torch

from latentsdf.decoder import (
    CoarseMLP,
    DeepSDFConfig,
    DualConfig,
    LinearConfig,
    VolumesConfig,
    build_decoder,
)
from latentsdf.decoder.base import CHUNK
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.dual import Dual
from latentsdf.decoder.kinds import decoder_to_dict
from latentsdf.decoder.lookup import read_volumes

SMALL = CoarseVolumes(resolutions=(3, 7), channels=(4, 2), width=16, depth=2, warp=4)
CONFIGS = [
    VolumesConfig(code_size=8, volumes=SMALL),
    VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(5,), channels=(1,), activation="sine", warp=0)),
    DualConfig(code_size=8, coarse=SMALL, grid_resolution=6, fine_width=16),
    DualConfig(code_size=8, coarse=CoarseMLP(width=16, depth=2), residual=False, fine_activation="softplus"),
    DeepSDFConfig(code_size=8, width=32, depth=4),
    LinearConfig(code_size=8, resolution=9),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: decoder_to_dict(config)["kind"])
def test_every_branch_of_every_kind(config) -> None:
    generator = torch.Generator().manual_seed(1)
    decoder = build_decoder(config).eval().double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    code = torch.randn(8, generator=generator, dtype=torch.float64)
    points = (
        torch.rand(CHUNK + 500, 3, generator=generator, dtype=torch.float64) * 2.6 - 1.3
    )  # also outside of the cube
    given = points.clone()
    for branch in decoder.branches:
        field = decoder.condition(code, branch)
        expected = field(points).detach()
        with torch.no_grad():
            for count in (1, 300, len(points)):
                torch.testing.assert_close(field(points[:count]), expected[:count], rtol=1e-8, atol=1e-10)
        assert field(points[:2]).requires_grad
    assert torch.equal(points, given)


def test_the_fine_branch_is_read_in_its_band_alone() -> None:
    torch.manual_seed(0)
    decoder = Dual(DualConfig(code_size=8, coarse=SMALL, grid_resolution=6, fine_width=16)).eval()
    seen = []
    decoder.fine.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    field, coarse = (decoder.condition(torch.zeros(8), branch) for branch in ("fused", "coarse"))
    with torch.no_grad():
        inside = int((coarse(points).abs() < decoder.config.band).sum())
        field(points)
    assert 0 < inside < 1500
    assert seen == [inside]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reads_of_several_volumes(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(2)
    volumes = torch.randn(3, 6, 6, 6, 5, generator=generator, dtype=dtype)
    points = torch.rand(3, 40, 3, generator=generator, dtype=dtype) * 3 - 1.5
    points[:, 0], points[:, 1], points[:, 2] = 1.0, -1.0, 0.2  # 0.2 is a vertex of the lattice
    expected = read_volumes(volumes, points, repeatable=True)
    with torch.no_grad():
        torch.testing.assert_close(read_volumes(volumes, points), expected)
        torch.testing.assert_close(read_volumes(volumes, points[:, :0]), expected[:, :0])


def test_no_points_have_no_distances() -> None:
    for config in (VolumesConfig(code_size=4), DualConfig(code_size=4, coarse=CoarseMLP(width=8, depth=2))):
        field = build_decoder(config).eval().condition(torch.zeros(4))
        with torch.no_grad():
            assert field(torch.zeros(0, 3)).shape == (0,)
