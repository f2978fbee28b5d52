"""Verbs that say what there is and how good it is: info, evaluate."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from ..core.hdf5 import open_checked
from ..core.shape_names import class_of
from ..dataset.dataset import Dataset
from ..inference.code_fitting import EncodeConfig
from ..inference.evaluation import EvaluationRow, retrieval, summarize
from ..inference.evaluation import evaluate as evaluate_meshes
from ..mesh.folder import find_meshes
from ..space.store import load, stored_sizes
from .arguments import Result
from .progress import Bar, say


def info(options: Namespace) -> Result:
    """`latentsdf info`."""
    if _is_dataset(options.file):
        dataset = Dataset(options.file)
        result: Result = {
            "kind": "dataset",
            "shapes": len(dataset),
            "classes": _counts([class_of(name) for name in dataset.names]),
            "bytes": Path(options.file).stat().st_size,
            "names": list(dataset.names),
        }
    else:
        space = load(options.file)
        size = Path(options.file).stat().st_size
        sizes = stored_sizes(options.file)
        result = {
            "kind": "space",
            "shapes": len(space),
            "classes": _counts([shape.class_name for shape in space.values()]),
            "code_size": space.code_size,
            "decoder": space.decoder.kind,
            "parameters": space.decoder.parameter_count(),
            "bytes": size,
            "bytes_per_shape": sizes.code,
            "decoder_bytes": sizes.decoder,
            "bytes_per_shape_with_decoder": sizes.code + sizes.decoder / max(1, len(space)),
            "corrected_shapes": sizes.corrected,
            "correction_bytes": sizes.corrections,
            "nested_code_sizes": [*space.prefix_sizes, space.code_size],
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


def _is_dataset(path: str) -> bool:
    try:
        with open_checked(path, "latentsdf-dataset", 10**9):
            return True
    except ValueError as error:
        if "latentsdf-space" in str(error):
            return False
        raise


def _counts(labels: Sequence[str]) -> dict[str, int]:
    return {label: labels.count(label) for label in dict.fromkeys(labels)}


def _pair(figure: dict[str, float], digits: int = 3) -> str:
    return f"{figure['median']:.{digits}f} ({figure['mean']:.{digits}f})"
