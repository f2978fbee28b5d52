"""Weights stored as streams: exact round trips through a file, its version, damage; precision chosen by training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import Volumes, VolumesConfig
from latentsdf.space.file_info import space_info
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save
from latentsdf.space.weight_format import WeightSteps
from latentsdf.training.code_precision import field_error
from latentsdf.training.code_refit import refitted_codes
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config
from latentsdf.training.weight_precision import RISE, SAMPLES, stored_weights

STEPS = WeightSteps(torch.tensor([0.5, 0.25, 1e-3]), torch.tensor([0, 1, -3, 4], dtype=torch.int8))


def test_steps_are_products_of_rows_and_powers_of_the_root_of_two() -> None:
    expected = torch.tensor([0.5, 0.25, 1e-3])[:, None] * 2.0 ** (torch.tensor([0.0, 1.0, -3.0, 4.0]) / 2)
    torch.testing.assert_close(STEPS.table(), expected)


def test_rounding_is_to_the_nearest_step_and_happens_once() -> None:
    weights = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0))
    rounded = STEPS.rounded(weights)
    assert ((rounded - weights).flatten(1).abs() <= 0.5001 * STEPS.table()).all()
    assert torch.equal(STEPS.rounded(rounded), rounded)
    assert torch.equal(STEPS.unpack(STEPS.pack(weights), weights.shape), rounded)


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished space whose volumes are large enough for streams."""
    path = tmp_path_factory.mktemp("streams") / "space.h5"
    decoder = VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(10,), channels=(2,), width=16))
    config = replace(named_config(), decoder=decoder, schedule_steps=300, points_per_shape=256)
    train(dataset, config, path=path, steps=300)
    return path


def test_a_trained_space_keeps_its_weights_to_the_bit_when_it_is_stored_again(trained: Path, tmp_path: Path) -> None:
    first = load(trained)
    save(first, tmp_path / "again.h5")
    again = load(tmp_path / "again.h5")
    for name, tensor in first.decoder.state_dict().items():
        assert torch.equal(tensor, again.decoder.state_dict()[name]), name
    assert torch.equal(first.codes(), again.codes())
    file: Any
    with h5py.File(trained) as file:
        assert file.attrs["version"] == 7
        assert file["decoder/field.basis.0"].dtype == np.uint8
    info = space_info(trained)
    assert info.parameters == sum(tensor.numel() for tensor in first.decoder.state_dict().values())
    assert info.sizes.decoder < info.parameters


def test_damaged_weights_are_an_error(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    for change in ("stream", "shape", "rows"):
        path.write_bytes(trained.read_bytes())
        file: Any
        with h5py.File(path, "a") as file:
            item = file["decoder/field.basis.0"]
            if change == "stream":
                item[len(item) // 2 :] = 0
            elif change == "shape":
                item.attrs["shape"] = np.array([8, 1000])
            else:
                del file["decoder/field.basis.0.rows"]
        with pytest.raises(ValueError, match="damaged"):
            load(path)


def test_the_error_of_rounded_weights_is_within_the_rise(dataset: Dataset, trained: Path) -> None:
    space = load(trained)
    stored = stored_weights(space.decoder, space.codes(), dataset, seed=0)
    points, distances = dataset.sample(torch.arange(len(dataset)), SAMPLES, torch.Generator().manual_seed(7))
    before = field_error(space.decoder, space.codes(), points, distances)
    after = field_error(stored.decoder, space.codes(), points, distances)
    assert after < (1 + 2 * RISE) * before
    basis = stored.decoder.state_dict()["field.basis.0"]
    assert basis.count_nonzero() > 0
    assert not torch.equal(basis, space.decoder.state_dict()["field.basis.0"])


def test_a_small_decoder_has_nothing_to_round(dataset: Dataset) -> None:
    decoder = Volumes(VolumesConfig(code_size=4, volumes=CoarseVolumes(resolutions=(4,), channels=(1,), width=8)))
    assert stored_weights(decoder, torch.zeros(len(dataset), 4), dataset, seed=0).steps == {}


def test_refitted_codes_come_closer_and_are_the_same_again(dataset: Dataset, trained: Path) -> None:
    space = load(trained)
    off = space.codes() + 0.2 * space.codes().std() * torch.randn(
        space.codes().shape, generator=torch.Generator().manual_seed(1)
    )
    parts: list[float] = []
    refitted = refitted_codes(space.decoder, off, dataset, 0, parts.append)
    points, distances = dataset.sample(torch.arange(len(dataset)), SAMPLES, torch.Generator().manual_seed(7))
    errors = [field_error(space.decoder, codes, points, distances) for codes in (off, refitted)]
    assert errors[1] < errors[0]
    assert parts[-1] == 1.0
    assert torch.equal(refitted, refitted_codes(space.decoder, off, dataset, 0))


def test_a_space_made_in_memory_has_no_streams_of_its_own(trained: Path) -> None:
    assert LatentSpace(load(trained).decoder).weight_format is None
    assert load(trained).weight_format is not None
