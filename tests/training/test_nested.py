"""Nested codes: a space trained for short codes can be read at them, and the shorter prefix is the rougher shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY

from latentsdf.cli import main
from latentsdf.dataset.dataset import Dataset
from latentsdf.space.index import Index
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.training.config import config_from_dict, config_to_dict
from latentsdf.training.loop import train

NESTED = replace(TINY, nested=(2, 4))


@pytest.fixture(scope="module")
def nested_path(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nested") / "nested.h5"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("latentsdf.training.batch_sampler.NESTING", 0.5)
        train(dataset, NESTED, path=path, steps=500)
    return path


def error(space: LatentSpace, dataset: Dataset, size: int) -> float:
    """Mean distance error of all shapes, read by the first numbers of their codes."""
    random = torch.Generator().manual_seed(0)
    points, distances = dataset.sample(range(len(dataset)), {"near": 1000}, random)
    errors = [
        (space[name].truncated(size).sdf(p) - d).abs().mean()
        for name, p, d in zip(dataset.names, points, distances, strict=True)
    ]
    return float(torch.stack(errors).mean())


@pytest.mark.slow
def test_prefixes_are_ordered_and_worth_their_training(nested_path: Path, space_path: Path, dataset: Dataset) -> None:
    nested, plain = load(nested_path), load(space_path)
    assert nested.prefix_sizes == (2, 4)
    assert plain.prefix_sizes == ()
    errors = [error(nested, dataset, size) for size in (2, 4, 8)]
    assert errors[0] > errors[2]
    assert errors[1] > 0.9 * errors[2]
    for size in (2, 4):
        assert error(nested, dataset, size) < 0.7 * error(plain, dataset, size)


def test_the_setting_is_checked_and_stored() -> None:
    assert config_from_dict(config_to_dict(NESTED)) == NESTED
    for wrong in ((8,), (0,)):
        with pytest.raises(ValueError, match="between 0 and the code size 8"):
            replace(TINY, nested=wrong)
    old = {name: value for name, value in config_to_dict(TINY).items() if name != "nested"}
    assert config_from_dict(old).nested == ()


@pytest.mark.slow
def test_a_shortened_shape_is_the_shape_with_a_zero_tail(nested_path: Path) -> None:
    shape = next(iter(load(nested_path).values()))
    short = shape.truncated(3)
    assert torch.equal(short.code, torch.cat([shape.code[:3], torch.zeros(5)]))
    assert torch.equal(shape.truncated(8).code, shape.code)
    with pytest.raises(ValueError, match="no prefix of 9; give 1 to 8"):
        shape.truncated(9)


@pytest.mark.slow
def test_the_command_line_reads_short_codes(
    nested_path: Path, space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "box.ply"
    arguments = ["mesh", str(nested_path), "box/1", "-o", str(out), "--resolution", "32", "--quiet", "--code-size"]
    assert main([*arguments, "4"]) == 0
    short = out.read_bytes()
    assert main([*arguments, "8"]) == 0
    assert out.read_bytes() != short
    assert main([*arguments, "5"]) == 2
    assert "not trained to be read at 5 of 8 numbers; it can be at 2, 4, 8" in capsys.readouterr().err
    arguments[1] = str(space_path)
    assert main([*arguments, "4"]) == 2
    assert "it can be at 8" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_by_prefix_ranks_by_the_whole_code(nested_path: Path) -> None:
    space = load(nested_path)
    for name in space:
        whole, short = Index(space, "code").search(name, k=3), Index(space, prefix=2).search(name, k=3)
        assert [match.name for match in short] == [match.name for match in whole]  # 3 * 20 > 9: nothing is left out
        assert [match.distance for match in short] == pytest.approx([match.distance for match in whole], abs=1e-5)
    with pytest.raises(ValueError, match="no prefix of 9"):
        Index(space, prefix=9)
    with pytest.raises(ValueError, match="no prefix of 0"):
        Index(space, prefix=0)
