"""The base spaces that come with the library: small, usable at once, warm starts of training."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest
import torch

from latentsdf.dataset.dataset import Dataset
from latentsdf.space.space import LatentSpace
from latentsdf.training.config import config_to_dict
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config
from latentsdf.training.start_codes import nearest_codes
from latentsdf.training.warm_start import BASES, aligned_rotations, base_space


@pytest.fixture(scope="module")
def base() -> LatentSpace:
    return base_space("dual")


def test_that_of_the_default_decoder_is_under_two_megabytes_and_whole() -> None:
    base = base_space()
    assert len(files("latentsdf.training").joinpath(BASES["volumes"]).read_bytes()) < 2_000_000
    assert base.decoder.config == named_config().decoder
    assert len(base) == 500
    for name in base.names[::100]:
        assert base[name].mesh(48).is_watertight, name


def test_there_is_none_of_other_decoders() -> None:
    with pytest.raises(ValueError, match="no base space of the deepsdf decoder"):
        base_space("deepsdf")


def test_it_is_under_two_megabytes_and_of_the_default_form(base: LatentSpace) -> None:
    assert len(files("latentsdf.training").joinpath(BASES["dual"]).read_bytes()) < 2_000_000
    assert base.decoder.config == named_config("dual", 64).decoder
    assert base.prefix_sizes == named_config("dual", 64).nested
    assert len(base) == 1000


def test_its_codes_are_whole_shapes(base: LatentSpace) -> None:
    for name in base.names[::128]:
        surface = base[name].mesh(48)
        assert surface.is_watertight, name
        assert base[name].truncated(16).mesh(32).volume > 0, name


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 80])
def test_training_starts_from_it_at_any_code_size(size: int, dataset: Dataset, base: LatentSpace) -> None:
    config = replace(named_config("dual", size), shapes_per_batch=2, points_per_shape=64)
    assert config.start == "base"
    space = train(dataset, config, steps=1)
    assert space.code_size == size
    assert space.history["config"] == config_to_dict(config)
    common = min(size, 64)
    rotations = aligned_rotations(dataset, config, base)
    assert rotations is not None
    expected = nearest_codes(base, dataset.rotated(rotations))[:, :common]
    assert float((space.codes()[:, :common] - expected).abs().max()) < 0.05  # one step of the codes alone


def test_other_decoders_start_from_nothing() -> None:
    assert named_config("dual", 64, joint=True).start == "components"
    for name in ("dual-mlp", "deepsdf", "linear"):
        assert named_config(name, 64).start in ("components", "random")


@pytest.mark.slow
def test_the_base_beats_a_fresh_start(dataset: Dataset) -> None:
    losses = {}
    for start in ("base", "components"):
        config = replace(named_config("dual", 64), start=start, schedule_steps=40, points_per_shape=256)
        log = train(dataset, config, steps=40).history["log"]
        losses[start] = torch.tensor([row["terms"]["coarse"] for row in log[-5:]]).mean()
    assert losses["base"] < losses["components"]
