"""`latentsdf base`: from recipes and folders to a space that training starts from, each stage done once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from latentsdf.cli import main
from latentsdf.dataset.dataset import Dataset
from latentsdf.space.store import load
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import train


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line of an error."""
    assert main(["base", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


@pytest.mark.slow
def test_a_base_is_made_and_training_starts_from_it_as_a_process(
    tmp_path: Path, mesh_dir: Path, dataset: Dataset
) -> None:
    out, work = tmp_path / "base.h5", tmp_path / "base.h5.work"
    own = tmp_path / "own"
    shutil.copytree(mesh_dir / "ring", own / "ring")

    command = ["base", out, "--make", "--only", "creatures", "--count", 2, "--wide", own, "--samples", 1000]
    command = [*map(str, command), "--minutes", "0.005", "--workers", "1", "--json", str(tmp_path / "result.json")]
    whole = [sys.executable, "-m", "latentsdf", *command, "--keep", "4"]
    done = subprocess.run(whole, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"2 generated meshes in {work / 'meshes'}\n5 shapes prepared, 0 skipped\n" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["shapes"], result["kept"], result["interrupted"], result["skipped"]) == (5, 4, False, [])
    assert result["bytes"] == out.stat().st_size
    space = load(out)
    assert (len(space), space.decoder.kind, space.code_size) == (4, "volumes", 256)
    names = load(work / "trained.h5").names
    assert [name for name in names if name.startswith("own_own/ring/")] == [f"own_own/ring/{i}" for i in range(3)]
    assert sum(name.startswith("creatures/") for name in names) == 2
    trained = (work / "trained.h5").read_bytes()
    assert main([*command, "--keep", "2", "--force"]) == 0
    assert len(load(out)) == 2
    assert (work / "trained.h5").read_bytes() == trained
    started = train(dataset, TrainConfig(start=str(out), schedule_steps=4), steps=2)
    assert list(started.names) == list(dataset.names)


def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, mesh_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "base.h5"
    assert "give --make for generated shapes, --wide MESH_DIR for your own" in refused(capsys, out)
    assert "--count and --only speak of generated shapes; give --make too" in refused(
        capsys, out, "--wide", mesh_dir, "--count", 3, "--only", "trees"
    )
    assert "its folder" in refused(capsys, tmp_path / "none" / "base.h5", "--make")
    assert "no mesh" in refused(capsys, out, "--wide", tmp_path)
    shutil.copytree(mesh_dir, tmp_path / "other" / mesh_dir.name)
    inside = refused(capsys, mesh_dir / "base.h5", "--wide", mesh_dir)
    assert f"the intermediate files would lie in {mesh_dir}; name a --work outside of it" in inside
    assert "are both named" in refused(capsys, out, "--wide", mesh_dir, tmp_path / "other" / mesh_dir.name)
    assert "creatures.py in" in refused(capsys, out, "--make", "--recipes", tmp_path)
    out.write_text("mine")
    assert "exists; use --force to replace it" in refused(capsys, out, "--wide", mesh_dir)
    assert out.read_text() == "mine"
    assert not (tmp_path / "base.h5.work").exists()


def test_a_folder_begun_with_other_options_is_refused(
    tmp_path: Path, mesh_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    begun = {"--make": False, "--count": None, "--only": None, "--wide": [str(mesh_dir.resolve())]}
    (work / "options.json").write_text(json.dumps({**begun, "--samples": 1000, "--minutes": 60.0, "--seed": 0}))
    line = refused(capsys, tmp_path / "base.h5", "--wide", mesh_dir, "--work", work, "--samples", 2000)
    assert f"{work} was begun with --samples 1000, now it is 2000; give the same options to go on" in line
