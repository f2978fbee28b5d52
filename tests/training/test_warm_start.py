"""Warm starts: weights are copied, codes chosen by their fields, and other code sizes fitted in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_DECODER

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder import build_decoder
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save
from latentsdf.training.initialization import initial_state
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config
from latentsdf.training.start_codes import nearest_codes
from latentsdf.training.warm_start import BASES, copy_weights


def test_every_shape_finds_a_code_of_its_class(dataset: Dataset, space_path: Path) -> None:
    space = load(space_path)
    rows = [(space.codes() - code).abs().sum(1).argmin() for code in nearest_codes(space, dataset)]
    assert [space[space.names[int(row)]].class_name for row in rows] == list(dataset.classes)


def test_a_shape_that_the_space_holds_begins_at_its_own_code_if_it_still_fits(
    dataset: Dataset, space_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = load(space_path)
    monkeypatch.setattr("latentsdf.training.warm_start.CANDIDATES", 1)
    assert torch.equal(nearest_codes(space, dataset), space.codes())
    monkeypatch.undo()
    ball, ring = space["ball/0"].code, space["ring/0"].code
    mixed = type(space)(
        space.decoder, [replace(space["ring/0"], code=ball), replace(space["ring/0"], name="new", code=ring)]
    )
    row = dataset.names.index("ring/0")
    assert torch.equal(nearest_codes(mixed, dataset)[row], ring)


def test_a_run_starts_with_the_weights_it_was_given(dataset: Dataset, space_path: Path) -> None:
    space = load(space_path)
    decoder, codes = initial_state(dataset, replace(TINY, start=str(space_path)), space, torch.device("cpu"))
    for name, weights in space.decoder.state_dict().items():
        assert torch.equal(decoder.state_dict()[name], weights), name
    assert torch.equal(codes.weight, nearest_codes(space, dataset))


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 12])
def test_another_code_size_keeps_the_first_numbers(size: int, dataset: Dataset, space_path: Path) -> None:
    space = load(space_path)
    config = replace(TINY, decoder=replace(TINY_DECODER, code_size=size), start=str(space_path))
    decoder, codes = initial_state(dataset, config, space, torch.device("cpu"))
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    common = min(size, 8)
    first = replace(space[dataset.names[0]], code=nearest_codes(space, dataset)[0])
    shape = first.truncated(common)
    torch.testing.assert_close(decoder.condition(codes.weight[0])(points), shape.sdf(points), rtol=1e-4, atol=1e-5)


def test_another_form_is_refused(space_path: Path) -> None:
    other = build_decoder(replace(TINY_DECODER, grid_channels=5))
    with pytest.raises(ValueError, match="dual decoder of another form"):
        copy_weights(other, load(space_path).decoder)


@pytest.mark.slow
def test_a_start_gives_a_better_field_in_the_same_few_steps(dataset: Dataset, space_path: Path) -> None:
    losses = []
    for start in (str(space_path), "random"):
        space = train(dataset, replace(TINY, start=start, schedule_steps=60), steps=60)
        losses.append(space.history["log"][-1]["terms"]["coarse"])
    assert losses[0] < 0.7 * losses[1]


def test_an_empty_space_or_a_missing_file_is_no_start(dataset: Dataset, space_path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere.h5"):
        train(dataset, replace(TINY, start=str(tmp_path / "nowhere.h5")), steps=1)
    space = load(space_path)
    save(type(space)(space.decoder), tmp_path / "empty.h5")
    with pytest.raises(ValueError, match="holds no shapes to start from"):
        train(dataset, replace(TINY, start=str(tmp_path / "empty.h5")), steps=1)


@pytest.mark.parametrize("start", ["base", "file"])
def test_the_start_space_is_read_once(
    start: str, dataset: Dataset, space_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def counted(path: Path) -> LatentSpace:
        loaded.append(Path(path).name)
        return load(path)

    monkeypatch.setattr("latentsdf.training.warm_start.load", counted)
    config = replace(TINY, start=str(space_path), shapes_per_batch=8, points_per_shape=64, rehearsal=0.125)
    if start == "base":
        config = replace(named_config("dual", 8), shapes_per_batch=8, points_per_shape=64)
    assert config.align
    assert config.rehearsal > 0
    path = tmp_path / "space.h5"
    train(dataset, config, path=path, steps=1)
    assert loaded == [BASES["dual"] if start == "base" else space_path.name]
    train(dataset, path=path, resume=True, steps=1)
    assert len(loaded) == 2
