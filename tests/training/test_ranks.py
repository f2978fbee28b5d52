"""Training by two processes, as `torchrun` starts them: the same losses, other numbers of processes, a killed one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY

from latentsdf.core.ranks import Ranks
from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder import CoarseVolumes, VolumesConfig
from latentsdf.space.store import load
from latentsdf.training.batch_sampler import BatchSampler
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import train
from latentsdf.training.sharding import Sharding

VOLUMES = VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(3, 5), channels=(4, 3), width=16, depth=2))
SHORT = replace(TINY, decoder=VOLUMES, points_per_shape=256, schedule_steps=200)


def start_two(dataset: Path, space: Path, *arguments: str) -> list[subprocess.Popen[str]]:
    """Two processes of `latentsdf train --resume`, with the environment of `torchrun --nproc-per-node 2`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "latentsdf", "train", str(dataset), str(space), "--resume", *arguments]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def losses(path: Path) -> dict[int, float]:
    """Losses in the log of a run, by step."""
    return {row["step"]: row["loss"] for row in load(path).history["log"]}


def test_batches_are_stratified_and_every_pass_has_all_shapes() -> None:
    sampler = BatchSampler(TrainConfig(shapes_per_batch=8), 29, 0)
    rows = torch.cat([sampler.rows(0, step) for step in range(29)])
    for order in rows.split(29):
        assert sorted(order.tolist()) == list(range(29))
    assert not torch.equal(rows[:29], rows[29:58])
    assert sorted((sampler.rows(0, 1) % 8).tolist()) == list(range(8))
    again = BatchSampler(TrainConfig(shapes_per_batch=8), 29, 0)
    assert torch.equal(again.rows(0, 17), sampler.rows(0, 17))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_each_shape_has_one_owner_and_each_process_its_part_of_a_batch(dataset: Dataset, size: int) -> None:
    shardings = [Sharding(Ranks(rank, size), dataset, 5) for rank in range(size)]
    owned = shardings[0].owned()
    assert sorted(torch.cat(owned).tolist()) == list(range(len(dataset)))
    rows = BatchSampler(TrainConfig(shapes_per_batch=5), len(dataset), 0).rows(0, 0)
    for sharding, own in zip(shardings, owned, strict=True):
        part = rows[sharding.own(rows)]
        assert len(part) in (5 // size, -(-5 // size))
        assert torch.equal(own[sharding.local(part)], part)
    rehearsed = torch.cat([sharding.own_rehearsed(4) for sharding in shardings])
    assert sorted(rehearsed.tolist()) == [0, 1, 2, 3]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_either_resumes_the_other(dataset: Dataset, tmp_path: Path) -> None:
    path, whole = tmp_path / "two.h5", tmp_path / "one.h5"
    train(dataset, SHORT, path=path, steps=2)
    two = start_two(dataset.path, path, "--steps", "4", "--json", str(tmp_path / "report.json"))
    outputs = [process.communicate(timeout=120) for process in two]
    assert [process.returncode for process in two] == [0, 0], outputs
    assert "9 shapes" in outputs[0][0]
    assert outputs[1] == ("", "")
    assert (tmp_path / "report.json").exists()
    train(dataset, path=path, resume=True, steps=3)
    train(dataset, SHORT, path=whole, steps=9)
    found, wanted = losses(path), losses(whole)
    assert len(found) >= 8
    assert wanted[9] < wanted[1]
    assert found == pytest.approx({step: wanted[step] for step in found}, rel=1e-5)
    torch.testing.assert_close(load(path).codes(), load(whole).codes(), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_a_sentence_and_the_checkpoint_resumes(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "space.h5"
    train(dataset, replace(SHORT, schedule_steps=10_000), path=path, steps=2)
    before = path.read_bytes()
    first, second = start_two(dataset.path, path, "--steps", "9000")
    assert first.stderr is not None
    shown = first.stderr.readline()
    assert shown.startswith("train "), shown
    second.send_signal(signal.SIGKILL)
    began = time.monotonic()
    rest = first.communicate(timeout=60)[1].splitlines()
    second.communicate()
    assert first.returncode == 2
    assert rest[-1].startswith("latentsdf train: process 0 of 2: another process of this run does not answer any more")
    assert "--resume" in rest[-1]
    assert time.monotonic() - began < 60
    assert path.read_bytes() == before
    assert len(train(dataset, path=path, resume=True, steps=1)) == len(dataset)


def test_a_launcher_that_says_nothing_useful_is_named(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ValueError, match="must be numbers"):
        train(dataset, SHORT, steps=1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(ConnectionError, match="process 0 of 2 does not reach the others"):
        train(dataset, SHORT, steps=1)
