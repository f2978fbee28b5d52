"""The viewer with a stand-in for viser: contents of the page, its start and its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from latentsdf.cli import main
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.space.viewer import view


class Control:
    """A dropdown, slider or text: a value, and who listens to it."""

    def __init__(self, value: Any = None, options: Any = ()):
        self.value, self.options, self.listeners = value, tuple(options), []

    def on_update(self, listener: Any) -> Any:
        self.listeners.append(listener)
        return listener

    def choose(self, value: Any) -> None:
        self.value = value
        for listener in self.listeners:
            listener(None)


class Server:
    """The part of `viser.ViserServer` that the viewer uses; it is its own `gui` and `scene`."""

    made: list[Server] = []

    def __init__(self, host: str, port: int, label: str, verbose: bool):
        self.gui = self.scene = self
        self.host, self.port, self.stopped = host, port, False
        self.controls: dict[str, Control] = {}
        self.meshes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        Server.made.append(self)

    def add_dropdown(self, label: str, options: Any, *, initial_value: str) -> Control:
        return self.controls.setdefault(label, Control(initial_value, options))

    def add_slider(self, label: str, min: float, max: float, step: float, initial_value: float) -> Control:
        return self.controls.setdefault(label, Control(initial_value))

    def add_markdown(self, content: str) -> Any:
        self.note = Control()
        return self.note

    def add_mesh_simple(self, name: str, vertices: np.ndarray, faces: np.ndarray, **_: Any) -> Any:
        self.meshes[name] = vertices, faces
        handle = Control()
        handle.remove = lambda: self.meshes.pop(name)  # type: ignore[attr-defined]
        return handle

    def set_up_direction(self, direction: str) -> None:
        assert direction == "+z"

    def get_port(self) -> int:
        return self.port + 1

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """The servers started while `Server` stands in for viser."""
    fake: Any = ModuleType("viser")
    fake.ViserServer = Server
    monkeypatch.setitem(sys.modules, "viser", fake)
    monkeypatch.setattr(Server, "made", [])
    return Server.made


def ctrl_c(_: float) -> None:
    raise KeyboardInterrupt


def test_the_page_follows_its_controls(servers: list[Server], space_path: Path) -> None:
    space = load(space_path)
    told: list[str] = []
    server = view(space, port=9000, block=False, on_ready=told.append)
    assert servers == [server]
    assert told == [f"{space_path.name}: 9 shapes at http://127.0.0.1:9001 (Ctrl-C ends)"]
    assert server.controls["from"].options == server.controls["to"].options == space.names
    assert "nearest by record:\n\n- `ball/0` 0." in server.note.content
    ball, faces = server.meshes["/shape"]
    assert np.linalg.norm(ball, axis=1).mean() == pytest.approx(1 / 1.03, abs=0.1)
    server.controls["resolution"].choose("32")
    assert len(server.meshes["/shape"][1]) < len(faces) / 2
    server.controls["to"].choose("ring/2")
    server.controls["t"].choose(1.0)
    assert "nearest by record:\n\n- `ring/2` 0." in server.note.content
    assert np.abs(server.meshes["/shape"][0][:, 2]).max() < 0.6
    assert not server.stopped


def test_a_field_without_a_surface_leaves_a_note(
    servers: list[Server], space_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = view(load(space_path), block=False)
    monkeypatch.setattr(
        "latentsdf.space.viewer.extract_mesh", lambda *_, **__: (_ for _ in ()).throw(ValueError("none"))
    )
    server.controls["t"].choose(0.5)
    assert server.meshes == {}
    assert server.note.content.startswith("no surface here")
    server.controls["t"].choose(0.6)


def test_ctrl_c_stops_the_server(
    servers: list[Server], space_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "sleep", ctrl_c)
    assert main(["view", str(space_path), "--port", "9000"]) == 0
    assert servers[0].stopped
    assert "http://127.0.0.1:9001" in capsys.readouterr().out.splitlines()[0]


def test_what_cannot_be_viewed_is_one_line(
    space_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="port lies from 1 to 65535, got 70000"):
        view(load(space_path), port=70_000)
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(ImportError, match=r"^the viewer needs viser: pip install 'latentsdf\[view\]'$"):
        view(load(space_path))
    assert main(["view", str(space_path)]) == 2
    assert capsys.readouterr().err == "latentsdf view: the viewer needs viser: pip install 'latentsdf[view]'\n"


def test_an_empty_space_makes_no_page(servers: list[Server], space_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no shapes"):
        view(LatentSpace(load(space_path).decoder), block=False)
    assert servers == []
