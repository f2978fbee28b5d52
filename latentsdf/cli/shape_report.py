"""Lines about shapes of a space that are not close to their meshes, for `info` and `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.names import class_of
from ..space.diagnosis import FEW_VISITS, Diagnosis, Figures, code_ratio, diagnose, is_bad, short_training, visits
from ..space.file_info import SpaceInfo
from ..space.stored_figures import StoredFigures, nearest_record, stored_figures
from .arguments import Result, named_space
from .progress import say

if TYPE_CHECKING:
    from ..inference.evaluation import EvaluationRow
    from ..space.shape import Shape
    from ..space.space import LatentSpace

_SHOWN = 8
"""Names in a line."""


def named_shapes(path: str, names: Sequence[str]) -> Result:
    """Report on shapes of a space by name: what is stored, what was measured, and why they are bad where they are.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
        UnknownShape: a name that the file does not hold.
    """
    facts = named_space(path, names)
    from ..space.store import load

    space, stored = load(path), stored_figures(path)
    codes, records = space.codes().numpy(), space.whole_records()[1]
    rows = {row.name: number for number, row in enumerate(stored)}
    reports = []
    for name in names:
        row, at = stored[rows[name]], rows[name]
        figures = _figures(row, facts, code_ratio(codes, codes[at], at))
        found = diagnose(figures, path, str(row.metadata.get("source") or "MESH"))
        reports.append(_report(row, figures, found))
        nearest = nearest_record(records, at)
        if nearest is not None:
            reports[-1]["nearest"] = {"name": stored[nearest[0]].name, "distance": nearest[1]}
    return {"kind": "shapes", "space": path, "shapes": reports}


def doubts(path: str, facts: SpaceInfo) -> Result:
    """The shapes whose stored figures say that they are bad, and what is wrong with the space as a whole."""
    count = visits(facts.history, len(facts.names))
    space = [short_training(count, path)] if count is not None and count < FEW_VISITS else []
    bad = [row.name for row in stored_figures(path) if is_bad(_figures(row, facts, None))]
    return {"doubtful_shapes": bad, "diagnosis": [item.to_dict() for item in space]}


def say_doubts(path: str, result: Mapping[str, Any]) -> None:
    """Write the lines of `doubts`, where there are any."""
    bad = result["doubtful_shapes"]
    if bad:
        say(f"shapes whose stored figures say that they are not close: {len(bad)}, {_some(bad)}")
        say(f"  next: latentsdf info {path} {bad[0]}")
    for item in result["diagnosis"]:
        say(f"{item['cause']}: {item['why']}")
        say(f"  next: {item['command']}")


def say_shapes(result: Mapping[str, Any]) -> None:
    """Write the lines of `named_shapes`."""
    for item in result["shapes"]:
        say(f"{item['name']}: {item['mode']}, {item['bytes']:,} bytes, {item['verdict']}")
        for key in ("fit_error", "f_score", "tolerance", "source", "audit"):
            if item[key] is not None:
                say(f"  {key.replace('_', ' ')}: {item[key]}")
        if item["nearest"]:
            say(f"  nearest by record: {item['nearest']['name']}, {item['nearest']['distance']:.2f}")
        for found in item["diagnosis"]:
            say(f"  {found['cause']}: {found['why']}")
            say(f"    next: {found['command']}")


def evaluated(
    space: LatentSpace, path: str, rows: Sequence[EvaluationRow], shapes: Sequence[Shape], files: Mapping[str, Path]
) -> dict[str, list[Diagnosis]]:
    """Causes by the name of each evaluated shape that is bad.

    Args:
        space: that was evaluated.
        path: its file.
        rows: of the branch that counts.
        shapes: that were encoded; those of the other rows are stored.
        files: mesh of each name.
    """
    codes, classes = space.codes().cpu().numpy(), Counter(map(class_of, space))
    count, encoded = visits(space.history, len(space)), {shape.name: shape for shape in shapes}
    found: dict[str, list[Diagnosis]] = {}
    for row in rows:
        shape = encoded.get(row.name) or space.get(row.name)
        if shape is None or row.status.value == "unreadable":
            continue
        score = row.comparison.f_scores[0.01] if row.comparison else 0.0
        at = None if row.name in encoded else space.names.index(row.name)
        others = classes[shape.class_name] - (at is not None)
        ratio = code_ratio(codes, shape.code.cpu().numpy(), at)
        known = others > 0 if shape.class_name else None
        causes = diagnose(
            Figures(shape.metadata, shape.mode, None, score, ratio, known, count),
            path,
            str(files.get(row.name, "MESH")),
        )
        if causes:
            found[row.name] = causes
    return found


def say_evaluated(found: Mapping[str, Sequence[Diagnosis]], total: int) -> None:
    """Write a line for each cause, with the shapes that it is the first of, and the command for one of them."""
    if not found:
        return
    say(f"not close (F@0.01 below 0.8): {len(found)} of {total} shapes")
    for cause in dict.fromkeys(causes[0].cause for causes in found.values()):
        names = [name for name, causes in found.items() if causes[0].cause is cause]
        first = found[names[0]][0]
        say(f"  {cause.value}: {len(names)}, {_some(names)}; {names[0]}: {first.why}")
        say(f"    next: {first.command}")


def _figures(row: StoredFigures, facts: SpaceInfo, ratio: float | None) -> Figures:
    kind = class_of(row.name)
    known = sum(class_of(name) == kind for name in facts.names) > 1 if kind and ratio is not None else None
    count = visits(facts.history, len(facts.names))
    return Figures(row.metadata, row.mode, row.nbytes, None, ratio, known, count)


def _report(row: StoredFigures, figures: Figures, found: Sequence[Diagnosis]) -> dict[str, Any]:
    audit = row.metadata.get("audit")
    bad = is_bad(figures)
    return {
        "name": row.name,
        "mode": row.mode,
        "bytes": row.nbytes,
        "code_bytes": row.code_bytes,
        "verdict": "not measured" if bad is None else "not close" if bad else "close",
        "fit_error": row.metadata.get("fit_error"),
        "f_score": row.f_score,
        "tolerance": row.metadata.get("tolerance"),
        "source": row.metadata.get("source"),
        "audit": None if audit is None else _audit_line(audit),
        "code_ratio": figures.code_ratio,
        "nearest": None,
        "diagnosis": [item.to_dict() for item in found],
    }


def _audit_line(audit: Mapping[str, Any]) -> str:
    closed = "closed" if audit["watertight"] else f"open ({audit['boundary_edges']:,} boundary edges)"
    size = " x ".join(f"{extent:.4g}" for extent in audit["extents"])
    return f"{audit['faces']:,} faces, {closed}, {audit['components']} component(s), size {size}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
