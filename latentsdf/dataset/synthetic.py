"""The embedded default collection: meshes of the parametric families in one folder a class."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.processes import Limits, LostTask, run_pool
from ..mesh.isosurface import extract_mesh
from ..primitives.families import FAMILIES

OnMesh = Callable[[str, int, int], None]


def write_families(
    out_dir: str | os.PathLike[str],
    count: int = 20,
    seed: int = 0,
    resolution: int = 96,
    on_mesh: OnMesh | None = None,
    *,
    families: Sequence[str] | None = None,
    workers: int = 1,
) -> list[Path]:
    """Write meshes of random members of the parametric families, and their parameters.

    A shape depends on family, seed and index alone, so a larger count extends a smaller one.

    Args:
        out_dir: folder that gets `<family>/<index>.ply` (index of three digits) and `parameters.json`, whose `shapes`
            maps `<family>/<index>` to its parameters. Files of those names are replaced.
        count: shapes a family.
        seed: another seed gives other shapes of the same families.
        resolution: cells along the side of the cube [-1, 1]^3 that the meshes are extracted on.
        on_mesh: called with (name, done, total) after each mesh.
        families: the classes to write; all of them by default.
        workers: processes that mesh at the same time.

    Returns:
        The paths of the meshes, in order of name.

    Raises:
        ValueError: count below 1, a negative seed, or an unknown family.
        RuntimeError: a worker was lost; the text says which mesh and why.
    """
    if count < 1:
        raise ValueError(f"the count of shapes a family must be at least 1, got {count}")
    if seed < 0:
        raise ValueError(f"the seed must not be negative, got {seed}")
    names = sorted(set(FAMILIES if families is None else families))
    for name in names:
        if name not in FAMILIES:
            raise ValueError(f"no family named {name!r}; known are {', '.join(FAMILIES)}")
    target = Path(out_dir)
    digits = max(3, len(str(count - 1)))
    tasks = []
    for family in (FAMILIES[name] for name in names):
        (target / family.name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            name = f"{family.name}/{index:0{digits}d}"
            tasks.append(_Member(family.name, name, target / f"{name}.ply", resolution, family.sample((seed, index))))
    with contextlib.closing(_mesh_all(tasks, workers)) as answers:
        for done, (task, answer) in enumerate(answers, 1):
            if isinstance(answer, LostTask):
                raise RuntimeError(f"{task.name} could not be made: {answer.reason}")
            if on_mesh is not None:
                on_mesh(task.name, done, len(tasks))
    record = {"seed": seed, "count": count, "resolution": resolution, "shapes": {t.name: t.values for t in tasks}}
    (target / "parameters.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return [task.path for task in tasks]


class _Member(NamedTuple):
    """One shape to mesh; all that a worker needs."""

    family: str
    name: str
    path: Path
    resolution: int
    values: dict[str, float]


def _mesh_all(tasks: list[_Member], workers: int) -> Generator[tuple[_Member, None | LostTask], None, None]:
    if workers > 1:
        yield from run_pool(_write_mesh, tasks, workers, Limits(time=600.0, memory=4.0))
    else:
        for task in tasks:
            yield task, _write_mesh(task)


def _write_mesh(task: _Member) -> None:
    extract_mesh(FAMILIES[task.family].sdf(task.values), task.resolution, lipschitz=1.0).export(task.path)
