"""Verbs that build datasets and spaces: prepare, train, encode."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..core.hdf5 import open_checked
from ..dataset.file_info import FORMAT, VERSION
from ..mesh.endings import check_mesh_file, check_mesh_folder
from ..space.file_info import SpaceInfo, check_finished, space_info
from .arguments import Result, given_terms, shape_name, usable_device
from .progress import Bar, say

if TYPE_CHECKING:
    from ..core.optimize import Step
    from ..dataset.preparation import PrepareReport, PrepareRow
    from ..training.config import TrainConfig
    from ..training.loop import TrainEvent


def prepare(options: Namespace) -> Result:
    """Run `latentsdf prepare`; raises ValueError and the other errors of `verbs.run`."""
    check_mesh_folder(Path(options.mesh_dir))
    from ..dataset.preparation import PrepareConfig
    from ..dataset.preparation import prepare as prepare_meshes
    from ..dataset.sampling import SamplingConfig

    count = options.samples
    sampling = SamplingConfig(near=count // 2, uniform=count // 8, band=count - count // 2 - count // 8)
    config = PrepareConfig(sampling=sampling, time_limit=options.time_limit, memory_limit=options.memory_limit)
    with Bar("prepare", options.quiet) as bar:
        began = monotonic()

        def on_row(row: PrepareRow, done: int, total: int) -> None:
            detail = row.reason if row.status == "skipped" else f"{row.samples} samples, {row.audit}"
            bar.line(f"{row.status:8s} {row.name}  {row.seconds:.1f} s  {detail}")
            bar.update(done / total, f"{done}/{total}  {done / (monotonic() - began):.2f} meshes/s")

        paths, seed = (options.mesh_dir, options.dataset), options.seed
        report = prepare_meshes(*paths, config=config, workers=options.workers, seed=seed, on_row=on_row)
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
    device = usable_device(options.device)
    from ..core.optimize import Stop
    from ..training.loop import train as train_space

    config = None if options.resume else _training_config(options)
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
    given = {"space": str(path), "out": str(out), "code_only": False, "resume": False, "force": True}
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
    from ..training.presets import DECODER, named_config

    # A warm start has the form of the space that it starts from, unless another one is asked for.
    kind, size = DECODER, None
    if options.joint or options.start == "base":
        kind = "dual"
    elif options.start not in (None, "components", "random"):
        info = space_info(options.start)
        kind, size = info.decoder, info.code_size
    size = size if options.code_size is None else options.code_size
    config = named_config(options.decoder or kind, size, options.seed, options.joint)
    if options.start is not None:
        config = replace(config, start=options.start)
    if options.nested is not None:
        config = replace(config, nested=tuple(sorted(set(options.nested))))
    if options.code_bytes is not None:
        config = replace(config, code_bytes=options.code_bytes)
    return config


def encode(options: Namespace) -> Result:
    """Run `latentsdf encode`; raises ValueError and the other errors of `verbs.run`."""
    terms = _overfit_terms(options)
    if options.overfit and (options.tolerance is not None or options.bytes is not None or options.code_only):
        raise ValueError("--overfit stores a correction of its own; leave out --tolerance, --bytes and --code-only")
    names = [shape_name(Path(mesh)) for mesh in options.meshes]
    info = space_info(options.space)
    _check_encoding(options, names, info)
    from ..inference.code_fitting import EncodeConfig
    from ..inference.encoding import encode as encode_one
    from ..inference.rate_search import Target
    from ..reconstruction.refinement import RefineConfig, RefinementStatus
    from ..reconstruction.shape_overfitting import overfit, overfit_terms
    from ..space.store import append, load

    terms = None if terms is None else overfit_terms(terms)
    space = load(options.space)
    config = EncodeConfig(steps=options.steps, seed=options.seed, pose=options.pose or "free")
    target = None
    if options.tolerance is not None or options.bytes is not None:
        target = Target(tolerance=options.tolerance, max_bytes=options.bytes)
    added, failed = [], []
    with Bar("encode", options.quiet, len(names)) as bar:
        for done, (name, mesh) in enumerate(zip(names, options.meshes, strict=True)):
            began = monotonic()

            def on_step(step: Step, done: int = done, name: str = name) -> None:
                bar.update(done + step.progress, name)

            try:
                shape = encode_one(space, mesh, name=name, config=config, on_step=on_step, target=target)
                if options.overfit:
                    found = overfit(shape, mesh, terms, RefineConfig(seed=options.seed))
                    if found.status is not RefinementStatus.CORRECTED:
                        raise ValueError(found.status.value)
                    shape = found.shape
            except (ValueError, OSError) as error:
                failed.append({"name": name, "reason": " ".join(str(error).split())})
                bar.line(f"skipped  {name}: {failed[-1]['reason']}")
                continue
            append(options.space, [shape], replace=options.replace)
            added.append({"name": name, "fit_error": shape.metadata["fit_error"], "seconds": monotonic() - began})
            bar.line(f"encoded  {name}  mean error {shape.metadata['fit_error']:.5f}  {added[-1]['seconds']:.1f} s")
            if target is not None:
                residual = 0 if shape.correction is None else shape.correction.nbytes
                reached = {key: shape.metadata[key] for key in ("f_score", "tolerance", "code_bytes")}
                added[-1] |= {
                    "mode": shape.mode,
                    "residual_bytes": residual,
                    "bytes": reached["code_bytes"] + residual,
                    **reached,
                }
                text = f"F@{reached['tolerance']:g} {reached['f_score']:.3f}"
                beside = f"{residual:,} bytes beside a code of {reached['code_bytes']:,}"
                bar.line(f"{shape.mode:8s} {name}  {beside}  {text}")
            elif shape.correction is not None:
                added[-1]["correction_bytes"] = shape.correction.nbytes
                bar.line(f"overfit  {name}  correction of {shape.correction.nbytes:,} bytes")
    if not added:
        raise ValueError(f"no mesh could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    say(f"{options.space}: {len(added)} shapes added" + (f", {len(failed)} skipped" if failed else ""))
    for item in failed:
        say(f"skipped {item['name']}: {item['reason']}")
    return {"space": str(options.space), "added": added, "skipped": failed, "bytes_per_shape": info.sizes.code}


def _overfit_terms(options: Namespace) -> str | dict[str, float] | None:
    """The objective of the overfit; None solves. Raises ValueError for options that exclude each other."""
    given = [f"--{name}" for name in ("preset", "term") if getattr(options, name)]
    if given and not options.overfit:
        raise ValueError(f"{' and '.join(given)} say how to overfit a shape; give --overfit too, or leave them out")
    return given_terms(options)


def _check_encoding(options: Namespace, names: list[str], info: SpaceInfo) -> None:
    """Refuse an unfinished space, taken names, and meshes all of which are missing, before PyTorch is loaded."""
    check_finished(options.space, info)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of the meshes would be named {name!r}; encode them from different working folders")
        if name in info.names and not options.replace:
            raise ValueError(f"{options.space} already holds a shape named {name!r}; use --replace to replace it")
    try:
        if not any(Path(mesh).is_file() for mesh in options.meshes):
            check_mesh_file(Path(options.meshes[0]))
    except FileNotFoundError as error:
        raise ValueError(f"no mesh could be encoded: {names[0]}: {error}") from None


def _training_note(event: TrainEvent) -> str:
    terms = "  ".join(f"{name} {value:.5f}" for name, value in event.step.terms.items())
    speed = f"{event.samples_per_second / 1e3:.0f}k samples/s"
    return f"{event.stage} step {event.step.number}  {terms}  rates x {event.step.scale:.2f}  {speed}"
