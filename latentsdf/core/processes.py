"""Killable worker processes: each task under a time and a memory limit, a crash costs one task.

`concurrent.futures` breaks as a whole when one worker dies and cannot stop a task that runs; here a worker is
killed and replaced, and the others go on. Processes are spawned, so it works the same on every system.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import types
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Generic, TypeVar

import psutil
import torch

_POLL = 0.1
_WORTH_A_PROCESS = 3
"""Tasks of a second that pay for the start of a process, which takes about three."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Task = TypeVar("Task")
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one task: seconds, and GiB of resident memory of its process."""

    time: float
    memory: float


@dataclass(frozen=True, kw_only=True)
class LostTask:
    """A task without an answer: the reason in one line, and the seconds it took."""

    reason: str
    seconds: float


def core_count() -> int:
    """Cores that this process may use."""
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return len(affinity()) if affinity else os.cpu_count() or 1


def job_count(tasks: int) -> int:
    """Processes for tasks of a second or more: one a core, but none that would take longer to start than it saves."""
    return min(core_count(), max(1, tasks // _WORTH_A_PROCESS))


def run_tasks(
    job: Callable[[Task], Answer], tasks: Sequence[Task], jobs: int | None, limits: Limits
) -> Generator[tuple[Task, Answer | LostTask], None, None]:
    """`run_pool`, or one task after the other in this process, without limits, where one process is enough.

    Args:
        job, tasks, limits: as there.
        jobs: processes; None takes `job_count`.
    """
    workers = jobs or job_count(len(tasks))
    if workers > 1:
        yield from run_pool(job, tasks, workers, limits)
        return
    for task in tasks:
        yield task, job(task)


def run_pool(
    job: Callable[[Task], Answer], tasks: Iterable[Task], workers: int, limits: Limits
) -> Generator[tuple[Task, Answer | LostTask], None, None]:
    """Call a job on each task in single-threaded worker processes, and yield (task, answer) in order of completion.

    Closing the generator, or an exception at its yield, kills the workers.

    Args:
        job: a function of a module (it is imported by name in the worker); it must not raise.
        tasks: its arguments; they and the answers must be picklable.
        workers: most processes at a time.
        limits: a task beyond them is lost, and its worker replaced.

    Yields:
        Each task with its answer, or with the reason why it was lost.

    Raises:
        RuntimeError: worker processes cannot start.
    """
    queue, pool = deque(tasks), list[_Worker[Task]]()
    workers = min(workers, 60) if sys.platform == "win32" else workers  # Windows waits for 63 handles at most
    try:
        while queue or any(worker.busy for worker in pool):
            while len(pool) < min(workers, len(queue) + sum(worker.busy for worker in pool)):
                pool.append(_Worker(job))
            for worker in pool:
                if worker.ready and not worker.busy and queue:
                    worker.assign(queue.popleft())
            for worker in [worker for worker in pool if worker.busy]:
                if reason := worker.exceeded_limit(limits):
                    pool.remove(worker)
                    worker.kill()
                    yield worker.lost_task(reason)
            waits = [worker.since + limits.time - time.monotonic() for worker in pool if worker.busy]
            ready = connection.wait([worker.pipe for worker in pool], max(0.0, min([_POLL, *waits])))
            for worker in [worker for worker in pool if worker.pipe in ready]:
                yield from _receive(worker, pool, limits)
    finally:
        for worker in pool:
            worker.kill()


def _receive(worker: _Worker[Task], pool: list[_Worker[Task]], limits: Limits) -> Iterator[tuple[Task, Any | LostTask]]:
    """Read one message of a worker: it is ready, has an answer, or died; a dead or bloated one leaves the pool."""
    try:
        answer = worker.pipe.recv()
    except (EOFError, OSError):
        pool.remove(worker)
        cause = worker.reap()
        if not worker.ready:
            raise RuntimeError(f"a worker process could not start ({cause})") from None
        if worker.busy:
            yield worker.lost_task(f"the worker process died ({cause}); this input crashes a library")
        return
    if worker.busy:
        yield worker.tasks.pop(), answer
    worker.ready = True
    if worker.retains_memory(limits):
        pool.remove(worker)
        worker.kill()


class _Worker(Generic[Task]):
    """A process that answers one task at a time and can be killed at any moment."""

    def __init__(self, job: Callable[[Task], Any]):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, job), daemon=True)
        with _worker_environment():
            self.process.start()
        other.close()
        self.memory = psutil.Process(self.process.pid)
        self.ready = False
        self.baseline = 0
        self.tasks: list[Task] = []
        self.since = 0.0

    @property
    def busy(self) -> bool:
        return bool(self.tasks)

    def assign(self, task: Task) -> None:
        self.baseline = self.baseline or self.resident()
        self.tasks, self.since = [task], time.monotonic()
        with contextlib.suppress(OSError):  # a death between two tasks is noticed when the answer is awaited
            self.pipe.send(task)

    def exceeded_limit(self, limits: Limits) -> str:
        """The limit that the current task exceeds, in words; empty while it exceeds none."""
        held = self.resident() / 2**30
        if held > limits.memory:
            return f"memory limit: {held:.2f} GiB held, the limit is {limits.memory:g} GiB; raise it or simplify"
        if time.monotonic() - self.since > limits.time:
            return f"time limit: not done after {limits.time:g} s; raise the limit or simplify"
        return ""

    def retains_memory(self, limits: Limits) -> bool:
        """Whether past tasks left so much memory allocated that the next one would reach its limit by it."""
        return self.baseline > 0 and self.resident() - self.baseline > limits.memory * 2**30 / 2

    def lost_task(self, reason: str) -> tuple[Task, LostTask]:
        return self.tasks[0], LostTask(reason=reason, seconds=time.monotonic() - self.since)

    def resident(self) -> int:
        try:
            return self.memory.memory_info().rss
        except psutil.Error:
            return 0

    def kill(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.process.close()

    def reap(self) -> str:
        """Release a process that died, and say how it ended."""
        self.process.join(1.0)
        code = self.process.exitcode
        self.kill()
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"


def _serve(pipe: connection.Connection, job: Callable[[Any], Any]) -> None:
    """Main function of a worker: report ready, then answer tasks until the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(None)
        while True:
            pipe.send(job(pipe.recv()))


@contextlib.contextmanager
def _worker_environment() -> Iterator[None]:
    """Environment that a worker inherits: one thread per numeric library, no SIGINT, no main module to import.

    Libraries read their thread count while they are imported, so it must be in the environment before the
    process starts. A worker needs nothing of the main module, and without it a script may start workers at
    its top level.
    """
    main, before = sys.modules["__main__"], {key: os.environ.get(key) for key in _THREADS}
    mask = None
    if sys.platform != "win32":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # started later, it would unblock the signal again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
