"""Part files of meshes that workers of an executor sample: made there, written here, once."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from ..core.executors import run_executor
from ..core.hdf5 import atomic_replace
from ..core.processes import Limits, LostTask


def run_remote(
    job: Callable[[Any], Any], tasks: Sequence[Any], executor: Executor, limits: Limits
) -> Generator[tuple[Any, Any | LostTask], None, None]:
    """Call a job that writes the part file of a task by the workers of an executor, and write the files here.

    Args:
        job: task -> answer, a function of a module; it writes `task.part`.
        tasks: dataclasses with the paths `mesh`, which the workers read, and `part`.
        executor: see `core.executors.run_executor`.
        limits: of one task.

    Yields:
        Each task with its answer, once its part is written, or with the reason why it was lost.

    Raises:
        OSError: the disk refused, or the executor takes no tasks any more.
    """
    originals = {task.part: task for task in tasks}
    absolute = [dataclasses.replace(task, mesh=task.mesh.absolute()) for task in tasks]
    for task, found in run_executor(partial(_with_part, job), absolute, executor, limits):
        if isinstance(found, LostTask):
            yield originals[task.part], found
            continue
        answer, part = found
        if part:
            with atomic_replace(task.part) as temporary:
                temporary.write_bytes(part)
        yield originals[task.part], answer


def _with_part(job: Callable[[Any], Any], task: Any) -> tuple[Any, bytes]:
    """Answer of a job and the bytes of the part file that it wrote, if it did, in a folder of the worker's own."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / task.part.name
        answer = job(dataclasses.replace(task, part=part))
        return answer, part.read_bytes() if part.exists() else b""
