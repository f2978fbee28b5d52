"""One function a verb: options in, printed lines and a JSON-ready result out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from time import monotonic
from typing import Any

import torch
import trimesh

from ..container import opened
from ..dataset import Dataset
from ..decoder import CoarseMLP, DecoderConfig, DeepSDFConfig, DualConfig, LinearConfig
from ..evaluation import EvaluationRow, retrieval, summarize
from ..evaluation import evaluate as evaluate_meshes
from ..index import Index
from ..inference import EncodeConfig, encode_all, encode_scan
from ..mesh import MESH_ENDINGS, load_mesh
from ..optimize import Stop
from ..preparation import PrepareConfig, PrepareRow, find_meshes
from ..preparation import prepare as prepare_meshes
from ..reconstruction import reconstruct as reconstruct_scan
from ..sampling import SamplingConfig
from ..scan import Scan
from ..schedule import JOINT, TrainConfig
from ..space import LatentSpace, Shape
from ..store import append, load, load_resume
from ..training import TrainEvent
from ..training import train as train_space
from .progress import Bar, say

Result = dict[str, Any]


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
    if options.resume and (options.decoder or options.code_size is not None or options.joint):
        raise ValueError("--resume goes on with the run as it was begun; leave --decoder, --code-size and --joint out")
    if path.exists() and not options.resume and not options.force:
        raise ValueError(f"{path} exists; use --resume to go on with it, --force to replace it, or another name")
    if options.steps is not None and options.minutes is not None:
        raise ValueError("--steps and --minutes are two budgets; give one of them")
    if options.joint and options.decoder in ("deepsdf", "linear"):
        raise ValueError(f"--joint is a schedule of the dual decoders; the {options.decoder} decoder has its own")
    if not options.resume and not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: its folder {path.parent} does not exist; make it")
    device = _device(options.device)
    config = None
    if not options.resume:
        code_size = 64 if options.code_size is None else options.code_size
        stages = (JOINT,) if options.joint else None
        config = TrainConfig(
            decoder=decoder_config(options.decoder or "dual", code_size), stages=stages, seed=options.seed
        )
        if isinstance(config.decoder, DeepSDFConfig):
            config = deepsdf_recipe(config.decoder, options.seed)
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
    config = EncodeConfig(steps=options.steps, seed=options.seed)
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
            added.append({"name": name, "fit_error": shape.info["fit_error"], "seconds": monotonic() - began})
            bar.line(f"encoded  {name}  mean error {shape.info['fit_error']:.5f}  {added[-1]['seconds']:.1f} s")
    if not added:
        raise ValueError(f"no mesh could be encoded: {failed[0]['name']}: {failed[0]['reason']}")
    say(f"{options.space}: {len(added)} shapes added" + (f", {len(failed)} skipped" if failed else ""))
    for item in failed:
        say(f"skipped {item['name']}: {item['reason']}")
    return {
        "space": str(options.space),
        "added": added,
        "skipped": failed,
        "bytes_per_shape": 4 * space.code_size,
    }


def info(options: Namespace) -> Result:
    """`latentsdf info`."""
    if _is_dataset(options.file):
        dataset = Dataset(options.file)
        result: Result = {
            "kind": "dataset",
            "shapes": len(dataset),
            "classes": _counts([name.split("/", 1)[0] if "/" in name else "" for name in dataset.names]),
            "bytes": Path(options.file).stat().st_size,
            "names": list(dataset.names),
        }
    else:
        space = load(options.file)
        size = Path(options.file).stat().st_size
        result = {
            "kind": "space",
            "shapes": len(space),
            "classes": _counts([shape.label for shape in space.values()]),
            "code_size": space.code_size,
            "decoder": space.decoder.kind,
            "parameters": space.decoder.parameter_count(),
            "bytes": size,
            "bytes_per_shape": 4 * space.code_size,
            "bytes_per_shape_with_decoder": 4 * space.code_size
            + 4 * space.decoder.parameter_count() / max(1, len(space)),
            "stop": space.history.get("stop"),
            "progress": space.history.get("progress"),
            "names": list(space.names),
        }
    for key, value in result.items():
        if key == "names":
            say(f"names: {', '.join(value[:8])}{' ...' if len(value) > 8 else ''}")
        elif key == "classes":
            say("classes: " + (", ".join(f"{name or '(none)'} {count}" for name, count in value.items()) or "none"))
        else:
            say(
                f"{key.replace('_', ' ')}: {value:,.0f}"
                if isinstance(value, float)
                else f"{key.replace('_', ' ')}: {value}"
            )
    return result


def mesh(options: Namespace) -> Result:
    """`latentsdf mesh`."""
    space = load(options.space)
    shapes = [space[name] for name in options.names]
    out = Path(options.out)
    single = _is_mesh_file(options.out)
    if single and len(shapes) > 1:
        raise ValueError(f"{out} is one file, but {len(shapes)} shapes are asked for; give a folder")
    targets = [out] if single else [out / f"{shape.name}.{options.format}" for shape in shapes]
    made = []
    with Bar("mesh", options.quiet, len(shapes)) as bar:
        for done, (shape, target) in enumerate(zip(shapes, targets, strict=True), 1):
            began = monotonic()
            surface = shape.mesh(options.resolution)
            write_mesh(surface, target)
            made.append(
                {
                    "name": shape.name,
                    "path": str(target),
                    "faces": len(surface.faces),
                    "seconds": monotonic() - began,
                }
            )
            bar.update(done, shape.name)
    for item in made:
        say(f"{item['path']}  {item['faces']:,} faces  {item['seconds']:.1f} s")
    return {"meshes": made}


def interpolate(options: Namespace) -> Result:
    """`latentsdf interpolate`."""
    _folder(options.out)
    space = load(options.space)
    first, last = space[options.a], space[options.b]
    made = []
    with Bar("interpolate", options.quiet, options.steps) as bar:
        for i in range(options.steps):
            t = i / (options.steps - 1) if options.steps > 1 else 0.5
            target = Path(options.out) / f"{i:03d}.ply"
            surface = space.interpolate(first, last, t).mesh(options.resolution)
            write_mesh(surface, target)
            made.append({"t": t, "path": str(target), "faces": len(surface.faces)})
            bar.update(i + 1, f"t = {t:.2f}")
    for item in made:
        say(f"{item['path']}  t = {item['t']:.2f}  {item['faces']:,} faces")
    return {"a": first.name, "b": last.name, "meshes": made}


def search(options: Namespace) -> Result:
    """`latentsdf search`."""
    space = load(options.space)
    query = _query(space, options)
    matches = Index(space).search(query, k=options.k)
    for match in matches:
        say(f"{match.distance:.5f}  {match.name}")
    return {
        "query": options.query,
        "matches": [{"name": match.name, "distance": match.distance} for match in matches],
    }


def reconstruct(options: Namespace) -> Result:
    """`latentsdf reconstruct`."""
    if options.space is None:
        raise ValueError(
            "this version reconstructs with a learned prior: give --space SPACE.h5 (made by `latentsdf train`)"
        )
    _mesh_ending(Path(options.out))
    space = load(options.space)
    began = monotonic()
    found = reconstruct_scan(space, Scan.load(options.scan), config=EncodeConfig(seed=options.seed))
    surface = found.shape.mesh(options.resolution)
    write_mesh(surface, Path(options.out))
    matches = Index(space).search(found.shape, k=3)
    say(f"{options.out}  {len(surface.faces):,} faces; mean distance of the scan to it {found.residual_mean:.5g}")
    say("nearest: " + ", ".join(match.name for match in matches))
    return {
        "path": str(options.out),
        "faces": len(surface.faces),
        "residual_mean": found.residual_mean,
        "residual_p90": found.residual_p90,
        "units": "the scan's own",
        "stop": found.stop.value,
        "interrupted": found.stop is Stop.INTERRUPTED,
        "seconds": monotonic() - began,
        "matches": [{"name": match.name, "distance": match.distance} for match in matches],
    }


def evaluate(options: Namespace) -> Result:
    """`latentsdf evaluate`."""
    space = load(options.space)
    for branch in options.branch or ():
        if branch not in space.decoder.branches:
            raise ValueError(f"no branch {branch!r} in {options.space}; it has {', '.join(space.decoder.branches)}")
    meshes, clashes = find_meshes(Path(options.mesh_dir))
    began = monotonic()
    with Bar("evaluate", options.quiet) as bar:

        def on_row(row: EvaluationRow, done: int, total: int) -> None:
            figures = row.comparison
            text = f"F@0.01 {figures.f_scores[0.01]:.3f}  CD {figures.chamfer_l1:.5f}" if figures else row.reason
            bar.line(f"{row.name:40s} {row.branch:7s} {text}")
            bar.update(done / total, f"{done}/{total}")

        rows, shapes = evaluate_meshes(
            space,
            meshes,
            known=options.known,
            branches=options.branch,
            resolution=options.resolution,
            config=EncodeConfig(steps=options.steps, seed=options.seed),
            on_row=on_row,
        )
    branches = list(dict.fromkeys(row.branch for row in rows))
    summary = {branch: summarize([row for row in rows if row.branch == branch]) for branch in branches}
    if not any(figures["shapes"] for figures in summary.values()):
        name, reason = [*((row.name, row.reason) for row in rows), *clashes][0]
        raise ValueError(f"none of the meshes in {options.mesh_dir} could be judged; the first: {name}: {reason}")
    scores = retrieval(space, shapes)
    for branch, figures in summary.items():
        if figures["shapes"]:
            say(
                f"{branch}: {figures['shapes']} shapes, median (mean): Chamfer-L1 {_pair(figures['chamfer_l1'], 5)}, "
                f"F@0.005 {_pair(figures['f_0.005'])}, F@0.01 {_pair(figures['f_0.01'])}, "
                f"normals {_pair(figures['normal_consistency'])}"
            )
    if scores:
        say(f"retrieval: {scores}")
    return {
        "space": str(options.space),
        "protocol": "20,000 surface samples each way to the other surface, unit frame of the truth",
        "rows": [row.to_dict() for row in rows] + [{"name": name, "reason": reason} for name, reason in clashes],
        "summary": summary[branches[-1]] if branches else {},
        "branches": summary,
        "retrieval": scores.__dict__ if scores else None,
        "seconds": monotonic() - began,
    }


def view(options: Namespace) -> Result:
    """`latentsdf view`."""
    from ..viewer import view as view_space

    view_space(load(options.space), port=options.port, on_ready=say)
    return {"space": str(options.space)}


def demo(options: Namespace) -> Result:
    """`latentsdf demo`."""
    from .demo import run_demo

    return run_demo(options)


def decoder_config(name: str, code_size: int) -> DecoderConfig:
    """The decoder of a command-line name."""
    if name == "deepsdf":
        return DeepSDFConfig(code_size=code_size)
    if name == "linear":
        return LinearConfig(code_size=code_size)
    if name == "dual-mlp":
        return DualConfig(code_size=code_size, coarse=CoarseMLP())
    return DualConfig(code_size=code_size)


def deepsdf_recipe(decoder: DeepSDFConfig, seed: int) -> TrainConfig:
    """DeepSDF's released loss and start, with batches that a CPU can step through."""
    return TrainConfig(
        decoder=decoder,
        truncate="clamp",
        far_weight=0.0,
        start="random",
        shapes_per_batch=8,
        points_per_shape=1024,
        seed=seed,
    )


def shape_name(mesh: Path) -> str:
    """The name of a mesh: its path from the working folder without its ending, or its stem when it lies elsewhere."""
    try:
        return mesh.resolve().relative_to(Path.cwd()).with_suffix("").as_posix()
    except ValueError:
        return mesh.stem


def write_mesh(surface: trimesh.Trimesh, target: Path) -> None:
    """Export a mesh, making its folder; the format is the file's ending.

    Raises:
        ValueError: an ending that cannot be written.
    """
    _mesh_ending(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    surface.export(str(target))


def _query(space: LatentSpace, options: Namespace) -> Shape:
    path = Path(options.query)
    if options.query in space or not path.is_file():
        return space[options.query]
    config = EncodeConfig(seed=options.seed)
    try:
        surface = load_mesh(path)
    except ValueError as error:
        if "point cloud" not in str(error) and path.suffix.lower() in MESH_ENDINGS:
            raise
        found = encode_scan(space, Scan.load(path), config=config)
        if found.stop is Stop.INTERRUPTED:
            raise KeyboardInterrupt from None
        return found.shape
    return encode_all(space, [(path.stem, surface)], config=config)[0]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = shorten(str(error), 120)
        raise ValueError(f"device {name!r} cannot be used ({reason}); use --device cpu") from None
    return device


def _is_dataset(path: str) -> bool:
    try:
        with opened(path, "latentsdf-dataset", 10**9):
            return True
    except ValueError as error:
        if "latentsdf-space" in str(error):
            return False
        raise


def _is_mesh_file(out: str) -> bool:
    """Whether `-o` names a mesh file rather than a folder; an ending that cannot be written is an error."""
    path = Path(out)
    if path.is_dir() or out.endswith(("/", "\\")) or not path.suffix[1:2].isalpha():
        _folder(out)
        return False
    _mesh_ending(path, "; end the name of a folder with /")
    return True


def _mesh_ending(path: Path, hint: str = "") -> None:
    if path.suffix.lower() not in MESH_ENDINGS:
        raise ValueError(f"cannot write {path.name}: its ending must be one of {', '.join(MESH_ENDINGS)}{hint}")


def _folder(out: str) -> None:
    if Path(out).is_file():
        raise ValueError(f"{out} is a file, a folder is wanted")


def _counts(labels: Sequence[str]) -> dict[str, int]:
    return {label: labels.count(label) for label in dict.fromkeys(labels)}


def _pair(figure: dict[str, float], digits: int = 3) -> str:
    return f"{figure['median']:.{digits}f} ({figure['mean']:.{digits}f})"


def _training_note(event: TrainEvent) -> str:
    terms = "  ".join(f"{name} {value:.5f}" for name, value in event.step.terms.items())
    return f"{event.stage} step {event.step.number}  {terms}  {event.samples_per_second / 1e3:.0f}k samples/s"
