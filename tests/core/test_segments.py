"""Segments at the end of a file: every state that a killed writer can leave is read as before the write."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from latentsdf.core import segments
from latentsdf.core.segments import Tail, add_segment, read_tail

BASE = b"what was there"


def tail_of(path: Path, newest: int = 1) -> Tail:
    handle = os.open(path, os.O_RDONLY)
    try:
        return read_tail(handle, len(BASE), newest)
    finally:
        os.close(handle)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "file"
    target.write_bytes(BASE)
    add_segment(target, len(BASE), b"first", 1)
    return target


def test_segments_follow_each_other(path: Path) -> None:
    end = tail_of(path).end
    add_segment(path, end, b"", 1)
    assert tail_of(path).payloads == (b"first", b"")
    assert path.read_bytes().startswith(BASE)


def test_a_write_that_stops_anywhere_leaves_what_was_there(path: Path) -> None:
    before = path.read_bytes()
    add_segment(path, len(before), b"second, which is longer", 1)
    after = path.read_bytes()
    state = len(before) + 8
    begun = after[:state] + b"\0" + after[state + 1 :]
    for stop in range(len(before), len(after) + 1):
        # The bytes so far, and the same in a file that a crash of the machine left with zeros at its end.
        for left in (begun[:stop], begun[:stop].ljust(len(after), b"\0")):
            path.write_bytes(left)
            assert tail_of(path) == ((b"first",), len(before))
    add_segment(path, len(before), b"third", 1)
    assert tail_of(path).payloads == (b"first", b"third")
    path.write_bytes(after)
    assert tail_of(path).payloads == (b"first", b"second, which is longer")


def test_damage_to_a_complete_segment_is_an_error(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(BASE), len(whole)):
        if place == len(BASE) + 8:  # the state: such a segment was never complete
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"restore it from a copy|upgrade"):
            tail_of(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="damaged"):
        tail_of(path)


def test_later_versions_and_other_bytes_are_refused(path: Path) -> None:
    end = tail_of(path).end
    add_segment(path, end, b"new", 2)
    with pytest.raises(ValueError, match=r"version 2, this latentsdf reads up to 1; upgrade"):
        tail_of(path)
    assert len(tail_of(path, newest=2).payloads) == 2
    path.write_bytes(BASE + b"x" * 100)
    with pytest.raises(ValueError, match="no rows that were added"):
        tail_of(path)


class Filling(io.FileIO):
    """A file on a disk that takes ten bytes more."""

    room = 10

    def write(self, data: Any) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.room:
            raise OSError(28, "No space left on device")
        done = super().write(bytes(data[: self.room]))
        self.room -= done
        return done


@pytest.mark.parametrize("place", ["os.fsync", "write"])
def test_a_full_disk_takes_nothing_away(place: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    if place == "write":
        monkeypatch.setattr(segments, "open", lambda path, mode, buffering: Filling(path, mode), raising=False)
    else:
        monkeypatch.setattr(place, full)
    with pytest.raises(OSError, match="No space left on device; the file that was there is unchanged"):
        add_segment(path, len(before), b"second", 1)
    assert path.read_bytes() == before
