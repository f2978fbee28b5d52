"""`latentsdf demo`: a collection of real shapes with the space that comes with the library."""

from __future__ import annotations

import contextlib
import json
import os
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from ..core.hdf5 import atomic_replace
from ..core.processes import LostTask, core_count, run_pool
from ..dataset.real_shapes import RealShape, real_shapes
from ..plot.sheet import class_colours
from ..space.file_info import space_info
from ..space.shape import Shape
from ..space.space import LatentSpace
from ..space.store import load, save
from ..training.warm_start import BASES
from .arguments import Result, write_mesh
from .demo_parts import run_parts
from .demo_sheet import CELL, DemoPictures, draw_demo
from .demo_task import LIMITS, DemoShape, DemoTask, encode_and_draw
from .progress import Bar, say

TOLERANCE = 0.01
"""Distance, in the unit frame, at which the F-score of each shape must reach .95."""
BATCH = 4
"""Meshes that a worker encodes together."""
ENCODING = 0.6
"""Share of `--minutes` after which no more shapes are encoded."""


def demo_real(options: Namespace) -> Result:
    """Run `latentsdf demo` on the real shapes: files, a contact sheet and a report in a folder.

    Raises:
        ValueError, OSError: of any of its parts.
        KeyboardInterrupt: Ctrl-C; the shapes that are encoded by then stay in the folder, as a space.
    """
    out, began = Path(options.out), monotonic()
    out.mkdir(parents=True, exist_ok=True)
    shapes = {shape.name: shape for shape in real_shapes(options.shapes)}
    _write_meshes(out, list(shapes.values()))
    with _base_file() as base:
        space, found, failed = _encode(base, out, shapes, options, began)
        parts = run_parts(base, out, options.shapes, options.seed, options.quiet)
    steps: list[tuple[str, trimesh.Trimesh | None]] = parts["morph"]
    (searched, moved), (copies, pairs) = parts["search"], parts["duplicates"]
    (scanned, scan_cells), (sizes, ladders) = parts["scan"], parts["bytes"]
    sheet = out / "contact_sheet.png"
    scores = {item.name: item.f_score for item in found}
    info = space_info(out / "space.h5")
    report: Result = {
        "collection": "real",
        "shapes": len(space),
        "skipped": failed,
        "tolerance": TOLERANCE,
        "f_scores": scores,
        "mean_f_0.01": float(np.mean(list(scores.values()))),
        "least_f_0.01": min(scores.values()),
        "code_bytes": info.sizes.code,
        "bytes": sizes,
        "search": searched,
        "duplicates": copies,
        "morph": [name for name, _ in steps[:1]] + [name for name, _ in steps[-1:]],
        "scan": scanned,
        "contact_sheet": str(sheet),
        "space": str(out / "space.h5"),
    }
    pictures = DemoPictures(found, class_colours(list(space)), moved, pairs, steps, scan_cells, ladders)
    with Bar("contact sheet", options.quiet) as bar:
        image = draw_demo(pictures, report, lambda share: bar.update(share))
    _save_picture(image, sheet)
    used = os.times()
    report["seconds"] = monotonic() - began
    report["processor_seconds"] = used.user + used.system + used.children_user + used.children_system
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _tell(report, out)
    return report


def _write_meshes(out: Path, shapes: list[RealShape]) -> None:
    """Write the meshes, and where they are from."""
    for shape in shapes:
        write_mesh(shape.mesh, out / "meshes" / f"{shape.name}.ply")
    lines = [f"{shape.name}: {shape.source}; {shape.author}; {shape.licence}; {shape.change}" for shape in shapes]
    (out / "meshes" / "SOURCES.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _base_file() -> Iterator[Path]:
    with as_file(files("latentsdf.training") / BASES["dual"]) as path:
        yield path


def _encode(
    base: Path, out: Path, shapes: dict[str, RealShape], options: Namespace, began: float
) -> tuple[LatentSpace, list[DemoShape], list[dict[str, str]]]:
    """A space of the shapes, in the order of the collection, which is written too; and the shapes without a code."""
    colours, names = class_colours(list(shapes)), list(shapes)
    tasks = []
    for start in range(0, len(names), BATCH):
        meshes = [(name, out / "meshes" / f"{name}.ply", colours[name.split("/")[0]]) for name in names[start:][:BATCH]]
        tasks.append(DemoTask(base, tuple(meshes), TOLERANCE, CELL, options.seed))
    found: dict[str, DemoShape] = {}
    failed: list[dict[str, str]] = []
    space = load(base)
    own = LatentSpace(space.decoder)
    own.code_format, own.weight_format = space.code_format, space.weight_format
    try:
        with (
            Bar("encode", options.quiet, len(names)) as bar,
            contextlib.closing(run_pool(encode_and_draw, tasks, core_count(), LIMITS)) as pool,
        ):
            for task, answer in pool:
                if isinstance(answer, LostTask):
                    failed += [{"name": name, "reason": answer.reason} for name, _, _ in task.meshes]
                    continue
                for item in answer:
                    if isinstance(item.shape, str):
                        failed.append({"name": item.name, "reason": item.shape})
                    else:
                        found[item.name] = item
                bar.update(len(found) + len(failed), task.meshes[-1][0])
                if options.minutes is not None and monotonic() - began > 60.0 * ENCODING * options.minutes:
                    bar.line(f"{len(found)} of {len(names)} shapes encoded in {ENCODING * options.minutes:g} minutes")
                    break
    finally:
        kept = [found[name] for name in names if name in found]
        for item in kept:
            assert isinstance(item.shape, Shape)
            own.add(replace(item.shape, decoder=space.decoder))
        if kept:
            # Codes are rounded for the base's streams; where it has none, another unit of eight bits would move them.
            save(own, out / "space.h5", precision=own.weight_format or "int8", codes=own.code_format or "float32")
    if not kept:
        raise ValueError(f"no shape could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    return own, kept, failed


def _save_picture(image: Image.Image, path: Path) -> None:
    with atomic_replace(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def _tell(report: dict[str, Any], out: Path) -> None:
    """Print the figures."""
    sizes, scanned = report["bytes"], report["scan"]
    meshes = f"{sizes['meshes'] / 1e6:.1f} MB as binary PLY"
    say(f"{report['shapes']} real shapes, {meshes}: {sizes['per_shape']:.0f} bytes a shape (code, residual or mesh,")
    modes = f"{sizes['codes_alone']} by their code, {sizes['residuals']} residuals, {sizes['stored_meshes']} meshes"
    say(f"  search record, frame, name), {sizes['file'] / 1e6:.2f} MB with the decoder that all share ({modes})")
    say(f"F-score at 0.01 of their surfaces: mean {report['mean_f_0.01']:.3f}, least {report['least_f_0.01']:.3f}")
    searched = report["search"]
    say(f"search by a copy in another pose and size: {searched['right']} of {searched['queries']} found first")
    copies = report["duplicates"]
    say(f"duplicates: {copies['found']} of {copies['planted']} planted copies found, {copies['others']} other pairs")
    say(f"scan of {scanned['name']}, {scanned['points']} points of {scanned['views']} views with noise: F at 0.02 ")
    say(f"  {scanned['f_0.02']:.2f} with the space, {scanned['f_0.02_alone']:.2f} by the points alone")
    took = f"{report['seconds']:.0f} s, {report['processor_seconds']:.0f} s of processors"
    say(f"{report['contact_sheet']}, {out / 'report.json'}  ({took})")
    say(f"look around: latentsdf view {report['space']}")
