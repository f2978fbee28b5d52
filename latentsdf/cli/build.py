"""Verbs that build datasets and spaces: prepare, train."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..core.cluster import check_cluster
from ..core.hdf5 import open_checked
from ..dataset.file_info import FORMAT, VERSION
from ..mesh.endings import check_mesh_folder
from ..space.file_info import space_info
from .arguments import Result, given_executor, usable_device
from .progress import Bar, say

if TYPE_CHECKING:
    from ..dataset.preparation import PrepareReport, PrepareRow
    from ..training.config import TrainConfig
    from ..training.loop import TrainEvent


def prepare(options: Namespace) -> Result:
    """Run `latentsdf prepare`; raises ValueError and the other errors of `verbs.run`."""
    check_mesh_folder(Path(options.mesh_dir))
    if options.cluster is not None:
        check_cluster(options.cluster)
        if options.workers is not None:
            raise ValueError("--workers are processes of this machine, --cluster has its own; leave one of them out")
    from ..dataset.preparation import PrepareConfig
    from ..dataset.preparation import prepare as prepare_meshes
    from ..dataset.sampling import SamplingConfig

    sampling = SamplingConfig.of_count(options.samples)
    config = PrepareConfig(sampling=sampling, time_limit=options.time_limit, memory_limit=options.memory_limit)
    with given_executor(options.cluster) as executor, Bar("prepare", options.quiet) as bar:
        began = monotonic()

        def on_row(row: PrepareRow, done: int, total: int) -> None:
            detail = row.reason if row.status == "skipped" else f"{row.samples} samples, {row.audit}"
            bar.line(f"{row.status:8s} {row.name}  {row.seconds:.1f} s  {detail}")
            bar.update(done / total, f"{done}/{total}  {done / (monotonic() - began):.2f} meshes/s")

        run = {"config": config, "workers": options.workers, "seed": options.seed, "executor": executor}
        report = prepare_meshes(options.mesh_dir, options.dataset, on_row=on_row, **run)
    return _prepared(options, report)


def _prepared(options: Namespace, report: PrepareReport) -> Result:
    """Print and return the result of `prepare`."""
    skipped = [{"name": row.name, "reason": row.reason} for row in report.rows if row.status == "skipped"]
    fresh = [row for row in report.rows if row.status == "ok"]
    say(f"{options.dataset}: {report.ok} shapes ({len(skipped)} skipped), {report.samples:,} samples")
    seconds = max(report.seconds, 1e-9)
    say(f"{len(fresh)} meshes in {report.seconds:.1f} s = {len(fresh) / seconds:.2f} meshes/s")
    for item in skipped:
        say(f"skipped {item['name']}: {item['reason']}")
    keys = ("name", "status", "reason", "seconds", "samples")
    rows = [{key: getattr(row, key) for key in keys} for row in report.rows]
    for plain, row in zip(rows, report.rows, strict=True):
        plain["audit"] = row.audit.to_dict() if row.audit else None
    return {
        "dataset": str(options.dataset),
        "shapes": report.ok,
        "skipped": skipped,
        "samples": report.samples,
        "seconds": report.seconds,
        "meshes_per_second": len(fresh) / seconds,
        "samples_per_second": sum(row.samples for row in fresh) / seconds,
        "rows": rows,
    }


def train(options: Namespace) -> Result:
    """Run `latentsdf train`; raises ValueError and the other errors of `verbs.run`."""
    path = Path(options.space)
    _check_training(options, path)
    from ..core.optimize import Stop
    from ..core.ranks import launched, own_device
    from ..dataset.dataset import Dataset
    from ..training.loop import train as train_space

    device = usable_device(own_device(options.device))
    config = None if options.resume else _training_config(options)
    first, began = launched()[0] == 0, monotonic()
    with Bar("train", options.quiet or not first) as bar:
        space = train_space(
            Dataset(options.dataset, memory=options.memory),
            config,
            path=path,
            resume=options.resume,
            steps=options.steps,
            minutes=options.minutes,
            device=device,
            on_event=lambda event: bar.update(event.progress, _training_note(event)),
        )
    stop = space.history["stop"]
    if not first:
        options.json = None  # the first process reports, for all
        return {"interrupted": stop == Stop.INTERRUPTED.value}
    packed = _packed(options, path) if stop == Stop.FINISHED.value else None
    last = space.history.get("log", [{}])[-1:] or [{}]
    parameters = space.decoder.parameter_count()
    say(f"{path}: {len(space)} shapes, {space.code_size} numbers each, {parameters:,} numbers in the decoder")
    say(f"{stop} ({monotonic() - began:.0f} s)")
    return {
        "space": str(path),
        "packed": packed,
        "shapes": len(space),
        "code_size": space.code_size,
        "decoder": space.decoder.kind,
        "parameters": parameters,
        "seconds": monotonic() - began,
        "progress": space.history.get("progress", 1.0),
        "loss": last[0].get("loss"),
        "samples_per_second": last[0].get("samples_per_second"),
        "stop": stop,
        "interrupted": stop == Stop.INTERRUPTED.value,
        "diverged": stop == Stop.DIVERGED.value,
    }


def _packed(options: Namespace, path: Path) -> Result | None:
    """Overfit the shapes of the finished space as `pack` does; None where no tolerance or number of bytes is given."""
    if options.tolerance is None and options.bytes is None:
        return None
    from .pack import pack

    out = path.with_name(path.name + ".packing")
    given = {"space": str(path), "out": str(out), "code_only": False, "resume": False, "force": True, "jobs": None}
    try:
        result = pack(Namespace(**{**vars(options), **given}))
        out.replace(path)
    finally:
        out.unlink(missing_ok=True)
    return {**result, "space": str(path)}


def _check_training(options: Namespace, path: Path) -> None:
    """Refuse files that are missing and options that exclude each other, before PyTorch is loaded."""
    fixed = {"--decoder": options.decoder, "--code-size": options.code_size, "--joint": options.joint or None,
             "--start": options.start, "--nested": options.nested, "--code-bytes": options.code_bytes}  # fmt: skip
    given = [name for name, value in fixed.items() if value is not None]
    if options.resume and given:
        raise ValueError(f"--resume goes on with the run as it was begun; leave {' and '.join(given)} out")
    if path.exists() and not options.resume and not options.force:
        raise ValueError(f"{path} exists; use --resume to go on with it, --force to replace it, or another name")
    if options.steps is not None and options.minutes is not None:
        raise ValueError("--steps and --minutes are two budgets; give one of them")
    if not options.resume and not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: its folder {path.parent} does not exist; make it")
    if (options.tolerance is None and options.bytes is None) != (options.meshes is None):
        raise ValueError(
            "shapes are overfitted to their meshes by --tolerance or --bytes together with --meshes, the folder that "
            "the dataset was prepared from; give both or none"
        )
    if options.meshes is not None:
        check_mesh_folder(Path(options.meshes))
    if options.decoder == "linear" and not options.resume and (options.start or options.nested is not None):
        raise ValueError("the linear decoder is computed, not trained; leave --start and --nested out")
    with open_checked(options.dataset, FORMAT, VERSION):
        pass
    if options.resume:
        space_info(path)
    elif options.start not in (None, "base", "components", "random"):
        space_info(options.start)


def _training_config(options: Namespace) -> TrainConfig:
    from ..training.presets import DECODER, code_size_of_bytes, named_config

    # A warm start has the form of the space that it starts from, unless another one is asked for.
    kind, size = DECODER, None
    if options.joint:
        kind = "dual"
    elif options.start not in (None, "base", "components", "random"):
        info = space_info(options.start)
        kind, size = info.decoder, info.code_size
    kind = options.decoder or kind
    if options.code_size is not None:
        size = options.code_size
    elif size is None and options.code_bytes is not None and kind == "volumes":
        size = code_size_of_bytes(options.code_bytes)
    config = named_config(kind, size, options.seed, options.joint)
    if options.start is not None:
        config = replace(config, start=options.start)
    if options.nested is not None:
        config = replace(config, nested=tuple(sorted(set(options.nested))))
    if options.code_bytes is not None:
        config = replace(config, code_bytes=options.code_bytes)
    return config


def _training_note(event: TrainEvent) -> str:
    terms = "  ".join(f"{name} {value:.5f}" for name, value in event.step.terms.items())
    speed = f"{event.samples_per_second / 1e3:.0f}k samples/s"
    return f"{event.stage} step {event.step.number}  {terms}  rates x {event.step.scale:.2f}  {speed}"
