"""prepare and encode by other executors: a real Dask cluster, one worker of which is killed, and plain threads."""

from __future__ import annotations

import operator
import os
import shutil
import signal
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_SAMPLING

from latentsdf.cli import main
from latentsdf.core import executors
from latentsdf.core.cluster import open_cluster
from latentsdf.core.executors import run_executor
from latentsdf.core.processes import Limits, LostTask
from latentsdf.dataset.preparation import PrepareConfig, PrepareRow, prepare

TINY = PrepareConfig(sampling=TINY_SAMPLING)
GENEROUS = Limits(time=600.0, memory=64.0)


@pytest.mark.slow
def test_a_killed_worker_of_a_dask_cluster_changes_no_byte(
    mesh_dir: Path, dataset_path: Path, space_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'latentsdf[dask]'")
    monkeypatch.setattr("latentsdf.cli.encode.BATCH", 2)
    monkeypatch.chdir(mesh_dir)
    before: list[int] = []
    form = {"threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1", "silence_logs": 60}
    with distributed.LocalCluster(n_workers=1, **form) as cluster:
        url = cluster.scheduler_address.replace("tcp://", "dask://")

        def kill(row: PrepareRow, done: int, total: int) -> None:
            if not before:
                before.extend(nanny.pid for nanny in cluster.workers.values())
                os.kill(before[0], signal.SIGKILL)

        with open_cluster(url) as executor:
            report = prepare(mesh_dir, tmp_path / "cluster.h5", config=TINY, on_row=kill, executor=executor)
        command = ["--steps", "1", "--quiet", "--replace", "box/0.ply", "none.ply", "ring/2.ply"]
        for name, options in (("here.h5", []), ("there.h5", ["--cluster", url])):
            space = str(shutil.copy(space_path, tmp_path / name))
            assert main(["encode", space, *command, *options]) == 0
        assert {nanny.pid for nanny in cluster.workers.values()} != set(before)
    assert [row.status for row in report.rows] == ["ok"] * 9
    assert report.path.read_bytes() == dataset_path.read_bytes()
    assert (tmp_path / "here.h5").read_bytes() == (tmp_path / "there.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.h5", "here.h5", "there.h5"]


class _Engine(Executor):
    """An engine without workers: the answer of each task is a given exception."""

    def __init__(self, error: Exception):
        self.error = error

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(self.error)
        return future


def test_every_task_of_an_executor_is_answered_and_few_are_submitted_ahead() -> None:
    taken: list[int] = []

    def tasks() -> Any:
        for number in range(9):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as executor:
        answers = run_executor(operator.neg, tasks(), executor, GENEROUS, ahead=3)
        first = next(answers)
        assert len(taken) == 3
        assert dict([first, *answers]) == {number: -number for number in range(9)}


def test_a_task_that_the_engine_gave_up_is_lost_and_an_engine_that_is_gone_ends_the_run() -> None:
    [(task, lost)] = run_executor(time.sleep, [0.0], _Engine(OSError("died 4 times")), GENEROUS)
    assert task == 0.0
    assert isinstance(lost, LostTask)
    assert "died 4 times" in lost.reason
    with ThreadPoolExecutor(1) as executor:
        executor.shutdown()
        with pytest.raises(ConnectionError, match="takes no tasks any more"):
            list(run_executor(time.sleep, [0.0], executor, GENEROUS))


@pytest.mark.parametrize("limits", [Limits(time=0.05, memory=64.0), Limits(time=60.0, memory=0.001)])
def test_a_worker_over_its_limits_ends_and_a_thread_of_the_caller_does_not(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(executors, "_POLL", 0.02)
    monkeypatch.setattr(os, "_exit", codes.append)
    with ThreadPoolExecutor(1) as executor:
        assert list(run_executor(time.sleep, [0.2], executor, limits)) == [(0.2, None)]
    assert not codes
    monkeypatch.setattr("platform.node", iter(["caller", "worker"]).__next__)
    with ThreadPoolExecutor(1) as executor:
        assert list(run_executor(time.sleep, [0.2], executor, limits)) == [(0.2, None)]
    assert codes


@pytest.mark.slow
def test_ray_gives_the_same_bytes(mesh_dir: Path, dataset_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'latentsdf[ray]'")
    with open_cluster("ray://local") as executor:
        found = prepare(mesh_dir, tmp_path / "ray.h5", config=TINY, executor=executor).path
    assert found.read_bytes() == dataset_path.read_bytes()


@pytest.mark.parametrize(
    ("url", "missing", "text"),
    [
        ("dask:host:1", "", "'dask:host:1' is no cluster; give dask://HOST:PORT"),
        ("dask://host", "", "'dask://host' is no cluster"),
        ("slurm://host:1", "", "'slurm://host:1' is no cluster"),
        ("ray://host:1", "ray", "ray://host:1 needs the package ray; pip install 'latentsdf[ray]'"),
        ("dask://host:1", "distributed", "needs the package distributed; pip install 'latentsdf[dask]'"),
    ],
)
def test_a_wrong_url_or_a_missing_package_is_one_line(
    mesh_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str,
    missing: str,
    text: str,
) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr("latentsdf.core.cluster.find_spec", lambda name: None if name == missing else find_spec(name))
    assert main(["prepare", str(mesh_dir), str(tmp_path / "d.h5"), "--cluster", url]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text in error
    assert not list(tmp_path.iterdir())


def test_a_scheduler_that_does_not_answer_is_named(
    mesh_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed", reason="needs Dask: pip install 'latentsdf[dask]'")
    monkeypatch.setattr("latentsdf.core.cluster.CONNECT", 0.2)
    assert main(["prepare", str(mesh_dir), str(tmp_path / "d.h5"), "--cluster", "dask://127.0.0.1:9"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "latentsdf prepare: no Dask scheduler answers at dask://127.0.0.1:9 in 0.2 s; start one there with 'dask "
        "scheduler', or correct --cluster\n"
    )
    assert main(["prepare", str(mesh_dir), str(tmp_path / "d.h5"), "--cluster", "dask://a:9", "--workers", "2"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
