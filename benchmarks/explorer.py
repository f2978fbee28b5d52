"""Times of the explorer's meshes, and size and first drawing of its static page.

    python benchmarks/explorer.py SPACE.h5 OUT.json [--shapes 1000] [--folder PAGE]

Meshes: processor seconds on one thread, medians over 6 shapes of the space, of what a click, a thumbnail, a dragged
morph and a slice take. Page: SPACE.h5 with mixtures of its codes added until it has so many shapes, exported, served by
Python's file server and opened in headless Chromium three times: bytes over the network until the view has drawn
96 cells, milliseconds from the navigation to the first shape, to the first one that is decoded, and to that of a click.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from latentsdf.explorer.field_sections import section_packet
from latentsdf.explorer.pair_morphs import PREVIEW
from latentsdf.explorer.preview_mesh import lattice_mesh, preview_mesh
from latentsdf.explorer.shaded_mesh import mesh_packet
from latentsdf.explorer.static_page import export_page
from latentsdf.explorer.subjects import mix
from latentsdf.space.morph import Morph
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

sys.path.append(str(Path(__file__).parents[1] / "tests" / "explorer"))
DRAWN = "window.explorer && explorer.state.drawn"
RUNS, TIMED = 3, 6


class Silent(SimpleHTTPRequestHandler):
    """A plain file server."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


def seconds(work: Any) -> float:
    """Processor seconds of a call."""
    began = process_time()
    work()
    return process_time() - began


def mesh_times(space: LatentSpace) -> dict[str, float]:
    """Median processor seconds of each kind of mesh."""
    rows = np.linspace(0, len(space) - 1, TIMED).astype(int)
    shapes = [space[space.names[row]] for row in rows]
    found: dict[str, list[float]] = {}

    def note(name: str, work: Any) -> None:
        found.setdefault(name, []).append(seconds(work))

    for shape, other in zip(shapes, [*shapes[1:], shapes[0]], strict=True):
        for name, cells in (("click, 64 cells", 64), ("thumbnail, 32 cells", 32)):
            note(name, lambda shape=shape, cells=cells: mesh_packet(preview_mesh(shape, cells), shape.frame, {}))
        for cells in (96, 160):
            note(f"refined, {cells} cells", lambda shape=shape, c=cells: mesh_packet(shape.mesh(c), shape.frame, {}))
        note("slice", lambda shape=shape: section_packet(shape, 0, 0.0, 112))
        note("mixed codes, 40 cells", lambda a=shape, b=other: preview_mesh(mix([a, b], [0.5, 0.5]), 40))
    for shape, other in list(zip(shapes, shapes[1:], strict=False))[:5]:
        morph = Morph(shape, other, PREVIEW)
        note("morph, registration", lambda morph=morph: morph.step(0.5))
        note("morph, a step", lambda morph=morph, a=shape: lattice_mesh(morph.step(0.3).values, a.frame))
    return {name: median(values) for name, values in found.items()}


def grown(space: LatentSpace, count: int) -> LatentSpace:
    """The space with mixtures of two codes each added until it has so many shapes."""
    random, names = np.random.default_rng(0), space.names
    shapes = list(space.values())[:count]
    while len(shapes) < count:
        a, b = (space[names[row]] for row in random.choice(len(names), 2, replace=False))
        made = mix([a, b], [0.7, 0.3])
        code = made.code if space.code_format is None else space.code_format.rounded(made.code)
        shapes.append(type(made)(f"{a.class_name}/mixed_{len(shapes)}", code, made.frame, made.decoder))
    larger = LatentSpace(space.decoder, shapes, space.history)
    larger.source, larger.code_format, larger.weight_format = space.source, space.code_format, space.weight_format
    return larger


def page_times(folder: Path) -> dict[str, float]:
    """Medians over some openings of a page in a browser."""
    from chromium import Chromium, find_browser

    browser = find_browser()
    if browser is None:
        raise SystemExit("no Chromium or Chrome is installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows: list[dict[str, float]] = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            page = Chromium(browser, Path(place))
            page.open(f"http://127.0.0.1:{server.server_address[1]}/")
            page.wait(DRAWN)
            first = page.run("explorer.state.drawnAt")
            page.wait("explorer.state.drawn.cells >= 64 && explorer.state.decodedAt")
            decoded = page.run("explorer.state.decodedAt")
            loaded = "performance.getEntriesByType('resource').reduce((sum, item) => sum + item.transferSize, 0)"
            sizes = page.run(loaded)
            script = """(async () => { const began = performance.now();
              await explorer.source.mesh({ name: explorer.state.summary.names[7] }, 48);
              return performance.now() - began; })()"""
            rows.append({"first_ms": first, "decoded_ms": decoded, "click_ms": page.run(script), "loaded_bytes": sizes})
            assert not page.messages, page.messages
            page.close()
    server.shutdown()
    return {key: median(row[key] for row in rows) for key in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("out")
    parser.add_argument("--shapes", type=int, default=1000)
    parser.add_argument("--folder", help="keep the page here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = load(options.space)
    result: dict[str, Any] = {"meshes": mesh_times(space)}
    with tempfile.TemporaryDirectory() as place:
        page = export_page(grown(space, options.shapes), options.folder or Path(place) / "page")
        result["page"] = {"shapes": page.shapes, "bytes": page.total_bytes, **page_times(page.folder)}
    Path(options.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
