"""Verbs that work on many meshes do so in several processes, with the same results as in one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from latentsdf.cli import main
from latentsdf.core.processes import core_count, job_count
from latentsdf.space.store import load


def run(folder: Path, *arguments: object) -> dict[str, Any]:
    target = folder / "result.json"
    assert main([*map(str, arguments), "--json", str(target), "--quiet"]) == 0
    return json.loads(target.read_text())


def test_few_tasks_are_not_worth_a_process() -> None:
    assert [job_count(tasks) for tasks in (0, 1, 3, 5)] == [1, 1, 1, 1]
    assert job_count(1000) == core_count()


@pytest.mark.slow
def test_a_folder_is_encoded_by_two_processes_as_by_one(space_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    meshes = tmp_path / "new"
    for name in ("box/0", "box/1", "ring/2"):
        (meshes / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(mesh_dir / f"{name}.ply", meshes / f"{name}.ply")
    (meshes / "ring" / "broken.ply").write_bytes(b"no mesh")
    results, spaces = [], []
    for jobs in (1, 2):
        path = tmp_path / f"{jobs}.h5"
        shutil.copy(space_path, path)
        results.append(run(tmp_path, "encode", path, meshes, "--replace", "--jobs", jobs))
        spaces.append(load(path))
    for result, space in zip(results, spaces, strict=True):
        assert [item["name"] for item in result["added"]] == ["box/0", "box/1", "ring/2"]
        assert [item["name"] for item in result["skipped"]] == ["ring/broken"]
        assert space["ring/2"].metadata["source"] == str(meshes / "ring" / "2.ply")
    errors = [[item["fit_error"] for item in result["added"]] for result in results]
    assert errors[0] == pytest.approx(errors[1], rel=0.05, abs=2e-5)
    assert not list(tmp_path.glob(".encoding-*"))


@pytest.mark.slow
def test_two_processes_evaluate_and_pack_as_one(space_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(mesh_dir / "box", tmp_path / "meshes" / "box")
    (tmp_path / "meshes" / "box" / "broken.ply").write_bytes(b"no mesh")
    rows, packed = [], []
    for jobs in (1, 2):
        given = "--known", "--resolution", 32, "--jobs", jobs
        rows.append(run(tmp_path, "evaluate", space_path, tmp_path / "meshes", *given)["rows"])
        out = tmp_path / f"packed{jobs}.h5"
        packed.append(
            run(tmp_path, "pack", space_path, out, "--meshes", tmp_path / "meshes", "--bytes", 60, *given[3:])
        )
    assert [[row["name"] for row in side] for side in rows] == [["box/0", "box/1", "box/2", "box/broken"]] * 2
    assert [row.get("f_0.01") for row in rows[0]] == pytest.approx([row.get("f_0.01") for row in rows[1]], abs=0.01)
    assert rows[0][-1]["reason"] == rows[1][-1]["reason"] != ""
    assert [row["name"] for row in packed[0]["packed"]] == ["box/0", "box/1", "box/2"]
    assert [row["bytes"] for row in packed[0]["packed"]] == [row["bytes"] for row in packed[1]["packed"]]
