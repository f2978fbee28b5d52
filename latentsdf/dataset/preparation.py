"""Preparation of a dataset from a folder of meshes: parallel, limited, resumable, not stopped by one bad mesh.

Every finished shape goes to its own part file in `<target>.parts/`; at the end the parts become the target in
one step. A killed run leaves its parts behind, and the next run reuses those whose fingerprint still holds.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.hdf5 import one_line, remove_stale
from ..core.processes import Limits, LostTask, core_count, run_pool
from ..mesh.audit import Audit
from ..mesh.distance import compile_backend
from ..mesh.folder import find_meshes
from ..mesh.load import load_mesh
from .file import ShapeSamples, StoredShape, stored_shapes, write_part
from .file_info import VERSION
from .mesh_samples import sample_mesh
from .remote_parts import run_remote
from .sampling import SamplingConfig
from .shards import ShardPlan


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Sampling of a folder of meshes, and the limits of each mesh."""

    sampling: SamplingConfig = SamplingConfig()
    """Samples of each mesh; changing it makes every shape anew."""
    time_limit: float = 300.0
    """Seconds one mesh may take; larger lets huge meshes through, smaller bounds the whole run."""
    memory_limit: float = 6.0
    """GiB a worker may hold; larger lets huge meshes through, workers times this should fit the machine."""
    shard: float = 4.0
    """GiB of samples in one file. A larger dataset is divided into shards, and what is added leaves them as they are:
    larger makes fewer files, smaller copies less where little is added."""

    def __post_init__(self) -> None:
        for field in ("time_limit", "memory_limit", "shard"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")
        if self.memory_limit > 2**14:
            raise ValueError(f"memory_limit is in GiB, so {self.memory_limit:g} cannot be meant")


@dataclass(frozen=True, kw_only=True)
class PrepareRow:
    """Outcome of one mesh file."""

    name: str
    status: str
    """ok (made now), reused (from an earlier run) or skipped."""
    reason: str = ""
    """Why it was skipped, one line; empty otherwise."""
    seconds: float = 0.0
    samples: int = 0
    audit: Audit | None = None


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """Outcome of `prepare`: a row for each mesh file, in the order of the names."""

    path: Path
    rows: tuple[PrepareRow, ...]
    seconds: float

    @property
    def ok(self) -> int:
        """Meshes in the dataset, made now or reused."""
        return sum(row.status != "skipped" for row in self.rows)

    @property
    def skipped(self) -> int:
        """Mesh files that are not in the dataset; their rows say why."""
        return len(self.rows) - self.ok

    @property
    def samples(self) -> int:
        """Samples in the dataset, all shapes and groups together."""
        return sum(row.samples for row in self.rows)

    def __str__(self) -> str:
        return f"{self.path}: {self.ok} shapes, {self.samples} samples, {self.skipped} skipped, {self.seconds:.1f} s"


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One mesh file and the part file of its samples; all that a worker needs."""

    name: str
    source: str
    mesh: Path
    part: Path
    config: SamplingConfig
    seed: int

    def fingerprint(self) -> str:
        """Digest of everything that the samples depend on: the mesh's bytes, its name, seed and settings."""
        stat = self.mesh.stat()
        facts = [VERSION, self.source, self.seed, asdict(self.config), stat.st_size, stat.st_mtime_ns]
        digest = hashlib.sha256(json.dumps(facts).encode())
        # a .gltf file keeps its numbers in .bin files beside it
        beside = self.mesh.parent.glob("*.bin") if self.mesh.suffix.lower() == ".gltf" else []
        for path in (self.mesh, *sorted(beside)):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def prepare(
    source_dir: str | Path,
    target: str | Path,
    *,
    config: PrepareConfig | None = None,
    workers: int | None = None,
    seed: int = 0,
    on_row: Callable[[PrepareRow, int, int], None] | None = None,
    executor: Executor | None = None,
) -> PrepareReport:
    """Sample every mesh below a folder into one dataset file.

    A shape's name is its path below the folder without the ending; its class is the first folder of the name.
    Shapes that a target or an interrupted run already holds, made from the same file in the same way, are
    reused; those whose mesh is gone are dropped.

    Args:
        source_dir: folder of PLY, OBJ, STL, OFF, GLB or glTF files, also in sub-folders; no hidden ones.
        target: the dataset file; replaced in one step at the end, and untouched until then. A large one has its
            samples in `<target>.shards/`, see `shards`, of which those that are there are not written again.
        config: sampling, and limits for each mesh.
        workers: meshes sampled at the same time, each in a process of one thread; one a core when None.
        seed: with the name of a shape, the only source of randomness.
        on_row: called with (row, rows done, rows in all) as rows come in.
        executor: whose workers sample the meshes in place of processes of this machine, with the same result; they
            read the meshes by the same paths (`core.cluster.open_cluster`).

    Returns:
        A row for each mesh file.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no mesh below the folder, none that could be sampled, or a target that is not a dataset.
        OSError: the disk refused, or the executor's cluster is gone; the target is as it was.
        KeyboardInterrupt: the workers are stopped, finished shapes are kept for the next run.

    Example:
        >>> report = prepare("datasets/chairs", "chairs.h5")
    """
    begin = time.monotonic()
    config = config or PrepareConfig()
    source_dir, target = Path(source_dir), Path(target)
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    meshes, nameless = find_meshes(source_dir)
    earlier = stored_shapes(target) if target.exists() else {}
    remove_stale(target)
    parts = _parts_of(target)
    parts.mkdir(parents=True, exist_ok=True)
    run = _Run(len(meshes) + len(nameless), on_row)
    for name, reason in nameless:
        run.add(PrepareRow(name=name, status="skipped", reason=reason))
    tasks = [
        _task(name, file, file.relative_to(source_dir).as_posix(), parts, config.sampling, seed)
        for name, file in meshes
    ]
    pending = run.reuse(tasks, earlier)
    limits = Limits(time=config.time_limit, memory=config.memory_limit)
    if executor is not None:
        run.sample(run_remote(_answer, pending, executor, limits))
    elif pending:
        compile_backend()
        run.sample(run_pool(_answer, pending, workers or core_count(), limits))
    rows = sorted(run.rows, key=lambda row: row.name)
    if not run.shapes:
        with contextlib.suppress(OSError):
            parts.rmdir()
        first = f"{rows[0].name}: {rows[0].reason}"
        raise ValueError(f"none of the {len(rows)} meshes in {source_dir} could be sampled; the first: {first}")
    shapes = [run.shapes[name] for name in sorted(run.shapes)]
    if shapes != list(earlier.values()):
        plan = ShardPlan(target, shapes, config.shard * 2**30)
        _require_disk_space(target, plan.copied)
        plan.write(config.sampling, seed)
    shutil.rmtree(parts, ignore_errors=True)
    return PrepareReport(path=target, rows=tuple(rows), seconds=time.monotonic() - begin)


class _Run:
    """Rows and finished shapes of a run, as they come in."""

    def __init__(self, total: int, on_row: Callable[[PrepareRow, int, int], None] | None):
        self._total, self._on_row = total, on_row
        self.rows: list[PrepareRow] = []
        self.shapes: dict[str, StoredShape] = {}

    def add(self, row: PrepareRow) -> None:
        """Keep a row and report it."""
        self.rows.append(row)
        if self._on_row is not None:
            self._on_row(row, len(self.rows), self._total)

    def reuse(self, tasks: list[_Task], earlier: dict[str, StoredShape]) -> list[_Task]:
        """Take the shapes that an earlier run finished from the same file in the same way; return the other tasks."""
        pending = []
        for task in tasks:
            shape = _reusable(task, earlier)
            if shape is None:
                pending.append(task)
            else:
                self.shapes[task.name] = shape
                self.add(PrepareRow(name=task.name, status="reused", samples=shape.samples, audit=shape.audit))
        return pending

    def sample(self, answers: Generator[tuple[_Task, PrepareRow | OSError | LostTask], None, None]) -> None:
        """Take the answers of tasks as they come in; a refusal of the disk ends the run."""
        with contextlib.closing(answers) as pool:
            for task, answer in pool:
                if isinstance(answer, OSError):
                    raise answer
                if isinstance(answer, LostTask):
                    answer = PrepareRow(name=task.name, status="skipped", reason=answer.reason, seconds=answer.seconds)
                if answer.status == "ok":
                    self.shapes.update(stored_shapes(task.part))
                self.add(answer)


def _parts_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.parts")


def _task(name: str, mesh: Path, source: str, parts: Path, config: SamplingConfig, seed: int) -> _Task:
    """The task of a mesh, with a seed and a part file of its own."""
    own = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
    part = parts / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.h5"
    return _Task(name=name, source=source, mesh=mesh, part=part, config=config, seed=own)


def _reusable(task: _Task, earlier: dict[str, StoredShape]) -> StoredShape | None:
    """The stored shape of a task whose fingerprint still holds, from the target or from a part."""
    stored = [earlier[task.name]] if task.name in earlier else []
    if task.part.exists():
        with contextlib.suppress(ValueError):
            stored += stored_shapes(task.part, thorough=True).values()
    if not stored:
        return None
    try:
        fingerprint = task.fingerprint()
    except OSError:
        return None
    return next((shape for shape in stored if shape.fingerprint == fingerprint), None)


def _require_disk_space(target: Path, shapes: list[StoredShape]) -> None:
    """Refuse a dataset that the disk cannot hold, before it is written."""
    needed, free = 8 * sum(shape.samples for shape in shapes), shutil.disk_usage(target.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"no space for {target}: {needed / 2**20:.0f} MiB wanted, {free / 2**20:.0f} MiB free; free some "
            f"and run it again, finished shapes are kept in {_parts_of(target)}",
        )


def _answer(task: _Task) -> PrepareRow | OSError:
    """Do one task inside a worker: a row, or the error of a disk that refuses, which ends the run."""
    begin = time.monotonic()
    try:
        fingerprint = task.fingerprint()
        samples = sample_mesh(load_mesh(task.mesh), task.config, task.seed)
        shape = ShapeSamples(task.name, task.source, fingerprint, samples)
    except Exception as error:
        reason = one_line(error)
        if isinstance(error, MemoryError):
            reason = "the machine ran out of memory; use fewer workers or simplify the mesh"
        elif not isinstance(error, (ValueError, OSError)):
            reason = f"{type(error).__name__}: {reason}"
        return PrepareRow(name=task.name, status="skipped", reason=reason, seconds=time.monotonic() - begin)
    try:
        write_part(task.part, shape, task.config, task.seed)
    except OSError as error:
        return OSError(*error.args)
    return PrepareRow(
        name=task.name,
        status="ok",
        seconds=time.monotonic() - begin,
        samples=sum(len(group) for group in samples.groups.values()),
        audit=samples.audit,
    )
