"""Evaluation of some meshes by a worker process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.processes import Limits
from ..inference.code_fitting import EncodeConfig
from ..inference.evaluation import EvaluationRow, evaluate
from ..space.shape import Shape
from .worker_spaces import fits_of

LIMITS = Limits(time=1800.0, memory=8.0)
"""Of one mesh: seconds, and GiB of its process."""


class EvaluateTask(NamedTuple):
    """A mesh to be encoded and compared; the other attributes are the arguments of `evaluate`."""

    space: Path
    name: str
    file: Path
    known: bool
    branches: tuple[str, ...] | None
    resolution: int
    config: EncodeConfig


class Evaluated(NamedTuple):
    """Rows of a mesh, one a branch, and its shape without a decoder where it was encoded."""

    rows: list[EvaluationRow]
    shapes: list[Shape]


def evaluate_mesh(task: EvaluateTask) -> Evaluated:
    """Encode a mesh unless its code is used, and compare the surfaces."""
    nothing: Any = None
    space, fitter = fits_of(task.space, task.config)
    rows, shapes = evaluate(
        space,
        [(task.name, task.file)],
        known=task.known,
        branches=task.branches,
        resolution=task.resolution,
        config=task.config,
        fitter=fitter,
    )
    return Evaluated(rows, [replace(shape, decoder=nothing) for shape in shapes])
