"""Tasks on the workers of an executor, each under the limits of its process, as `processes` does on this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import Any

import psutil
import torch

from .hdf5 import one_line
from .processes import Answer, Limits, LostTask, Task

AHEAD = 1024
"""Tasks that are submitted before their answers are taken; more keep more workers busy and hold more answers."""
_POLL = 0.2
_EXIT_CODE = 3


def run_executor(
    job: Callable[[Task], Answer], tasks: Iterable[Task], executor: Executor, limits: Limits, ahead: int = AHEAD
) -> Generator[tuple[Task, Answer | LostTask], None, None]:
    """Call a job on each task by the workers of an executor, and yield (task, answer) in order of completion.

    A worker that exceeds the limits ends, as one that crashes; the engine starts another one and runs the task again,
    and after some times gives it up: then it is lost. Closing the generator cancels what waits.

    Args:
        job: a function of a module that the workers can import; it must not raise.
        tasks: its arguments; they and the answers must be picklable.
        executor: of `concurrent.futures`, or with its interface.
        limits: of one task; without effect on a thread of this process.
        ahead: most tasks submitted at a time.

    Yields:
        Each task with its answer, or with the reason why it was lost.

    Raises:
        ConnectionError: the executor takes no tasks any more.
    """
    caller, rest = (platform.node(), os.getpid()), iter(tasks)
    running: dict[Future[Answer], tuple[Task, float]] = {}
    try:
        while True:
            for task in rest:
                running[executor.submit(_guarded, job, task, limits, caller)] = task, time.monotonic()
                if len(running) >= ahead:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, since = running.pop(future)
                yield task, _answer(future, time.monotonic() - since)
    except (BrokenExecutor, CancelledError, RuntimeError) as error:
        raise ConnectionError(
            f"the cluster takes no tasks any more ({one_line(error)}); start it again and give the same command: "
            "finished work is kept"
        ) from error
    finally:
        for future in running:
            future.cancel()


def _answer(future: Future[Any], seconds: float) -> Any:
    """Answer of a future that is done, or the reason why there is none; CancelledError where the engine is gone."""
    try:
        return future.result()
    except (BrokenExecutor, CancelledError):
        raise
    except Exception as error:
        reason = f"its workers died, by a limit of time or memory or since it crashes a library ({one_line(error)})"
        return LostTask(reason=reason, seconds=seconds)


def _guarded(job: Callable[[Any], Any], task: Any, limits: Limits, caller: tuple[str, int]) -> Any:
    """Do a task in a worker, whose process ends where it exceeds its limits; by one thread, as in `processes`."""
    if caller == (platform.node(), os.getpid()):
        return job(task)
    done = threading.Event()
    threading.Thread(target=_watch, args=(done, limits), daemon=True).start()
    try:
        torch.set_num_threads(1)
        return job(task)
    finally:
        done.set()


def _watch(done: threading.Event, limits: Limits) -> None:
    began, process = time.monotonic(), psutil.Process()
    while not done.wait(_POLL):
        held = 0
        with contextlib.suppress(psutil.Error):
            held = process.memory_info().rss
        if time.monotonic() - began > limits.time or held > limits.memory * 2**30:
            os._exit(_EXIT_CODE)
