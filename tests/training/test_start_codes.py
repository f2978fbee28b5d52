"""Codes of a collection in a start space: fields stay when axes turn, and fits are closer than neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import VolumesConfig
from latentsdf.training.initialization import fresh_decoder, initial_state
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config
from latentsdf.training.start_codes import fitted_codes, nearest_codes, ordered_codes, suited_codes
from latentsdf.training.warm_start import base_space

SMALL = VolumesConfig(code_size=12, volumes=CoarseVolumes(resolutions=(4, 6), channels=(2, 1), width=16, depth=2))


def test_turned_codes_have_the_fields_that_they_had(dataset: Dataset) -> None:
    decoder = fresh_decoder(replace(named_config(), decoder=SMALL))
    codes = torch.randn(len(dataset), 12, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -3, 12)
    turned, directions = suited_codes(codes, dataset)
    again = decoder.restricted(directions)
    assert again is not None
    points = torch.rand(len(dataset), 50, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.testing.assert_close(again(turned, points), decoder(codes, points), rtol=1e-3, atol=1e-4)
    deviations = turned.square().mean(0).sqrt()
    assert float(deviations[: len(dataset)].max()) < 2.0
    assert (deviations[: len(dataset) - 1] > 0.2).all()  # at least that of the noise of fresh codes, 12^-1/2


def test_fewer_numbers_keep_the_axes_that_fields_depend_on(dataset: Dataset) -> None:
    decoder = fresh_decoder(replace(named_config(), decoder=SMALL))
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(len(dataset), 12, generator=generator)
    with torch.no_grad():
        for name, weight in decoder.named_parameters():  # fields depend on three of the numbers, hardly on others
            if name.endswith(("basis.0", "basis.1", "warp")):
                weight[3:] *= 1e-3
            elif name.endswith("shift.weight"):
                weight[:, 3:] *= 1e-3
    codes[:, 3:] *= 10.0  # which differ most
    points = torch.rand(len(dataset), 200, 3, generator=generator) * 2 - 1
    turned, directions = ordered_codes(decoder, codes, torch.zeros(0, 12), dataset, 0)
    whole, short = decoder.restricted(directions), decoder.restricted(directions[:3])
    assert whole is not None
    assert short is not None
    with torch.no_grad():
        expected = decoder(codes, points)
        torch.testing.assert_close(whole(turned, points), expected, rtol=1e-3, atol=1e-4)
        error = (short(turned[:, :3], points) - expected).abs().mean()
        _, _, principal = torch.linalg.svd(codes)
        plain = decoder.restricted(principal[:3])
        assert plain is not None
        assert error < 0.2 * (plain(codes @ principal[:3].T, points) - expected).abs().mean()


@pytest.mark.slow
def test_fitted_codes_are_closer_than_those_of_neighbours(dataset: Dataset) -> None:
    base = base_space()
    points, distances = dataset.sample(range(len(dataset)), {"near": 500}, torch.Generator().manual_seed(2))

    def error(codes: torch.Tensor) -> float:
        with torch.no_grad():
            return float((base.decoder(codes, points) - distances).clamp(-0.1, 0.1).abs().mean())

    assert error(fitted_codes(base, base.decoder, dataset, 0)) < 0.5 * error(nearest_codes(base, dataset))


@pytest.mark.slow
def test_a_run_begins_with_the_fields_of_fitted_codes(dataset: Dataset) -> None:
    config = replace(named_config(), start="base", shapes_per_batch=4, points_per_shape=64)
    assert config.suits_codes
    assert [stage.name for stage in config.plan()] == ["volumes"]
    base = base_space()
    decoder, codes = initial_state(dataset, config, base, torch.device("cpu"))
    wanted = fitted_codes(base, base.decoder, dataset, config.seed)
    points = torch.rand(len(dataset), 64, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(decoder(codes.weight, points), base.decoder(wanted, points), rtol=0.02, atol=2e-3)
    assert train(dataset, config, steps=1).code_size == 256


@pytest.mark.slow
def test_a_run_of_shorter_codes_begins_with_the_axes_that_matter_most(dataset: Dataset) -> None:
    config = replace(named_config(code_size=96), start="base", shapes_per_batch=4, points_per_shape=64)
    base = base_space()
    points, distances = dataset.sample(range(len(dataset)), {"near": 500}, torch.Generator().manual_seed(2))
    decoder, codes = initial_state(dataset, config, base, torch.device("cpu"))
    whole = fitted_codes(base, base.decoder, dataset, config.seed)

    def error(fields: torch.Tensor) -> float:
        return float((fields.detach() - distances).clamp(-0.1, 0.1).abs().mean())

    assert codes.weight.shape == (len(dataset), 96)
    assert error(decoder(codes.weight, points)) < 1.5 * error(base.decoder(whole, points))
    assert train(dataset, config, steps=1).code_size == 96
