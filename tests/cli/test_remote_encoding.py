"""Batches of `encode` on an engine: in the order of the meshes, and one by one where a batch is lost."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from latentsdf.cli import encode_batches
from latentsdf.cli.encode_task import Encoded, EncodeOptions, EncodeTask
from latentsdf.inference.code_fitting import EncodeConfig


class _Engine(Executor):
    """An engine whose workers die of any task with a mesh called `bad`."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        task: EncodeTask = args[1]
        if any(name == "bad" for name, _ in task.meshes):
            future.set_exception(OSError("KilledWorker"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_batches_keep_their_order_and_a_lost_one_is_tried_mesh_by_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[EncodeTask] = []

    def job(task: EncodeTask) -> list[Encoded]:
        assert task.space.read_bytes() == b"space"
        seen.append(task)
        return [Encoded(name, f"of {file.name}") for name, file in task.meshes]

    monkeypatch.setattr(encode_batches, "encode_batch", job)
    space = tmp_path / "space.h5"
    space.write_bytes(b"space")
    batches = [[(f"{letter}{i}", f"{letter}{i}.ply") for i in range(2)] for letter in "abcdefgh"]
    batches[2][0] = ("bad", "bad.ply")
    options = EncodeOptions(EncodeConfig(), None, False, None, 0)
    found = [row for rows in encode_batches.encode_batches(str(space), batches, options, _Engine()) for row in rows]
    kept = [name for batch in batches for name, _ in batch if name not in ("bad", "c1")]
    assert [row.name for row in found[:-2]] == kept
    last = {row.name: row.shape for row in found[-2:]}
    assert last["c1"] == "of c1.ply"
    assert "its workers died" in str(last["bad"])
    assert len(seen) == 8
    assert list(tmp_path.iterdir()) == [space]
