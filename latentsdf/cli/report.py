"""Verbs that report: facts of a file (info), and fidelity to unseen meshes (evaluate)."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from time import monotonic
from typing import TYPE_CHECKING

from ..core.hdf5 import format_of
from ..core.names import class_of
from ..dataset.file_info import dataset_names
from ..mesh.endings import check_mesh_folder
from ..mesh.folder import find_meshes
from ..space.file_info import FORMAT, space_info
from .arguments import Result, named_space
from .progress import Bar, say
from .shape_report import doubts, evaluated, named_shapes, say_doubts, say_evaluated, say_shapes

if TYPE_CHECKING:
    from ..inference.evaluation import EvaluationRow
    from ..mesh.metrics import Comparison
    from ..space.shape import Shape
    from ..space.space import LatentSpace


def info(options: Namespace) -> Result:
    """Run `latentsdf info`; raises ValueError and the other errors of `verbs.run`."""
    is_space = format_of(options.file) == FORMAT
    if options.names:
        if not is_space:
            raise ValueError(f"{options.file} is a dataset; shapes are reported on by name in a space")
        result = named_shapes(options.file, options.names)
        say_shapes(result)
        return result
    result = _space_facts(options.file) if is_space else _dataset_facts(options.file)
    for key, value in result.items():
        if key in ("doubtful_shapes", "diagnosis"):
            continue
        if key == "names":
            say(f"names: {', '.join(value[:8])}{' ...' if len(value) > 8 else ''}")
        elif key == "classes":
            say("classes: " + (", ".join(f"{name or '(none)'} {count}" for name, count in value.items()) or "none"))
        else:
            say(f"{key.replace('_', ' ')}: {f'{value:,.0f}' if isinstance(value, float) else value}")
    if is_space:
        say_doubts(options.file, result)
    return result


def _dataset_facts(path: str) -> Result:
    names = dataset_names(path)
    return {
        "kind": "dataset",
        "shapes": len(names),
        "classes": dict(Counter(map(class_of, names))),
        "bytes": Path(path).stat().st_size,
        "names": list(names),
    }


def _space_facts(path: str) -> Result:
    facts = space_info(path)
    sizes, shapes = facts.sizes, len(facts.names)
    return {
        "kind": "space",
        "shapes": shapes,
        "classes": dict(Counter(map(class_of, facts.names))),
        "code_size": facts.code_size,
        "decoder": facts.decoder,
        "parameters": facts.parameters,
        "format_version": facts.version,
        "added_in_segments": facts.segments,
        "bytes": Path(path).stat().st_size,
        "bytes_per_shape": sizes.code,
        "decoder_bytes": sizes.decoder,
        "bytes_per_shape_with_decoder": sizes.code + sizes.decoder / max(1, shapes),
        "file_bytes_per_shape": Path(path).stat().st_size / max(1, shapes),
        "record_bytes": sizes.records,
        "frame_bytes": sizes.frames,
        "text_bytes": sizes.texts,
        "adjustment_bytes": sum(facts.adjustments),
        "corrected_shapes": sizes.corrected,
        "correction_bytes": sizes.corrections,
        **_length_facts("residual", facts.residuals),
        **_length_facts("mesh", facts.meshes),
        "nested_code_sizes": [*facts.prefix_sizes, facts.code_size],
        "stop": facts.history.get("stop"),
        "progress": facts.history.get("progress"),
        "names": list(facts.names),
        **doubts(path, facts),
    }


def _length_facts(kind: str, lengths: Sequence[int]) -> Result:
    """How the bytes of residuals, or of stored meshes, are distributed over the shapes that have one."""
    if not lengths:
        return {f"{kind}_shapes": 0}
    return {
        f"{kind}_shapes": len(lengths),
        f"{kind}_bytes_median": median(lengths),
        f"{kind}_bytes_mean": mean(lengths),
        f"{kind}_bytes_largest": max(lengths),
    }


def evaluate(options: Namespace) -> Result:
    """Run `latentsdf evaluate`; raises ValueError and the other errors of `verbs.run`."""
    named_space(options.space)
    check_mesh_folder(Path(options.mesh_dir))
    from ..inference.evaluation import retrieval, summarize
    from ..space.store import load

    space = load(options.space)
    for branch in options.branch or ():
        if branch not in space.decoder.branches:
            raise ValueError(f"no branch {branch!r} in {options.space}; it has {', '.join(space.decoder.branches)}")
    meshes, clashes = find_meshes(Path(options.mesh_dir))
    began = monotonic()
    rows, shapes = _evaluated(options, meshes, space)
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
                f"normals {_pair(figures['normal_consistency'])}, ghost area {_shares(figures['ghost_area'])}, "
                f"missing area {_shares(figures['missing_area'])}, "
                f"components right {figures['components_right']:.0%}{_roughness(figures)}"
            )
    if scores:
        say(f"retrieval: {scores}")
    judged = [row for row in rows if row.branch == branches[-1]]
    causes = evaluated(space, str(options.space), judged, shapes, dict(meshes))
    say_evaluated(causes, len(judged))
    return {
        "space": str(options.space),
        "protocol": "20,000 surface samples each way to the other surface, unit frame of the truth",
        "rows": [row.to_dict() for row in rows] + [{"name": name, "reason": reason} for name, reason in clashes],
        "summary": summary[branches[-1]] if branches else {},
        "branches": summary,
        "retrieval": scores.__dict__ if scores else None,
        "diagnosis": {name: [item.to_dict() for item in found] for name, found in causes.items()},
        "seconds": monotonic() - began,
    }


def _evaluated(
    options: Namespace, meshes: list[tuple[str, Path]], space: LatentSpace
) -> tuple[list[EvaluationRow], list[Shape]]:
    """Rows of meshes in their order, and shapes that were encoded, by processes of their own."""
    from ..core.processes import LostTask, run_tasks
    from ..inference.code_fitting import EncodeConfig
    from ..inference.evaluation import EvaluationRow, Status
    from .evaluate_task import LIMITS, Evaluated, EvaluateTask, evaluate_mesh

    branches = None if options.branch is None else tuple(options.branch)
    settings = options.known, branches, options.resolution, EncodeConfig(steps=options.steps, seed=options.seed)
    tasks = [EvaluateTask(Path(options.space), name, file, *settings) for name, file in meshes]
    found: dict[str, Evaluated] = {}
    with (
        Bar("evaluate", options.quiet) as bar,
        closing(run_tasks(evaluate_mesh, tasks, options.jobs, LIMITS)) as pool,
    ):
        for task, answer in pool:
            if isinstance(answer, LostTask):
                lost = branches or space.decoder.branches[-1:]
                rows = [
                    EvaluationRow(task.name, b, answer.seconds, Status.UNREADABLE, None, answer.reason) for b in lost
                ]
                answer = Evaluated(rows, [])
            found[task.name] = answer
            for row in answer.rows:
                text = _figures(row.comparison) if row.comparison else row.reason
                bar.line(f"{row.name:40s} {row.branch:7s} {text}")
            bar.update(len(found) / len(tasks), f"{len(found)}/{len(tasks)}")
    ordered = [found[name] for name, _ in meshes]
    shapes = [replace(shape, decoder=space.decoder) for item in ordered for shape in item.shapes]
    return [row for item in ordered for row in item.rows], shapes


def _pair(figure: dict[str, float], digits: int = 3) -> str:
    return f"{figure['median']:.{digits}f} ({figure['mean']:.{digits}f})"


def _shares(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2%} ({figure['mean']:.2%})"


def _roughness(summary: Result) -> str:
    """Roughness of the decoded surfaces and of the true ones, empty where no code has a surface."""
    if "roughness" not in summary:
        return ""
    return f", roughness {_pair(summary['roughness'], 1)} deg, true {_pair(summary['roughness_true'], 1)} deg"


def _figures(found: Comparison) -> str:
    """The figures of one shape in a line."""
    return (
        f"F@0.01 {found.f_scores[0.01]:.3f}  F@0.005 {found.f_scores[0.005]:.3f}  CD {found.chamfer_l1:.5f}  "
        f"normals {found.normal_consistency:.3f}  ghost {found.ghost_area:.1%}  missing {found.missing_area:.1%}  "
        f"components {found.components}/{found.components_true}"
    )
