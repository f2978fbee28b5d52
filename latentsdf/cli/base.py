"""`latentsdf base`: a space to start training from, of generated shapes and of the user's own folders."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..mesh.folder import find_meshes
from .arguments import Result
from .progress import Bar, say

if TYPE_CHECKING:
    from ..core.optimize import Stop
    from ..dataset.preparation import PrepareRow
    from ..training.loop import TrainEvent

COUNT = 2000
"""Generated shapes, where no number is given."""


def base(options: Namespace) -> Result:
    """Run `latentsdf base`: make meshes, prepare them, train, keep some codes; each stage goes on where it stopped.

    Raises:
        ValueError, OSError, KeyboardInterrupt: as `verbs.run`; an interrupted call goes on when it is given again.
    """
    out = Path(options.out)
    work = Path(options.work) if options.work else out.with_name(out.name + ".work")
    _check(options, out, work)
    from ..dataset.recipes import find_recipes

    recipes = find_recipes(options.recipes) if options.make else None
    work.mkdir(parents=True, exist_ok=True)
    _check_same_run(options, work)
    began = monotonic()
    trained = work / "trained.h5"
    skipped: list[dict[str, str]] = []
    if not trained.exists():
        if recipes is not None:
            _make(options, recipes, work / "meshes")
        _link(options.wide, work / "meshes")
        skipped = _prepare(options, work)
    stop, progress = _train(options, work, trained)
    result = {
        "space": str(out),
        "work": str(work),
        "skipped": skipped,
        "progress": progress,
        "stop": stop.value,
        "interrupted": stop.name == "INTERRUPTED",
        "diverged": stop.name == "DIVERGED",
    }
    if stop.name == "FINISHED":
        result |= _keep(options.keep, trained, out)
        say(f"train with it: latentsdf train SHAPES.h5 SPACE.h5 --start {out}")
    return {**result, "seconds": monotonic() - began}


def _check(options: Namespace, out: Path, work: Path) -> None:
    """Refuse options that exclude each other and paths that cannot be used, before PyTorch is loaded."""
    if not options.make and not options.wide:
        raise ValueError("nothing to make a base of; give --make for generated shapes, --wide MESH_DIR for your own")
    lone = {"--count": options.count, "--only": options.only, "--recipes": options.recipes}
    given = [name for name, value in lone.items() if value is not None]
    if given and not options.make:
        raise ValueError(f"{' and '.join(given)} speak of generated shapes; give --make too, or leave them out")
    if out.is_dir() or not out.parent.is_dir():
        wrong = "it is a folder" if out.is_dir() else f"its folder {out.parent} does not exist; make it"
        raise ValueError(f"cannot write {out}: {wrong}")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists; use --force to replace it, or another name")
    names: dict[str, str] = {}
    for folder in options.wide or ():
        find_meshes(Path(folder))
        if work.resolve().is_relative_to(Path(folder).resolve()):
            raise ValueError(f"the intermediate files would lie in {folder}; name a --work outside of it")
        name = _name_of(folder)
        if name in names:
            raise ValueError(f"{names[name]} and {folder} are both named {name}; rename one, shapes are named by it")
        names[name] = folder


def _name_of(folder: str) -> str:
    """First part of the names of the shapes of a folder of the user's own."""
    return f"own_{Path(folder).resolve().name}"


def _check_same_run(options: Namespace, work: Path) -> None:
    """Note the options that the intermediate files depend on; ValueError if the folder was begun with others."""
    now: dict[str, Any] = {
        "--make": bool(options.make),
        "--count": (options.count or COUNT) if options.make else None,
        "--only": sorted(options.only) if options.only else None,
        "--wide": sorted(str(Path(folder).resolve()) for folder in options.wide or ()),
        "--samples": options.samples,
        "--minutes": options.minutes,
        "--seed": options.seed,
    }
    path = work / "options.json"
    if not path.exists():
        part = path.with_suffix(".tmp")
        part.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    for name, value in now.items():
        if earlier.get(name) != value:
            raise ValueError(
                f"{work} was begun with {name} {earlier.get(name)}, now it is {value}; give the same options to go on, "
                f"another --work to begin anew, or delete the folder"
            )


def _make(options: Namespace, recipes: Path, meshes: Path) -> None:
    from ..core.processes import core_count
    from ..dataset.recipes import RECIPES, RecipeRun, run_recipes, shared_count

    names = [name for name in RECIPES if not options.only or name in options.only]
    count = options.count or COUNT
    runs = [RecipeRun(name, number, options.seed) for name, number in shared_count(count, names).items()]
    total = sum(run.count for run in runs)
    with Bar("make", options.quiet, total) as bar:
        made = run_recipes(
            recipes,
            meshes,
            runs,
            workers=options.workers or core_count(),
            on_mesh=lambda name, done: bar.update(min(done, total - 1), f"{done} meshes  {name}"),
        )
        bar.update(total, f"{made} meshes")
    say(f"{made} generated meshes in {meshes}")


def _link(folders: list[str] | None, meshes: Path) -> None:
    """Link the user's folders beside the generated meshes."""
    meshes.mkdir(parents=True, exist_ok=True)
    for folder in folders or ():
        link = meshes / _name_of(folder)
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(Path(folder).resolve(), target_is_directory=True)


def _prepare(options: Namespace, work: Path) -> list[dict[str, str]]:
    """Prepare the meshes; return those that could not be."""
    from ..dataset.preparation import PrepareConfig, prepare
    from ..dataset.sampling import SamplingConfig

    config = PrepareConfig(sampling=SamplingConfig.of_count(options.samples))
    with Bar("prepare", options.quiet) as bar:

        def on_row(row: PrepareRow, done: int, total: int) -> None:
            if row.status == "skipped":
                bar.line(f"skipped {row.name}: {row.reason}")
            bar.update(done / total, f"{done}/{total}")

        run = {"config": config, "workers": options.workers, "seed": options.seed}
        report = prepare(work / "meshes", work / "shapes.h5", on_row=on_row, **run)
    say(f"{report.ok} shapes prepared, {report.skipped} skipped")
    return [{"name": row.name, "reason": row.reason} for row in report.rows if row.status == "skipped"]


def _train(options: Namespace, work: Path, trained: Path) -> tuple[Stop, float]:
    """Train, or go on with an earlier call; a finished space is left alone. Why it ended, and how far it came."""
    from ..core.optimize import Stop
    from ..space.file_info import space_info

    resume = trained.exists()
    if resume and not space_info(trained).unfinished:
        return Stop.FINISHED, 1.0
    from ..dataset.dataset import Dataset
    from ..training.loop import train
    from ..training.presets import named_config
    from .arguments import usable_device

    with Bar("train", options.quiet) as bar:

        def on_event(event: TrainEvent) -> None:
            speed = f"{event.samples_per_second / 1e3:.0f}k samples/s"
            bar.update(event.progress, f"{event.stage}  loss {event.step.loss:.5f}  {speed}")

        space = train(
            Dataset(work / "shapes.h5"),
            None if resume else replace(named_config(seed=options.seed), minutes=options.minutes),
            path=trained,
            resume=resume,
            device=usable_device(options.device),
            on_event=on_event,
        )
    stop = Stop(space.history["stop"])
    if stop is not Stop.FINISHED:
        say(f"{stop.value}; the same command goes on")
    return stop, space.history.get("progress", 1.0)


def _keep(count: int, trained: Path, out: Path) -> Result:
    """Write the space with the shapes that are kept."""
    from ..space.coverage import covering_space
    from ..space.store import load, save

    whole = load(trained)
    kept = covering_space(whole, count)
    save(kept, out)
    size = out.stat().st_size
    say(f"{out}: {size:,} bytes, trained on {len(whole)} shapes, {len(kept)} of them kept")
    return {"shapes": len(whole), "kept": len(kept), "code_size": kept.code_size, "bytes": size}
