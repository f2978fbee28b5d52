"""Browser viewer of a latent space: interpolations between two shapes, and their nearest neighbours."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import trimesh

from ..mesh.isosurface import extract_mesh
from .index import Index
from .shape import Shape
from .space import LatentSpace

RESOLUTIONS = (32, 64, 96, 128, 192, 256)
"""Lattice cells per axis that the page offers."""

_HOST = "127.0.0.1"
_COLOR = (115, 158, 217)
_NEAREST = 5


def view(
    space: LatentSpace,
    *,
    port: int = 8080,
    block: bool = True,
    on_ready: Callable[[str], None] | None = None,
) -> Any:
    """Serve a page that shows a space, on this machine only.

    Shapes are drawn in the unit frame with z up. The surface follows the controls: two names, the fraction t between
    them, and the resolution of the mesh.

    Args:
        space: whose shapes are shown.
        port: of the page; the next free one where it is taken.
        block: True returns at Ctrl-C, when the page has ended; False returns at once.
        on_ready: called with a line that holds the address; the line is logged in any case.

    Returns:
        The viser server, whose `stop()` ends it; None where it has ended.

    Raises:
        ImportError: viser is not installed.
        ValueError: the space holds no shapes, or there is no such port.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"a port lies from 1 to 65535, got {port}")
    try:
        viser: Any = importlib.import_module("viser")
    except ImportError as error:
        raise ImportError("the viewer needs viser: pip install 'latentsdf[view]'") from error
    index = Index(space)
    with contextlib.redirect_stdout(sys.stderr):  # viser greets on standard output, verbose or not
        server = viser.ViserServer(host=_HOST, port=port, label="latentsdf", verbose=False)
    try:
        page = _Page(server, space, index)
        page.draw()
        line = f"{space.source}: {len(space)} shapes at http://{_HOST}:{server.get_port()} (Ctrl-C ends)"
        logging.getLogger(__name__).info(line)
        if on_ready is not None:
            on_ready(line)
        while block:
            time.sleep(1.0)
    except BaseException as error:
        with contextlib.redirect_stdout(sys.stderr):
            server.stop()
        if isinstance(error, KeyboardInterrupt):
            return None
        raise
    return server


class _Page:
    """The controls of one page and the mesh that follows them."""

    def __init__(self, server: Any, space: LatentSpace, index: Index):
        self.space, self.index, self.scene = space, index, server.scene
        names = index.names
        self.scene.set_up_direction("+z")
        self.controls = {
            "a": server.gui.add_dropdown("from", names, initial_value=names[0]),
            "b": server.gui.add_dropdown("to", names, initial_value=names[min(1, len(names) - 1)]),
            "t": server.gui.add_slider("t", min=0.0, max=1.0, step=0.01, initial_value=0.0),
            "resolution": server.gui.add_dropdown("resolution", [str(n) for n in RESOLUTIONS], initial_value="64"),
        }
        self.note = server.gui.add_markdown("")
        self.surface: Any = None
        self.requests = 0
        self.lock = threading.Lock()
        for control in self.controls.values():
            control.on_update(self.draw)

    def draw(self, event: Any = None) -> None:
        """Draw the state of the controls; of several waiting requests only the last one is drawn."""
        self.requests += 1
        request = self.requests
        with self.lock:
            if request != self.requests:
                return
            state = {name: control.value for name, control in self.controls.items()}
            shape, surface, lines = _interpolated(self.space, state)
            query = shape if self.index.metric == "code" else surface
            if query is not None:
                lines += ["", f"nearest by {self.index.metric}:", ""]
                lines += [f"- `{match.name}` {match.distance:.4f}" for match in self.index.search(query, k=_NEAREST)]
            if surface is None:
                if self.surface is not None:
                    self.surface.remove()
                self.surface = None
            else:
                vertices = np.asarray(surface.vertices, dtype=np.float32)
                faces = np.asarray(surface.faces, dtype=np.uint32)
                self.surface = self.scene.add_mesh_simple("/shape", vertices, faces, color=_COLOR, side="double")
            self.note.content = "\n".join(lines)


def _interpolated(space: LatentSpace, state: Mapping[str, Any]) -> tuple[Shape, trimesh.Trimesh | None, list[str]]:
    """The shape between two names, its surface in the unit frame where it has one, and lines of text about it."""
    shape = space.interpolate(state["a"], state["b"], float(state["t"]))
    try:
        surface = extract_mesh(shape.sdf, int(state["resolution"]), like=shape.code)
    except ValueError:
        return shape, None, ["no surface here"]
    return shape, surface, [f"{len(surface.faces):,} faces"]
