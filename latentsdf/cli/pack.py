"""The verb that stores a space anew in other bytes (pack)."""

from __future__ import annotations

import shutil
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

from ..mesh.endings import check_mesh_folder
from ..mesh.folder import find_meshes
from ..space.file_info import check_finished, space_info
from .arguments import Result, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    from ..inference.rate_search import Target
    from ..space.shape import Shape
    from ..space.space import LatentSpace

TOGETHER = 8
"""Shapes between two writes of the file; what a killed run loses at most."""
_REACHED = ("f_score", "tolerance", "code_bytes")
_TARGET = ("target_tolerance", "target_bytes")
"""Metadata of a packed shape: the options of the run."""


def pack(options: Namespace) -> Result:
    """Run `latentsdf pack`; raises ValueError, FileNotFoundError and the other errors of `verbs.run`."""
    out = Path(options.out)
    info = named_space(options.space)
    check_finished(options.space, info.unfinished)
    if not options.code_only and options.tolerance is None and options.bytes is None:
        options.tolerance = 0.01
    _check(options, out)
    files = {} if options.code_only else dict(find_meshes(Path(options.meshes))[0])
    from ..inference.rate_search import Target
    from ..space.store import append, compact, load, save

    if not options.resume:
        first = _codes_alone(load(options.space))
        save(first, out, precision=first.weight_format or "int8", codes=first.code_format or "int8")
    space = load(out)
    target = None if options.code_only else Target(tolerance=options.tolerance, max_bytes=options.bytes)
    asked = {key: value for key, value in zip(_TARGET, (options.tolerance, options.bytes), strict=True) if value}
    _check_target(space, asked, out)
    rows: list[Result] = [_row(shape) for shape in space.values() if "f_score" in shape.metadata]
    waiting = [] if target is None else [name for name in space if "f_score" not in space[name].metadata]
    failed, finished = [], []
    with Bar("pack", options.quiet, len(waiting)) as bar:
        try:
            for done, (name, found) in enumerate(_packed(out, waiting, files, target, options), 1):
                if isinstance(found, str):
                    failed.append({"name": name, "reason": found})
                    bar.line(f"as it is {name}: {found}")
                else:
                    assert target is not None
                    finished.append(replace(found, decoder=space.decoder, metadata={**found.metadata, **asked}))
                    rows.append(row := _row(finished[-1]))
                    figures = f"{row['mode']:8s} {row['bytes']:,} bytes  F@{target.distance:g} {row['f_score']:.3f}"
                    bar.line(f"packed   {name}  {figures}")
                if len(finished) == TOGETHER:
                    append(out, finished, replace=True)
                    finished = []
                bar.update(done, name)
        finally:
            if finished:
                append(out, finished, replace=True)
    compact(out)
    order = {name: number for number, name in enumerate(space)}
    return _summary(out, sorted(rows, key=lambda row: order[row["name"]]), failed)


def _packed(
    out: Path, names: list[str], files: dict[str, Path], target: Target | None, options: Namespace
) -> Iterator[tuple[str, Shape | str]]:
    """Packed shapes without decoders, or reasons why there are none, by processes of their own."""
    from ..core.processes import LostTask, run_tasks
    from .pack_task import LIMITS, PackTask, pack_stored

    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".packing-") as temporary:
        copy = Path(shutil.copy(out, temporary)) if names else out
        tasks = []
        for name in names:
            if name in files:
                assert target is not None
                tasks.append(PackTask(copy, name, files[name], target, options.seed))
            else:
                yield name, f"no mesh of this name below {options.meshes}"
        with closing(run_tasks(pack_stored, tasks, options.jobs, LIMITS)) as pool:
            for task, answer in pool:
                yield task.name, answer.reason if isinstance(answer, LostTask) else answer


def _check(options: Namespace, out: Path) -> None:
    """Refuse options that exclude each other, and files that are there or missing."""
    if options.code_only == (options.meshes is not None):
        raise ValueError(
            "a tolerance or a number of bytes needs --meshes, the folder that the shapes were made from, and "
            "--code-only none; give one of the two"
        )
    if options.resume and options.code_only:
        raise ValueError("--code-only is done at once; leave --resume out")
    if options.meshes is not None:
        check_mesh_folder(Path(options.meshes))
    if out.exists() and out.resolve() == Path(options.space).resolve():
        raise ValueError(f"{out} is the space itself; give another file")
    if options.resume:
        if space_info(out).names != space_info(options.space).names:
            raise ValueError(f"{out} holds other shapes than {options.space}; pack into another file")
    elif out.exists() and not options.force:
        raise ValueError(f"{out} exists; use --resume to go on with it, --force to replace it, or another name")


def _check_target(space: LatentSpace, asked: Result, out: Path) -> None:
    """Refuse to go on with a file whose shapes were packed for another target."""
    for shape in space.values():
        before = {key: shape.metadata[key] for key in _TARGET if key in shape.metadata}
        if "f_score" in shape.metadata and before != asked:
            names = {"target_tolerance": "--tolerance", "target_bytes": "--bytes"}
            text = " ".join(f"{names[key]} {value:g}" for key, value in before.items()) or "encode"
            raise ValueError(f"{out} was packed by {text}; go on with the same target, or pack into another file")


def _codes_alone(space: LatentSpace) -> LatentSpace:
    for shape in list(space.values()):
        kept = {key: value for key, value in shape.metadata.items() if key not in (*_REACHED, *_TARGET)}
        space.add(replace(shape.without_correction(), metadata=kept), replace=True)
    return space


def _row(shape: Shape) -> Result:
    residual = 0 if shape.correction is None else shape.correction.nbytes
    return {
        "name": shape.name,
        "mode": shape.mode,
        "bytes": shape.metadata["code_bytes"] + residual,
        "residual_bytes": residual,
        **{key: shape.metadata[key] for key in _REACHED},
    }


def _summary(out: Path, rows: list[Result], failed: list[dict[str, str]]) -> Result:
    size, shapes = out.stat().st_size, len(space_info(out).names)
    result: Result = {"space": str(out), "file_bytes": size, "packed": rows, "as_they_are": failed}
    result["file_bytes_per_shape"] = size / max(1, shapes)
    if rows:
        numbers, scores = [row["bytes"] for row in rows], [row["f_score"] for row in rows]
        result |= {"bytes_mean": mean(numbers), "bytes_median": median(numbers), "f_score_least": min(scores)}
        say(
            f"{len(rows)} shapes of {result['bytes_mean']:,.0f} bytes in the mean, median {result['bytes_median']:,.0f}"
        )
        modes = Counter(row["mode"] for row in rows)
        say("stored as " + ", ".join(f"{mode} {count}" for mode, count in modes.most_common()))
        say(f"F at {rows[0]['tolerance']:g}: median {median(scores):.3f}, least {min(scores):.3f}")
    say(f"{out}: {size:,} bytes, {result['file_bytes_per_shape']:,.0f} a shape with the decoder")
    for item in failed:
        say(f"as it is {item['name']}: {item['reason']}")
    return result
