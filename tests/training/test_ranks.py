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
from typing import Any

import pytest
import torch
from conftest import TINY

from latentsdf.cli import build, main
from latentsdf.core.ranks import Ranks
from latentsdf.core.threads import workers
from latentsdf.dataset.dataset import Dataset, Draw
from latentsdf.decoder import CoarseVolumes, VolumesConfig
from latentsdf.space.store import load
from latentsdf.training.batch_sampler import BatchSampler
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import TrainEvent, train
from latentsdf.training.objective import StageObjective
from latentsdf.training.sharding import Sharding
from latentsdf.training.stages import OVERFIT
from latentsdf.training.state import TrainState

VOLUMES = VolumesConfig(code_size=8, volumes=CoarseVolumes(resolutions=(3, 5), channels=(4, 3), width=16, depth=2))
SHORT = replace(TINY, decoder=VOLUMES, points_per_shape=256, schedule_steps=200)


def start_second(patch: pytest.MonkeyPatch, command: list[str]) -> subprocess.Popen[str]:
    """Process 1 of 2 of a command, in the environment of `torchrun --nproc-per-node 2`; this process gets that of 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in {**shared, "RANK": "0", "LOCAL_RANK": "0"}.items():
        patch.setenv(name, value)
    return subprocess.Popen(
        [sys.executable, "-m", "latentsdf", *command],
        env={**os.environ, "RANK": "1", "LOCAL_RANK": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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


def per_shape(dataset: Dataset, draw: Draw) -> list[tuple[Any, ...]]:
    """Name, groups and offsets of each shape that a draw reads."""
    rows, counts, offsets = draw
    return [(dataset.names[row], *counts.items(), *of_row) for row, of_row in zip(rows, offsets.tolist(), strict=True)]


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)])
def test_samples_depend_on_the_step_alone_and_are_read_as_they_are_planned(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, size: int, threads: int
) -> None:
    config = replace(TINY, points_per_shape=64, start="random")
    whole = TrainState.fresh(dataset, config, None, torch.device("cpu"))
    wanted = [shape for draw in StageObjective(whole, OVERFIT, None).draws(3) for shape in per_shape(dataset, draw)]
    assert len(set(wanted)) == 2 * config.shapes_per_batch
    sample_at, read = Dataset.sample_at, []

    def noted(self: Dataset, *draw: Any) -> tuple[torch.Tensor, torch.Tensor]:
        read.extend(per_shape(self, draw))
        return sample_at(self, *draw)

    monkeypatch.setattr(Dataset, "sample_at", noted)
    monkeypatch.setattr(Ranks, "sum", lambda self, tensors: list(tensors))
    planned = []
    for rank in range(size):
        sharding = Sharding(Ranks(rank, size), dataset, config.shapes_per_batch)
        own = sharding.owned()[rank]
        codes = torch.nn.Embedding.from_pretrained(whole.codes.weight.detach()[own])
        part = replace(whole, dataset=dataset.subset(own), codes=codes)
        with workers(threads) as pool:
            objective = StageObjective(part, OVERFIT, None, sharding, threads, pool)
            objective(3)
        planned += [shape for draw in objective.draws(3) for shape in per_shape(part.dataset, draw)]
    assert sorted(read) == sorted(planned) == sorted(wanted)
    assert threads > 1 or read == planned


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_either_resumes_the_other(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, whole = tmp_path / "two.h5", tmp_path / "one.h5"
    train(dataset, SHORT, path=path, steps=2)
    command = ["train", str(dataset.path), str(path), "--resume", "--steps", "4"]
    with pytest.MonkeyPatch.context() as patch:
        second = start_second(patch, [*command, "--memory", "0.00001"])  # which reads its samples from the disk
        assert main([*command, "--json", str(tmp_path / "report.json")]) == 0
    assert second.communicate(timeout=120) == ("", "")
    assert second.returncode == 0
    assert "9 shapes" in capsys.readouterr().out
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
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "space.h5"
    train(dataset, replace(SHORT, schedule_steps=10_000), path=path, steps=2)
    before = path.read_bytes()
    command, note, began = (
        ["train", str(dataset.path), str(path), "--resume", "--steps", "9000"],
        build._training_note,
        [],
    )
    with pytest.MonkeyPatch.context() as patch:
        second = start_second(patch, command)

        def kill(event: TrainEvent) -> str:
            if not began:
                began.append(time.monotonic())
                second.send_signal(signal.SIGKILL)
            return note(event)

        patch.setattr(build, "_training_note", kill)
        assert main(command) == 2
    assert time.monotonic() - began[0] < 60
    assert second.communicate() == ("", "")
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("latentsdf train: process 0 of 2: another process of this run does not answer any more")
    assert "--resume" in said
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
