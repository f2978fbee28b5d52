"""Real processes killed or interrupted: files stay whole, and the work can be continued."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, primitive

from latentsdf.cli import main
from latentsdf.dataset.dataset import Dataset
from latentsdf.space.file_info import space_info
from latentsdf.space.store import append, load, load_resume
from latentsdf.training.config import config_to_dict

pytestmark = pytest.mark.slow

Process = subprocess.Popen[str]

TRAINING = """
import json, sys
from latentsdf.training import loop
from latentsdf.training.config import config_from_dict
loop.CHECKPOINT_SECONDS = 0.0
dataset, space, config, resume = sys.argv[1:]
config = None if resume == "resume" else config_from_dict(json.loads(config))
loop.train(dataset, config, path=space, resume=resume == "resume", minutes=100.0)
"""

APPENDING = """
import sys
from dataclasses import replace
from itertools import count
from latentsdf.space import store
store.MOST_SEGMENTS = 20
shape = next(iter(store.load(sys.argv[1]).values()))
for number in count():
    store.append(sys.argv[1], [replace(shape, name=f"{sys.argv[2]}/{number}")])
    print(number, flush=True)
"""


def start(*arguments: object) -> Process:
    """A real process of this library; text of both its streams can be read."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_when(process: Process, condition: Callable[[], Any]) -> None:
    """Kill it (no handler can run) as soon as the condition holds."""
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)
    process.kill()
    process.communicate()


def interrupt_after(process: Process, text: str) -> tuple[str, str]:
    """Send Ctrl-C when a line of standard error holds the text; what it then says on both streams."""
    assert process.stderr is not None
    line = process.stderr.readline()
    while text not in line:
        assert line, process.communicate()
        line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert "Traceback" not in err
    assert process.returncode == 130, err
    return out, err


def done(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """The result of a verb that must succeed."""
    target = tmp_path / "result.json"
    assert main([*map(str, arguments), "--quiet", "--json", str(target)]) == 0
    return json.loads(target.read_text())


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".parts"))]


@pytest.fixture
def space(space_path: Path, tmp_path: Path) -> Path:
    """A copy of the finished space, which the processes write over."""
    return Path(shutil.copy(space_path, tmp_path / "space.h5"))


@pytest.fixture
def target(dataset_path: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, which the processes write over."""
    return Path(shutil.copy(dataset_path, tmp_path / "set.h5"))


def many(folder: Path, count: int) -> list[Path]:
    """Small meshes 00.ply, 01.ply ..., all different."""
    folder.mkdir()
    files = [folder / f"{number:02d}.ply" for number in range(count)]
    for number, file in enumerate(files):
        primitive("box", 0.8 + 0.01 * number).export(str(file))
    return files


@pytest.mark.parametrize("stop", ["kill", "interrupt"])
def test_prepare_stopped_keeps_the_old_dataset_and_goes_on(stop: str, target: Path, tmp_path: Path) -> None:
    files = many(tmp_path / "meshes", 40)
    before, parts = target.read_bytes(), tmp_path / "set.h5.parts"
    arguments = ("prepare", tmp_path / "meshes", target, "--samples", 400, "--workers", 1)
    process = start("-m", "latentsdf", *arguments)
    if stop == "kill":
        kill_when(process, lambda: any(parts.glob("?*.h5")))
    else:
        _, err = interrupt_after(process, "ok       00")
        assert err.splitlines()[-1] == "latentsdf: interrupted; finished work is kept"
    assert target.read_bytes() == before
    assert len(Dataset(target)) == 9
    for file in files[3:]:
        file.unlink()
    rows = {row["name"]: row["status"] for row in done(tmp_path, *arguments)["rows"]}
    assert rows["00"] == "reused"
    assert set(rows.values()) <= {"reused", "ok"}
    assert Dataset(target).names == ("00", "01", "02")
    assert not litter(tmp_path)


def test_training_killed_while_it_writes_goes_on_to_the_end(dataset_path: Path, space: Path, tmp_path: Path) -> None:
    config = json.dumps(config_to_dict(TINY))
    used, before = [0.0], space.stat().st_mtime_ns
    for mode in ("fresh", "resume", "resume"):
        process = start("-c", TRAINING, dataset_path, space, config, mode)
        written = space.stat().st_mtime_ns
        seen = [0]

        def in_the_middle(seen: list[int] = seen, written: int = written) -> bool:
            seen[0] += space.stat().st_mtime_ns != written
            return seen[0] > 0 and any(tmp_path.glob(".space.h5.*.tmp"))

        kill_when(process, in_the_middle)
        assert len(load(space)) == 9
        state = load_resume(space)
        assert state is not None
        used.append(state.facts["used"])
    assert used == sorted(set(used))
    assert space.stat().st_mtime_ns != before
    result = done(tmp_path, "train", dataset_path, space, "--resume", "--minutes", 0.02)
    assert result["stop"] == "the schedule was run to its end"
    assert load_resume(space) is None
    assert not litter(tmp_path)


def test_training_killed_before_its_first_checkpoint_leaves_the_old_space(
    dataset_path: Path, space: Path, tmp_path: Path
) -> None:
    before = space.read_bytes()
    process = start("-m", "latentsdf", "train", dataset_path, space, "--force", "--code-size", 4, "--minutes", 100)
    assert process.stderr is not None
    assert "volumes step" in process.stderr.readline()
    process.kill()
    process.communicate()
    assert space.read_bytes() == before
    assert len(load(space)) == 9


def test_ctrl_c_keeps_the_training_and_resume_finishes_it(dataset_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.h5"
    arguments = ("train", dataset_path, path, "--code-size", 4)
    out, _ = interrupt_after(start("-m", "latentsdf", *arguments, "--minutes", 100), "volumes step")
    assert "interrupted; the work so far was kept" in out
    state = load_resume(path)
    assert state is not None
    assert state.facts["step"] > 0
    assert done(tmp_path, "info", path)["stop"] == "interrupted; the work so far was kept"
    result = done(tmp_path, "train", dataset_path, path, "--resume", "--minutes", 0.02)
    assert (result["stop"], result["code_size"]) == ("the schedule was run to its end", 4)
    assert load_resume(path) is None
    assert not litter(tmp_path)


@pytest.mark.parametrize("stop", ["kill", "interrupt"])
def test_encode_stopped_keeps_the_space_and_goes_on(stop: str, space: Path, tmp_path: Path) -> None:
    files = many(tmp_path / "meshes", 30)
    old = load(space)
    process = start("-m", "latentsdf", "encode", space, *files, "--steps", 60)
    if stop == "kill":
        kill_when(process, lambda: space_info(space).segments > 0)
    else:
        interrupt_after(process, "encoded  00")
    found = load(space)
    kept = found.names[9:]
    assert found.names[:9] == old.names
    assert torch.equal(found.codes()[:9], old.codes())
    assert 1 <= len(kept) < 30
    assert kept == tuple(file.stem for file in files[: len(kept)])
    assert all(found[name].metadata["fit_error"] < 0.05 for name in kept)
    rest = files[len(kept) :][:2]
    done(tmp_path, "encode", space, *rest, "--steps", 2)
    assert load(space).names == (*found.names, *(file.stem for file in rest))
    assert not litter(tmp_path)


def test_a_space_survives_the_end_of_a_process_in_the_middle_of_many_appends(space: Path, tmp_path: Path) -> None:
    old = load(space)
    for how in ("terminate", "interrupt", "kill"):
        process, before = start("-c", APPENDING, space, how), load(space)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range({"terminate": 7, "interrupt": 12, "kill": 45}[how])]
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            getattr(process, how)()
        out, err = process.communicate()
        if how == "interrupt":  # it comes out after the write: inside HDF5 it would be a crash
            assert err.rstrip().endswith("KeyboardInterrupt")
        told = len(lines) + len(out.splitlines())
        found = load(space)
        # What was told is there; one more may be.
        assert found.names[: len(before)] == before.names
        new = found.names[len(before) :]
        assert new == tuple(f"{how}/{number}" for number in range(len(new)))
        assert told <= len(new) <= told + 1
        assert torch.equal(found.codes()[:9], old.codes())
        assert torch.equal(found[new[-1]].code, old["ball/0"].code)
    append(space, [replace(found["ball/0"], name="new")])
    assert load(space).names == (*found.names, "new")
    assert not litter(tmp_path)
