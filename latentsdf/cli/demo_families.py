"""`latentsdf demo --collection families`: the main job on generated shapes, from meshes to a reconstructed scan."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import trimesh

from ..core.names import class_of
from ..core.optimize import Step, Stop
from ..dataset.preparation import PrepareConfig, PrepareRow
from ..dataset.preparation import prepare as prepare_meshes
from ..dataset.sampling import SamplingConfig
from ..dataset.synthetic import write_families
from ..inference.code_fitting import EncodeConfig
from ..inference.encoding import encode_all
from ..mesh.load import load_mesh
from ..mesh.metrics import compare
from ..mesh.render import contact_sheet
from ..primitives.families import FAMILIES
from ..reconstruction.reconstruction import ReconstructConfig, reconstruct
from ..reconstruction.refinement import RefineConfig
from ..reconstruction.scan_fitting import ScanFitConfig
from ..scan.virtual import virtual_scan
from ..space.file_info import space_info
from ..space.index import Index
from ..space.shape import Shape
from ..space.space import LatentSpace
from ..training.loop import train
from ..training.presets import named_config
from .arguments import Result, write_mesh
from .progress import Bar, say

UNSEEN = 3
"""Shapes per family that are held out of training and used as queries."""


def demo_families(options: Namespace) -> Result:
    """Run `latentsdf demo --collection families`: every part once, with files, contact sheets and a report in a folder.

    Raises:
        ValueError, OSError: of any of its parts.
        KeyboardInterrupt: Ctrl-C during training; the unfinished space stays in the folder.
    """
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    began = monotonic()
    known, unseen = _write_meshes(out, options)
    _prepare(out, known, options)
    space = _train(out, options, monotonic() - began)
    queries = _encode(space, unseen, options)
    searched = _search(space, queries, options)
    morph = _morph(space, out, options)
    scanned = _scan(space, unseen, out, options)
    sheet, second_sheet = out / "contact_sheet.png", out / "morph_and_scan.png"
    columns = ("known", "its code", "unseen", "its code", "nearest known")
    contact_sheet(_rows(space, known, unseen, queries, options), columns).save(sheet)
    rows = (("morph", morph), ("scan", scanned.pop("pictures")))
    contact_sheet(rows, ("", "", "", "", "")).save(second_sheet)
    code_bytes = space_info(out / "space.h5").sizes.code
    report = {
        "families": len(FAMILIES),
        "shapes": len(space),
        "training_log": space.history["log"][-1:],
        "code_bytes": code_bytes,
        "search": searched,
        "scan": scanned,
        "contact_sheet": str(sheet),
        "space": str(out / "space.h5"),
        "seconds": monotonic() - began,
    }
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say(f"{len(space)} shapes of {len(FAMILIES)} families, {code_bytes} bytes each beside the decoder")
    say(f"unseen shapes whose nearest neighbour has the right class: {searched['right']} of {searched['queries']}")
    figures = f"F@0.01 {searched['median_f_0.01']:.3f}, F@0.02 {searched['median_f_0.02']:.3f}"
    say(f"unseen shapes through their codes, median: {figures}")
    distance = f"{scanned['residual_mean']:.4f} from its points to the result on average"
    say(f"scan of an unseen {scanned['class']}: {distance}")
    say(f"{sheet}, {second_sheet}, {out / 'report.json'}  ({report['seconds']:.0f} s)")
    return report


def _write_meshes(out: Path, options: Namespace) -> tuple[Path, Path]:
    """Folders of the meshes to train on and of unseen ones."""
    known, unseen = out / "meshes" / "known", out / "meshes" / "unseen"
    workers, fewer = os.cpu_count() or 1, min(UNSEEN, options.shapes)
    with Bar("families", options.quiet, len(FAMILIES) * (options.shapes + fewer)) as bar:
        before = 0
        for folder, count, seed in ((known, options.shapes, options.seed), (unseen, fewer, options.seed + 1)):

            def on_mesh(name: str, done: int, total: int, before: int = before) -> None:
                bar.update(before + done, name)

            before += len(write_families(folder, count, seed, 64, on_mesh=on_mesh, workers=workers))
    return known, unseen


def _prepare(out: Path, meshes: Path, options: Namespace) -> None:
    config = PrepareConfig(sampling=SamplingConfig(near=30_000, uniform=8_000, band=16_000, lattice=32))
    with Bar("prepare", options.quiet) as bar:

        def on_row(row: PrepareRow, done: int, total: int) -> None:
            bar.update(done / total, row.name)

        prepare_meshes(meshes, out / "dataset.h5", config=config, seed=options.seed, on_row=on_row)


def _train(out: Path, options: Namespace, elapsed: float) -> LatentSpace:
    """A space trained for the rest of three quarters of the budget, and no less than two fifths of it."""
    minutes = max(0.4 * options.minutes, 0.75 * options.minutes - elapsed / 60.0)
    with Bar("train", options.quiet) as bar:
        space = train(
            out / "dataset.h5",
            replace(named_config(seed=options.seed), minutes=minutes),
            path=out / "space.h5",
            on_event=lambda event: bar.update(event.progress, f"{event.stage}  loss {event.step.loss:.5f}"),
        )
    if space.history["stop"] == Stop.INTERRUPTED.value:
        raise KeyboardInterrupt
    return space


def _encode(space: LatentSpace, unseen: Path, options: Namespace) -> dict[str, Shape]:
    files = [(path.relative_to(unseen).with_suffix("").as_posix(), path) for path in sorted(unseen.rglob("*.ply"))]
    config = EncodeConfig(samples=20_000, seed=options.seed)
    shapes: list[Shape] = []
    with Bar("encode", options.quiet, len(files)) as bar:
        for start in range(0, len(files), 10):
            batch = files[start : start + 10]

            def on_step(step: Step, start: int = start, size: int = len(batch)) -> None:
                bar.update(start + size * step.progress)

            shapes += encode_all(space, batch, config=config, on_step=on_step)
    return {shape.name: shape for shape in shapes}


def _search(space: LatentSpace, queries: dict[str, Shape], options: Namespace) -> dict[str, Any]:
    """Nearest known shape of each unseen one, and the fidelity of one unseen shape per family."""
    index = Index(space)
    nearest = {name: index.search(shape, k=1)[0].name for name, shape in queries.items()}
    right = sum(class_of(name) == class_of(match) for name, match in nearest.items())
    one_each = [shape for name, shape in queries.items() if name.endswith("/000")]
    f_scores = [_f_scores(shape, options.seed) for shape in one_each]
    return {
        "queries": len(queries),
        "right": right,
        "share": right / max(1, len(queries)),
        "nearest": nearest,
        "median_f_0.01": float(np.median([item[0.01] for item in f_scores])) if f_scores else 0.0,
        "median_f_0.02": float(np.median([item[0.02] for item in f_scores])) if f_scores else 0.0,
    }


def _f_scores(shape: Shape, seed: int) -> Mapping[float, float]:
    """F-scores of a shape against its source mesh, all zero where its field has no surface."""
    surface = _surface(shape)
    if surface is None:
        return {0.01: 0.0, 0.02: 0.0}
    return compare(surface, load_mesh(shape.metadata["source"]), seed=seed).f_scores


def _morph(space: LatentSpace, out: Path, options: Namespace) -> list[trimesh.Trimesh | None]:
    first = next(name for name in space if name.startswith("vase/"))
    last = next(name for name in space if name.startswith("mug/"))
    meshes: list[trimesh.Trimesh | None] = []
    with Bar("morph", options.quiet, 5) as bar:
        for i in range(5):
            surface = _surface(space.interpolate(first, last, i / 4))
            meshes.append(surface)
            if surface is not None:
                write_mesh(surface, out / "morph" / f"{i:03d}.ply")
            bar.update(i + 1)
    return meshes


def _scan(space: LatentSpace, unseen: Path, out: Path, options: Namespace) -> dict[str, Any]:
    path = next(iter(sorted((unseen / "mug").glob("*.ply"))), None) or next(iter(sorted(unseen.rglob("*.ply"))))
    truth = load_mesh(path)
    scan = virtual_scan(truth, count=3000, noise=0.01, seed=options.seed)
    trimesh.PointCloud(scan.points).export(str(out / "scan.ply"))
    seed = options.seed
    config = ReconstructConfig(fit=ScanFitConfig(seed=seed), refinement=RefineConfig(seed=seed))
    with Bar("reconstruct", options.quiet) as bar:
        result = reconstruct(space, scan, config=config)
        surface = result.mesh(96)
        write_mesh(surface, out / "scan_reconstructed.ply")
        bar.update(1.0)
    figures = compare(surface, truth, seed=seed)
    return {
        "class": path.parent.name,
        "points": len(scan.points),
        "residual_mean": result.residual_mean,
        "chamfer_l1": figures.chamfer_l1,
        "f_0.02": figures.f_scores[0.02],
        "pictures": [truth, surface],
    }


def _rows(
    space: LatentSpace, known: Path, unseen: Path, queries: dict[str, Shape], options: Namespace
) -> list[tuple[str, list[trimesh.Trimesh | None]]]:
    """Rows of the contact sheet, one per family."""
    index, rows = Index(space), []
    with Bar("pictures", options.quiet, len(FAMILIES)) as bar:
        for family in FAMILIES:
            name = next(item for item in space if item.startswith(f"{family}/"))
            query = next(shape for item, shape in queries.items() if item.startswith(f"{family}/"))
            nearest = index.search(query, k=1)[0].name
            cells: list[trimesh.Trimesh | None] = [load_mesh(known / f"{name}.ply"), _surface(space[name])]
            cells += [load_mesh(unseen / f"{query.name}.ply"), _surface(query), _surface(space[nearest])]
            rows.append((family, cells))
            bar.update(len(rows), family)
    return rows


def _surface(shape: Shape) -> trimesh.Trimesh | None:
    """A shape's mesh; None where its field has no surface, as after too little training."""
    try:
        return shape.mesh(96)
    except ValueError:
        return None
