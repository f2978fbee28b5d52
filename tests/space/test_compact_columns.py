"""Compact columns of a space file: blocks of texts, frames in the precision they need, appends that free nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsdf.core.frame import Frame
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import Volumes, VolumesConfig
from latentsdf.space import store
from latentsdf.space.byte_column import ByteColumn
from latentsdf.space.file_info import space_info
from latentsdf.space.frame_columns import FrameColumn
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, compact, load, save
from latentsdf.space.text_blocks import BLOCK, TextBlocks
from latentsdf.space.weight_format import WeightSteps


def test_texts_lie_in_blocks_and_are_joined_without_opening_whole_ones() -> None:
    expected = [f'gear/{number} \u00e9\n\t"' for number in range(2 * BLOCK + 5)]
    texts = TextBlocks.of(expected)
    assert list(texts) == expected
    assert texts[BLOCK + 1] == expected[BLOCK + 1]
    other = TextBlocks.of(["other"])
    joined = TextBlocks.joined(
        [texts, other], [(0, slice(0, BLOCK + 2)), (1, slice(0, 1)), (0, slice(BLOCK + 3, None))]
    )
    assert list(joined) == [*expected[: BLOCK + 2], "other", *expected[BLOCK + 3 :]]
    assert joined.blocks[0] is not texts.blocks[0]
    assert joined.blocks[0] == texts.blocks[0]
    assert list(TextBlocks.of([])) == []


def test_a_damaged_block_of_texts_is_an_error() -> None:
    blocks = TextBlocks.of(["a", "b"]).blocks
    for damaged in (ByteColumn.of([blocks[0][:-3]]), TextBlocks.of(["a"]).blocks):
        with pytest.raises(ValueError, match="damaged"):
            list(TextBlocks(damaged, 2))
    with pytest.raises(ValueError, match="3 texts lie in 2 blocks"):
        TextBlocks(ByteColumn.of([blocks[0], blocks[0]]), 3)


def test_frames_take_single_precision_where_that_is_enough() -> None:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    near, far = Frame(turn, 2.0, np.array([0.1, 0.2, 0.3])), Frame(np.eye(3), 2.0, np.array([4.5e6 + 0.3, 0.2, 0.3]))
    column, other = FrameColumn.of([near]), FrameColumn.of([far])
    assert (len(column.exact.rows), len(other.exact.rows)) == (0, 1)
    np.testing.assert_allclose(column[0].center, near.center, atol=1e-6)
    joined = FrameColumn.joined([column, other], [(1, slice(0, 1)), (0, slice(0, 1))])
    assert (joined[0].center == far.center).all()
    assert (joined[1].rotation == turn).all()
    again = FrameColumn.of_stored(joined.stored())
    assert (again[1].rotation == turn).all()
    assert (again[0].center == far.center).all()
    with pytest.raises(ValueError, match="do not rise"):
        FrameColumn.of_stored({**joined.stored(), "frame_row": np.array([2], np.uint32)})


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


def test_a_file_that_is_added_to_grows_by_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(_space(300), path)
    first, before = load(path)["part/0"], path.read_bytes()
    for number in range(10):
        append(path, [replace(first, name=f"new/{number}")])
    assert path.read_bytes()[: len(before)] == before
    assert path.stat().st_size < len(before) + 10 * 350
    for _ in range(5):
        append(path, [replace(first, name="new/3")], replace=True)
    compact(path)
    assert path.stat().st_size < len(before) + 1000
    assert len(load(path)) == 310


def test_many_segments_are_made_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "space.h5"
    monkeypatch.setattr(store, "MOST_SEGMENTS", 3)
    save(_space(5), path)
    first, counts = load(path)["part/0"], []
    for number in range(6):
        append(path, [replace(first, name=f"new/{number}")])
        counts.append(space_info(path).segments)
    assert counts == [1, 2, 3, 0, 1, 2]
    assert load(path).names == (*(f"part/{k}" for k in range(5)), *(f"new/{k}" for k in range(6)))
