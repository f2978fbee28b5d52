"""The parts of the demo on an encoded collection, each by a worker process."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.hdf5 import one_line
from ..core.processes import Limits, LostTask, core_count, run_pool
from ..dataset.real_shapes import real_shapes
from ..space.store import load
from .demo_scan import scan
from .demo_stages import Stage, bytes_of_shapes, duplicates_of, morph, search_moved
from .progress import Bar

LIMITS = Limits(time=900.0, memory=8.0)
"""Of one part: seconds, and GiB of its process."""
PARTS = {
    "scan": scan,
    "duplicates": duplicates_of,
    "search": search_moved,
    "morph": morph,
    "bytes": bytes_of_shapes,
}
"""By name, those that take longest first."""


class PartTask(NamedTuple):
    """One part of the demo.

    Attributes:
        part: name in `PARTS`.
        base: file of the space that comes with the library.
        out: folder of the demo, which holds its space and meshes.
        shapes: number of real shapes asked for; None for all.
        seed: of everything random.
    """

    part: str
    base: Path
    out: Path
    shapes: int | None
    seed: int


def run_part(task: PartTask) -> Any:
    """What a part returns, or the reason in one line why it could not be done."""
    options = Namespace(quiet=True, seed=task.seed, shapes=task.shapes)
    try:
        space = load(task.out / "space.h5")
        meshes = {shape.name: shape.mesh for shape in real_shapes(task.shapes) if shape.name in space}
        names = {name: meshes[name] for name in space}
        return PARTS[task.part](Stage(space, load(task.base), names, task.out, options))
    except (ValueError, OSError) as error:
        return one_line(error)


def run_parts(base: Path, out: Path, shapes: int | None, seed: int, quiet: bool) -> dict[str, Any]:
    """What all parts return, by name.

    Raises:
        ValueError: a part could not be done.
    """
    tasks, found = [PartTask(part, base, out, shapes, seed) for part in PARTS], {}
    with (
        Bar(", ".join(PARTS), quiet, len(tasks)) as bar,
        contextlib.closing(run_pool(run_part, tasks, core_count(), LIMITS)) as pool,
    ):
        for task, answer in pool:
            if isinstance(answer, (str, LostTask)):
                reason = answer if isinstance(answer, str) else answer.reason
                raise ValueError(f"the {task.part} of the demo could not be done: {reason}")
            found[task.part] = answer
            bar.update(len(found), task.part)
    return found
