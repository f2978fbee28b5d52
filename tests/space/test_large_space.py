"""Spaces whose rows are mapped and read when they are asked for, and what is added to them."""

from __future__ import annotations

import contextlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from latentsdf.core.frame import Frame
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import Volumes, VolumesConfig
from latentsdf.space import stored_rows, stored_shapes
from latentsdf.space.array_stream import pack_arrays, unpack_arrays
from latentsdf.space.code_format import CodeFormat
from latentsdf.space.row_places import RowPlaces
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, load, save

COUNT = 600


def made(count: int = COUNT, seed: int = 0) -> LatentSpace:
    """A space of drawn shapes, every other one turned and with a search record."""
    generator = torch.Generator().manual_seed(seed)
    decoder = Volumes(VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(8,), channels=(2,), width=8)))
    turn, record = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.zeros(704, np.int8)
    record[:176] = np.arange(176) % 7 - 3
    shapes = [
        Shape(
            f"part/{row}",
            torch.randn(8, generator=generator),
            Frame(turn if row % 2 else np.eye(3), 1.0 + row, np.ones(3) * row),
            decoder,
            {"source": f"{row}.stl"},
            record=record if row % 2 else None,
        )
        for row in range(count)
    ]
    return LatentSpace(decoder, shapes)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count even small spaces as large."""
    for module in (stored_rows, stored_shapes):
        monkeypatch.setattr(module, "AT_ONCE", 10)


def check(space: LatentSpace, expected: LatentSpace, tolerance: float) -> None:
    assert space.names == expected.names
    torch.testing.assert_close(space.codes(), expected.codes(), rtol=0, atol=tolerance)
    for name in expected.names[:: len(expected) // 7]:
        one, other = space[name], expected[name]
        assert torch.equal(one.code, space.codes()[space.names.index(name)])
        np.testing.assert_allclose(one.frame.center, other.frame.center, rtol=1e-6)
        np.testing.assert_array_equal(one.frame.rotation, other.frame.rotation)
        assert one.metadata == other.metadata
        assert (one.record is None) == (other.record is None)
        if one.record is not None and other.record is not None:
            np.testing.assert_array_equal(one.record, other.record)


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("form", ["float32", "int8", "streams"])
def test_a_mapped_space_is_the_one_that_was_saved(form: str, tmp_path: Path) -> None:
    space, path = made(), tmp_path / "space.h5"
    codes = CodeFormat.of(space.codes(), torch.full((8,), 0.02)) if form == "streams" else form
    save(space, path, codes=codes)  # pyright: ignore[reportArgumentType]
    step = {"float32": 0.0, "int8": 0.03, "streams": 0.011}[form]
    again = load(path)
    assert again["part/17"].name == "part/17"  # found before the names are listed
    assert "part/x" not in again
    check(again, space, step)
    fresh = made(3, seed=1)
    new = [replace(fresh[name], name=f"new/{name}") for name in fresh]
    changed = replace(space["part/5"], code=-space["part/5"].code)
    for shape in new:
        append(path, [shape])
        space.add(shape)
    append(path, [changed], replace=True)
    space.add(changed, replace=True)
    check(load(path), space, step)
    assert load(path)["new/part/1"].metadata == {"source": "1.stl"}
    copy = load(path)
    copy.add(replace(new[0], name="last"))
    copy.add(replace(new[1], name="part/9"), replace=True)
    for item in (replace(new[0], name="last"), replace(new[1], name="part/9")):
        space.add(item, replace=True)
    check(copy, space, step)
    save(copy, path)
    check(load(path), space, 2 * step)


@pytest.mark.usefixtures("mapped")
def test_a_shape_is_made_once_and_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(made(), path)
    space, first = load(path), load(path)["part/500"]
    assert space["part/3"] is space["part/3"]
    space["part/3"].metadata  # noqa: B018
    save(made(20, seed=3), path)
    assert torch.equal(space["part/500"].code, first.code)
    assert len(space) == len(space.codes()) == COUNT
    path.unlink()
    assert space["part/501"].frame.scale == 502.0


@pytest.mark.usefixtures("mapped")
def test_damage_is_named_when_the_shape_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(made(), path)
    with h5py.File(path, "r+") as file:
        codes = np.array(file["shapes/code"])
        codes[300] = np.nan
        file["shapes/code"][...] = codes  # pyright: ignore[reportIndexIssue]
    space = load(path)
    assert space["part/1"].code.isfinite().all()
    with pytest.raises(ValueError, match=r"space\.h5 is a damaged .*: the code of 'part/300' is not finite"):
        _ = space["part/299"]


@pytest.mark.usefixtures("mapped")
def test_whole_records_are_read_without_shapes(tmp_path: Path) -> None:
    space, path = made(), tmp_path / "space.h5"
    save(space, path)
    again = load(path)
    again.add(replace(space["part/1"], record=None), replace=True)
    known, records = again.whole_records()
    assert known.tolist() == [row % 2 == 1 and row != 1 for row in range(COUNT)]
    record = space["part/3"].record
    assert record is not None
    assert (records[3] == record[:128]).all()
    assert not records[~known].any()


def test_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(made(5), path)
    first = made(5)["part/0"]

    def add(number: int) -> None:
        append(path, [replace(first, name=f"new/{number}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(24)))
    assert sorted(load(path).names[5:]) == sorted(f"new/{number}" for number in range(24))
    assert [item.name for item in tmp_path.iterdir()] == ["space.h5"]


def test_names_in_one_call_differ_unless_they_replace(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    save(made(5), path)
    one = replace(made(5)["part/0"], name="new")
    with pytest.raises(ValueError, match="already holds a shape named 'new'"):
        append(path, [one, one])
    append(path, [one, replace(one, code=one.code + 1)], replace=True)
    assert torch.equal(load(path)["new"].code, one.code + 1)


def test_places_of_rows() -> None:
    places = RowPlaces(5, [[1, 5, 6], [6, 2]])
    assert [places[row] for row in range(len(places))] == [(0, 0), (1, 0), (2, 1), (0, 3), (0, 4), (1, 1), (2, 0)]
    assert places.pieces() == [
        (0, slice(0, 1)),
        (1, slice(0, 1)),
        (2, slice(1, 2)),
        (0, slice(3, 5)),
        (1, slice(1, 2)),
        (2, slice(0, 1)),
    ]
    assert RowPlaces(0).pieces() == []
    with pytest.raises(ValueError, match="row 7 was added"):
        RowPlaces(5, [[5, 7]])


def test_arrays_survive_their_stream_and_damage_is_an_error() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.uint8), "c": np.array([3], "<u4")}
    packed = pack_arrays(arrays)
    again = unpack_arrays(packed)
    assert list(again) == list(arrays)
    assert all(again[key].dtype == arrays[key].dtype and (again[key] == arrays[key]).all() for key in arrays)
    random = np.random.default_rng(0)
    messages = []
    for _ in range(300):
        damaged = bytearray(zlib.decompress(packed))
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        with contextlib.suppress(ValueError):
            unpack_arrays(zlib.compress(bytes(damaged)))
            messages.append("a valid stream of other numbers")
    assert 0 < len(messages) < 150
    with pytest.raises(ValueError, match="damaged"):
        unpack_arrays(packed[:-5])
