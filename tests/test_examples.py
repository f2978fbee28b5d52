"""Every example runs, in order, as a process of its own, on tiny settings; none is longer than a page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("0*.py"))
SAYS = {
    "01": "8 codes of 256 numbers",
    "02": "unseen/vase: F at 0.01",
    "03": "t = 1.00: volume",
    "04": "alone: F at 0.02",
    "05": "F at 0.01",
}


def run(example: Path, folder: Path) -> str:
    environment = {**os.environ, "LATENTSDF_TINY": "1", "PYTHONPATH": str(example.parents[1])}
    done = subprocess.run(
        [sys.executable, example], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_five_short_files() -> None:
    assert [path.name[:2] for path in EXAMPLES] == list(SAYS)
    for path in EXAMPLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 30, path.name


@pytest.mark.slow
def test_examples_run_in_order(tmp_path: Path) -> None:
    for path in EXAMPLES[:4]:
        assert SAYS[path.name[:2]] in run(path, tmp_path), path.name
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.ply")}
    assert {"morph/0.ply", "morph/4.ply", "guided.ply", "alone.ply"} <= made


def test_the_example_without_files_runs(tmp_path: Path) -> None:
    assert SAYS["05"] in run(EXAMPLES[4], tmp_path)
    assert not list(tmp_path.iterdir())
