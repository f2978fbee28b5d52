"""Batches of meshes encoded by processes of this machine or the workers of an executor, in the order of the meshes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path

from ..core.executors import run_executor
from ..core.processes import Limits, LostTask, run_pool
from .encode_task import Encoded, EncodeOptions, EncodeTask, encode_batch

LIMITS = Limits(time=3600.0, memory=16.0)
"""Of a batch: seconds, and GiB of the worker's process."""


def encode_batches(
    space: str, batches: Sequence[Sequence[tuple[str, str]]], options: EncodeOptions, workers: Executor | int
) -> Iterator[list[Encoded]]:
    """Encode meshes by single-threaded processes, or by the workers of an executor, which read the same paths.

    Args:
        space: file that the codes are for; a copy as it is now lies beside it meanwhile.
        batches: (name, file) of the meshes whose codes are fitted together.
        options: of the run.
        workers: most processes of this machine (`core.processes.run_pool`), or see `core.executors.run_executor`.

    Yields:
        What became of the meshes of a batch, batch after batch. Meshes of a batch that killed its workers are tried
        again at the end, one by one.

    Raises:
        OSError: the disk refused, or the executor takes no tasks any more.
    """
    folder = Path(space).absolute().parent
    with tempfile.TemporaryDirectory(dir=folder, prefix=".encoding-") as temporary:
        copy = Path(shutil.copy(space, temporary))
        absolute = [tuple((name, Path(file).absolute()) for name, file in batch) for batch in batches]
        tasks = [EncodeTask(copy, batch, options) for batch in absolute]
        order = {task.meshes[0][0]: number for number, task in enumerate(tasks)}
        waiting: dict[int, list[Encoded]] = {}
        lost: list[EncodeTask] = []
        written = 0
        with closing(_run(tasks, workers)) as answers:
            for task, found in answers:
                if isinstance(found, LostTask):
                    lost += [EncodeTask(copy, (mesh,), options) for mesh in task.meshes]
                    found = []
                waiting[order[task.meshes[0][0]]] = found
                while written in waiting:
                    yield waiting.pop(written)
                    written += 1
        with closing(_run(lost, workers)) as answers:
            for task, found in answers:
                name = task.meshes[0][0]
                yield [Encoded(name, found.reason)] if isinstance(found, LostTask) else found


def _run(
    tasks: list[EncodeTask], workers: Executor | int
) -> Generator[tuple[EncodeTask, list[Encoded] | LostTask], None, None]:
    """Tasks and their answers, in order of completion."""
    if isinstance(workers, int):
        return run_pool(encode_batch, tasks, workers, LIMITS)
    return run_executor(encode_batch, tasks, workers, LIMITS)
