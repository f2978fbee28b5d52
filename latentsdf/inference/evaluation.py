"""How well a space holds shapes: encode meshes, mesh the codes, compare with the originals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh

from ..core.frame import Frame
from ..mesh.load import load_mesh
from ..mesh.metrics import Comparison, compare
from ..mesh.repair import repair_mesh
from ..space.retrieval import RetrievalScores, retrieval_scores
from ..space.shape import Shape
from ..space.space import LatentSpace
from .code_fitting import EncodeConfig
from .encoding import encode


@dataclass(frozen=True)
class EvaluationRow:
    """One mesh: its name, the comparison or the reason there is none, the branch of the decoder, and seconds."""

    name: str
    branch: str
    seconds: float
    comparison: Comparison | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, figures flat."""
        figures = self.comparison.to_dict() if self.comparison else {}
        return {
            "name": self.name,
            "branch": self.branch,
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
            **figures,
        }


def evaluate(
    space: LatentSpace,
    meshes: Sequence[tuple[str, Path]],
    *,
    known: bool = False,
    branches: Sequence[str] | None = None,
    resolution: int = 128,
    config: EncodeConfig | None = None,
    on_row: Callable[[EvaluationRow, int, int], None] | None = None,
) -> tuple[list[EvaluationRow], list[Shape]]:
    """Compare meshes with what the space makes of them.

    Args:
        space: what is judged.
        meshes: (name, file) of each.
        known: use the code stored under the name where there is one; False encodes every mesh as unseen.
        branches: fields of the decoder to judge, one row each; None is the one that users get.
        resolution: lattice cells per axis of the meshes compared.
        config: of the encoding; its seed is also that of the comparisons.
        on_row: called with each row, how many are done, and how many there are.

    Returns:
        Rows, and the shapes that were encoded (for retrieval). A mesh that cannot be read, or a code without a
        surface, is a row with a reason; an empty surface counts as failure and is never left out of a count.
    """
    branches = list(branches or [space.decoder.branches[-1]])
    seed = 0 if config is None else config.seed
    rows: list[EvaluationRow] = []
    shapes: list[Shape] = []
    for name, path in meshes:
        began = monotonic()
        try:
            truth, _ = repair_mesh(load_mesh(path))
            stored = known and name in space
            shape = space[name] if stored else encode(space, truth, name=name, config=config)
        except (ValueError, OSError) as error:
            for branch in branches:
                rows.append(EvaluationRow(name, branch, monotonic() - began, None, str(error)))
                _tell(on_row, rows, len(meshes) * len(branches))
            continue
        if not stored:
            shapes.append(shape)
        for branch in branches:
            rows.append(_row(shape, branch, truth, resolution, began, seed))
            _tell(on_row, rows, len(meshes) * len(branches))
            began = monotonic()
    return rows, shapes


def summarize(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Medians and means over rows of one branch; a row without a surface counts as F = 0 and Chamfer = 1."""
    read = [row for row in rows if row.comparison is not None or row.reason.startswith(NO_SURFACE)]
    if not read:
        return {"shapes": 0}
    figures = [row.comparison for row in read]
    columns = {
        "chamfer_l1": [item.chamfer_l1 if item else 1.0 for item in figures],
        "normal_consistency": [item.normal_consistency if item else 0.0 for item in figures],
    }
    for threshold in (0.005, 0.01, 0.02):
        columns[f"f_{threshold}"] = [item.f_scores[threshold] if item else 0.0 for item in figures]
    summary: dict[str, Any] = {"shapes": len(read), "without_surface": sum(item is None for item in figures)}
    for name, values in columns.items():
        summary[name] = {"median": float(np.median(values)), "mean": float(np.mean(values))}
    return summary


def retrieval(space: LatentSpace, queries: Sequence[Shape]) -> RetrievalScores | None:
    """Scores of finding the class of unseen shapes among those stored, by Euclidean distance of codes.

    A stored shape of a query's own name may be the query itself, and is not counted as found.

    Returns:
        The scores, or None where the names carry no classes or there is nothing to compare.
    """
    labels = [shape.class_name for shape in space.values()]
    kept = [shape for shape in queries if shape.class_name and labels.count(shape.class_name) > (shape.name in space)]
    if not kept:
        return None
    distances = torch.cdist(torch.stack([shape.code for shape in kept]), space.codes()).cpu().numpy()
    for row, shape in enumerate(kept):
        distances[row, [name == shape.name for name in space]] = np.inf
    return retrieval_scores(distances, [shape.class_name for shape in kept], labels)


NO_SURFACE = "no surface"


def _row(shape: Shape, branch: str, truth: trimesh.Trimesh, resolution: int, began: float, seed: int) -> EvaluationRow:
    try:
        made = shape.mesh(resolution, branch)
    except ValueError as error:
        return EvaluationRow(shape.name, branch, monotonic() - began, None, f"{NO_SURFACE}: {error}")
    figures = compare(made, truth, seed=seed, frame=Frame.around(truth.vertices))
    return EvaluationRow(shape.name, branch, monotonic() - began, figures)


def _tell(on_row: Callable[[EvaluationRow, int, int], None] | None, rows: list[EvaluationRow], total: int) -> None:
    if on_row is not None:
        on_row(rows[-1], len(rows), total)
