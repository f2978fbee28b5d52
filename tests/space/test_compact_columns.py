"""Compact columns of a space file: blocks of texts, frames in the precision they need, appends that free nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from latentsdf.core.frame import Frame
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import Volumes, VolumesConfig
from latentsdf.space.file_info import space_info
from latentsdf.space.frame_columns import create_frames, read_frames, write_frames
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, load, save
from latentsdf.space.text_columns import BLOCK, create_texts, read_texts, write_texts
from latentsdf.space.weight_format import WeightSteps

Group = Any


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        yield file.create_group("shapes")


@pytest.mark.parametrize("compact", [False, True])
def test_texts_are_written_appended_to_and_replaced(group: Group, compact: bool) -> None:
    create_texts(group, compact)
    expected = [f'gear/{number} \u00e9\n\t"' for number in range(2 * BLOCK + 5)]
    write_texts(group, "name", 0, expected[: BLOCK + 2])
    write_texts(group, "name", BLOCK + 2, expected[BLOCK + 2 :])
    assert read_texts(group, "name") == expected
    expected[3] = expected[BLOCK + 1] = "other"
    write_texts(group, "name", 3, ["other"])
    write_texts(group, "name", BLOCK + 1, ["other"])
    assert read_texts(group, "name") == expected
    assert read_texts(group, "info") == []


def test_a_damaged_block_of_texts_is_an_error(group: Group) -> None:
    create_texts(group, compact=True)
    write_texts(group, "name", 0, ["a", "b"])
    group["name_blocks"][0] = group["name_blocks"][0][:-3]
    with pytest.raises(ValueError, match="damaged"):
        read_texts(group, "name")


def test_frames_take_single_precision_where_that_is_enough(group: Group) -> None:
    create_frames(group, compact=True)
    near = Frame(np.eye(3), 2.0, np.array([0.1, 0.2, 0.3]))
    write_frames(group, 0, [near])
    assert group["center"].dtype == np.float32
    np.testing.assert_allclose(read_frames(group)[0].center, near.center, atol=1e-6)
    far = Frame(np.eye(3), 2.0, np.array([4.5e6 + 0.3, 0.2, 0.3]))
    write_frames(group, 1, [far])
    assert group["center"].dtype == np.float64
    assert (read_frames(group)[1].center == far.center).all()
    assert group["scale"].dtype == np.float32


def _space(count: int) -> LatentSpace:
    generator = torch.Generator().manual_seed(0)
    decoder = Volumes(VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(8,), channels=(2,), width=8)))
    shapes = [
        Shape(f"part/{k}", torch.randn(8, generator=generator), Frame.identity(), decoder, {"source": f"part/{k}.stl"})
        for k in range(count)
    ]
    space = LatentSpace(decoder, shapes)
    space.weight_format = {"field.basis.0": WeightSteps(torch.full((8,), 0.01), torch.zeros(1024, dtype=torch.int8))}
    return space


def test_texts_and_frames_of_a_compact_file_take_few_bytes(tmp_path: Path) -> None:
    save(_space(500), tmp_path / "space.h5")
    sizes = space_info(tmp_path / "space.h5").sizes
    assert sizes.texts < 15 * 500
    assert sizes.frames < 20 * 500
    assert load(tmp_path / "space.h5").names == _space(500).names


def test_a_file_that_is_appended_to_grows_by_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(_space(300), path)
    first = load(path)["part/0"]
    before = path.stat().st_size
    for number in range(10):
        append(path, [replace(first, name=f"new/{number}")])
    grown = path.stat().st_size - before
    for _ in range(5):
        append(path, [replace(first, name="new/3")], replace=True)
    assert grown < 10 * 200
    assert path.stat().st_size <= before + grown + 1000
    assert len(load(path)) == 310
