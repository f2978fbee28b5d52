"""Verbs that make datasets and spaces: prepare, train, encode."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import monotonic

from ..core.optimize import Stop
from ..dataset.preparation import PrepareConfig, PrepareRow
from ..dataset.preparation import prepare as prepare_meshes
from ..dataset.sampling import SamplingConfig
from ..inference.code_fitting import EncodeConfig
from ..inference.encoding import encode_all
from ..space.store import append, load, load_resume, stored_sizes
from ..training.loop import TrainEvent
from ..training.loop import train as train_space
from ..training.presets import named_config
from .arguments import Result, shape_name, usable_device
from .progress import Bar, say


def prepare(options: Namespace) -> Result:
    """`latentsdf prepare`."""
    count = options.samples
    sampling = SamplingConfig(near=count // 2, uniform=count // 8, band=count - count // 2 - count // 8)
    config = PrepareConfig(sampling=sampling, time_limit=options.time_limit, memory_limit=options.memory_limit)
    with Bar("prepare", options.quiet) as bar:
        began = monotonic()

        def on_row(row: PrepareRow, done: int, total: int) -> None:
            detail = row.reason if row.status == "skipped" else f"{row.samples} samples, {row.audit}"
            bar.line(f"{row.status:8s} {row.name}  {row.seconds:.1f} s  {detail}")
            bar.update(done / total, f"{done}/{total}  {done / (monotonic() - began):.2f} meshes/s")

        report = prepare_meshes(
            options.mesh_dir,
            options.dataset,
            config=config,
            workers=options.workers,
            seed=options.seed,
            on_row=on_row,
        )
    skipped = [{"name": row.name, "reason": row.reason} for row in report.rows if row.status == "skipped"]
    fresh = [row for row in report.rows if row.status == "ok"]
    say(f"{options.dataset}: {report.ok} shapes ({len(skipped)} skipped), {report.samples:,} samples")
    say(f"{len(fresh)} meshes in {report.seconds:.1f} s = {len(fresh) / max(report.seconds, 1e-9):.2f} meshes/s")
    for item in skipped:
        say(f"skipped {item['name']}: {item['reason']}")
    rows = [
        {"name": row.name, "status": row.status, "reason": row.reason, "seconds": row.seconds, "samples": row.samples,
         "audit": row.audit.to_dict() if row.audit else None}
        for row in report.rows
    ]  # fmt: skip
    return {
        "dataset": str(options.dataset),
        "shapes": report.ok,
        "skipped": skipped,
        "samples": report.samples,
        "seconds": report.seconds,
        "meshes_per_second": len(fresh) / max(report.seconds, 1e-9),
        "samples_per_second": sum(row.samples for row in fresh) / max(report.seconds, 1e-9),
        "rows": rows,
    }


def train(options: Namespace) -> Result:
    """`latentsdf train`."""
    path = Path(options.space)
    fixed = {"--decoder": options.decoder, "--code-size": options.code_size, "--joint": options.joint or None,
             "--start": options.start, "--nested": options.nested}  # fmt: skip
    given = [name for name, value in fixed.items() if value is not None]
    if options.resume and given:
        raise ValueError(f"--resume goes on with the run as it was begun; leave {' and '.join(given)} out")
    if path.exists() and not options.resume and not options.force:
        raise ValueError(f"{path} exists; use --resume to go on with it, --force to replace it, or another name")
    if options.steps is not None and options.minutes is not None:
        raise ValueError("--steps and --minutes are two budgets; give one of them")
    if not options.resume and not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: its folder {path.parent} does not exist; make it")
    device = usable_device(options.device)
    config = None
    if not options.resume:
        code_size = 64 if options.code_size is None else options.code_size
        config = named_config(options.decoder or "dual", code_size, options.seed, options.joint)
        if options.decoder == "linear" and (options.start or options.nested is not None):
            raise ValueError("the linear decoder is computed, not trained; leave --start and --nested out")
        if options.start is not None:
            config = replace(config, start=options.start)
        if options.nested is not None:
            config = replace(config, nested=tuple(sorted(set(options.nested))))
    began = monotonic()
    with Bar("train", options.quiet) as bar:
        space = train_space(
            options.dataset,
            config,
            path=path,
            resume=options.resume,
            steps=options.steps,
            minutes=options.minutes,
            device=device,
            on_event=lambda event: bar.update(event.progress, _training_note(event)),
        )
    stop = space.history["stop"]
    last = space.history.get("log", [{}])[-1:] or [{}]
    shared = f"{space.decoder.parameter_count():,}"
    say(f"{path}: {len(space)} shapes, {space.code_size} numbers each, {shared} numbers in the decoder")
    say(f"{stop} ({monotonic() - began:.0f} s)")
    return {
        "space": str(path),
        "shapes": len(space),
        "code_size": space.code_size,
        "decoder": space.decoder.kind,
        "parameters": space.decoder.parameter_count(),
        "seconds": monotonic() - began,
        "progress": space.history.get("progress", 1.0),
        "loss": last[0].get("loss"),
        "samples_per_second": last[0].get("samples_per_second"),
        "stop": stop,
        "interrupted": stop == Stop.INTERRUPTED.value,
        "diverged": stop == Stop.DIVERGED.value,
    }


def encode(options: Namespace) -> Result:
    """`latentsdf encode`."""
    space = load(options.space)
    if load_resume(options.space) is not None:
        raise ValueError(
            f"{options.space} is an unfinished training run, and its decoder may still change under new codes; "
            f"finish it with `latentsdf train ... --resume` first"
        )
    names = [shape_name(Path(mesh)) for mesh in options.meshes]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of the meshes would be named {name!r}; encode them from different working folders")
        if name in space and not options.replace:
            raise ValueError(f"{options.space} already holds a shape named {name!r}; use --replace to replace it")
    config = EncodeConfig(steps=options.steps, seed=options.seed, pose=options.pose or "free")
    added, failed = [], []
    with Bar("encode", options.quiet, len(names)) as bar:
        for done, (name, mesh) in enumerate(zip(names, options.meshes, strict=True)):
            began = monotonic()
            try:
                shape = encode_all(
                    space,
                    [(name, mesh)],
                    config=config,
                    on_step=lambda step, done=done, name=name: bar.update(done + step.progress, name),
                )[0]
            except (ValueError, OSError) as error:
                failed.append({"name": name, "reason": " ".join(str(error).split())})
                bar.line(f"skipped  {name}: {failed[-1]['reason']}")
                continue
            append(options.space, [shape], replace=options.replace)
            added.append({"name": name, "fit_error": shape.metadata["fit_error"], "seconds": monotonic() - began})
            bar.line(f"encoded  {name}  mean error {shape.metadata['fit_error']:.5f}  {added[-1]['seconds']:.1f} s")
    if not added:
        raise ValueError(f"no mesh could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    say(f"{options.space}: {len(added)} shapes added" + (f", {len(failed)} skipped" if failed else ""))
    for item in failed:
        say(f"skipped {item['name']}: {item['reason']}")
    return {
        "space": str(options.space),
        "added": added,
        "skipped": failed,
        "bytes_per_shape": stored_sizes(options.space).code,
    }


def _training_note(event: TrainEvent) -> str:
    terms = "  ".join(f"{name} {value:.5f}" for name, value in event.step.terms.items())
    speed = f"{event.samples_per_second / 1e3:.0f}k samples/s"
    return f"{event.stage} step {event.step.number}  {terms}  rates x {event.step.scale:.2f}  {speed}"
