"""Reconstruction and retrieval quality of a space: encode meshes, mesh the codes, compare with the originals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
import torch
import trimesh

from ..core.frame import Frame
from ..mesh.load import load_mesh
from ..mesh.metrics import Comparison, compare
from ..mesh.record import record_distances
from ..mesh.repair import repair_mesh
from ..mesh.search_record import whole_part
from ..space.retrieval import RetrievalScores, retrieval_scores
from ..space.shape import Shape
from ..space.space import LatentSpace
from .code_fitting import CodeFitter, EncodeConfig
from .encoding import code_fitter, encode_sampled, sample_for_codes


class Status(Enum):
    """Outcome of the evaluation of one mesh."""

    OK = "ok"
    NO_SURFACE = "no surface"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class EvaluationRow:
    """Result for one mesh and one branch.

    Attributes:
        name: of the mesh.
        branch: of the decoder.
        seconds: of the work on this row.
        status: OK with a comparison; no surface, or an unreadable mesh, without.
        comparison: figures, where there are any.
        reason: why there are none, one line.
    """

    name: str
    branch: str
    seconds: float
    status: Status
    comparison: Comparison | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, figures flat."""
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
    fitter: CodeFitter | None = None,
) -> tuple[list[EvaluationRow], list[Shape]]:
    """Compare meshes with their reconstructions by a space.

    Args:
        space: evaluated.
        meshes: (name, file) of each.
        known: use the code stored under the name where there is one; False encodes every mesh as unseen.
        branches: of the decoder, one row each, without corrections; None takes the shapes as they are.
        resolution: lattice cells per axis of the meshes compared.
        config: of the encoding; its seed is also that of the comparisons.
        on_row: called with each row, the number of rows so far, and their total.
        fitter: `code_fitter` of the space and the config; made here if None.

    Returns:
        Rows, and the shapes that were encoded (for retrieval). Meshes that cannot be read and codes without a surface
        are rows too.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    whole, branches = not branches, list(branches or [space.decoder.branches[-1]])
    config = config or EncodeConfig()
    rows: list[EvaluationRow] = []
    shapes: list[Shape] = []

    def add(row: EvaluationRow) -> None:
        rows.append(row)
        if on_row is not None:
            on_row(row, len(rows), len(meshes) * len(branches))

    for name, path in meshes:
        began = monotonic()
        try:
            truth, _ = repair_mesh(load_mesh(path))
            stored = known and name in space
            if stored:
                shape = space[name]
            else:
                fitter = fitter or code_fitter(space, config)
                (shape,) = encode_sampled(space, [(name, sample_for_codes(truth, config))], fitter)
        except (ValueError, OSError) as error:
            for branch in branches:
                add(EvaluationRow(name, branch, monotonic() - began, Status.UNREADABLE, reason=str(error)))
            continue
        if not stored:
            shapes.append(shape)
        for branch in branches:
            add(_evaluate_branch(shape, branch, truth, (resolution, config.seed, whole), began))
            began = monotonic()
    return rows, shapes


def summarize(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Medians and means over the readable meshes, and the share of them with the right number of components.

    A row without a surface counts as F = 0, Chamfer = 1, all of its area ghost and missing, and components wrong;
    roughness is over the rows with a surface.

    Args:
        rows: of one branch.

    Returns:
        JSON-ready figures.
    """
    figures = [row.comparison for row in rows if row.status is not Status.UNREADABLE]
    if not figures:
        return {"shapes": 0}
    columns = {
        "chamfer_l1": [item.chamfer_l1 if item else 1.0 for item in figures],
        "normal_consistency": [item.normal_consistency if item else 0.0 for item in figures],
        "ghost_area": [item.ghost_area if item else 1.0 for item in figures],
        "missing_area": [item.missing_area if item else 1.0 for item in figures],
        "roughness": [item.roughness for item in figures if item],
        "roughness_true": [item.roughness_true for item in figures if item],
    }
    for threshold in (0.005, 0.01, 0.02):
        columns[f"f_{threshold}"] = [item.f_scores[threshold] if item else 0.0 for item in figures]
    summary: dict[str, Any] = {"shapes": len(figures), "without_surface": sum(item is None for item in figures)}
    right = [item is not None and item.components == item.components_true for item in figures]
    summary["components_right"] = float(np.mean(right))
    for name, values in columns.items():
        if values:
            summary[name] = {"median": float(np.median(values)), "mean": float(np.mean(values))}
    return summary


def retrieval(
    space: LatentSpace, queries: Sequence[Shape], metric: Literal["record", "code"] | None = None
) -> RetrievalScores | None:
    """Scores of class retrieval: stored shapes ranked by their distance to a query, as `Index` ranks them.

    A stored shape of the query's own name may be the query itself, and is not counted.

    Args:
        space: searched.
        queries: unseen shapes; those whose class is not in the space are left out.
        metric: what is compared; None takes search records where every shape, stored or query, has one, else codes.

    Returns:
        The scores, or None where the names carry no classes or no query is left.
    """
    classes = [shape.class_name for shape in space.values()]
    queries = [item for item in queries if item.class_name and classes.count(item.class_name) > (item.name in space)]
    if not queries:
        return None
    if metric is None:
        recorded = all(shape.record is not None for shape in (*space.values(), *queries))
        metric = "record" if recorded else "code"
    if metric == "record":
        asked, stored = ([whole_part(shape.searched_by()) for shape in side] for side in (queries, space.values()))
        distances = record_distances(asked, stored)
    else:
        distances = torch.cdist(torch.stack([shape.code for shape in queries]), space.codes()).cpu().numpy()
    for row, shape in enumerate(queries):
        distances[row, [name == shape.name for name in space]] = np.inf
    return retrieval_scores(distances, [shape.class_name for shape in queries], classes)


def _evaluate_branch(
    shape: Shape, branch: str, truth: trimesh.Trimesh, settings: tuple[int, int, bool], began: float
) -> EvaluationRow:
    """The row of one branch; settings are the resolution of its mesh, the seed, and whether corrections count."""
    resolution, seed, whole = settings
    try:
        mesh = shape.mesh(resolution, None if whole else branch)
    except ValueError as error:
        reason = f"{Status.NO_SURFACE.value}: {error}"
        return EvaluationRow(shape.name, branch, monotonic() - began, Status.NO_SURFACE, reason=reason)
    seconds = monotonic() - began
    figures = compare(mesh, truth, seed=seed, frame=Frame.around(truth.vertices))
    return EvaluationRow(shape.name, branch, seconds, Status.OK, figures)
