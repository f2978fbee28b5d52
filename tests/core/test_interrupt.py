"""Ctrl-C arrives once, after the block that must not break, and reaches the caller."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trimesh
from conftest import primitive

from latentsdf.core.interrupt import delay_interrupt, poll_interrupt
from latentsdf.mesh.load import load_mesh
from latentsdf.scan.scan import Scan


def test_delayed_interrupt_comes_after_the_block() -> None:
    passed: list[str] = []

    def block() -> None:
        with delay_interrupt():
            signal.raise_signal(signal.SIGINT)
            passed.append("whole")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert passed == ["whole"]


def test_held_inside_a_loop_that_asks_for_it_is_seen_by_the_loop() -> None:
    with poll_interrupt() as interrupted:
        with delay_interrupt():
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
        assert interrupted()


@pytest.mark.parametrize("reader", [load_mesh, Scan.load])
def test_a_library_that_swallows_ctrl_c_does_not_swallow_it(
    reader: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "box.ply"
    primitive("box", 1.0).export(str(path))
    load = trimesh.load

    def swallowing(*arguments: Any, **options: Any) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
            return load(*arguments, **options)
        except BaseException as error:  # what trimesh does in many places
            raise ValueError("string is not a file") from error

    monkeypatch.setattr(trimesh, "load", swallowing)
    with pytest.raises(KeyboardInterrupt):
        reader(path)
