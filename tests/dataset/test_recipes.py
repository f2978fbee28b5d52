"""Recipes that need nothing but the library: every kind comes out closed, inside the cube, and the same again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "datasets"


def made(recipe: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECIPES / recipe), str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("recipe", "kinds"), [("creatures.py", 9), ("household.py", 8)])
def test_every_kind_is_a_solid(recipe: str, kinds: int, tmp_path: Path) -> None:
    done = made(recipe, tmp_path, "--count", str(kinds), "--seed", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{kinds} meshes in ")
    paths = sorted(tmp_path.glob("*/*.ply"))
    assert len({path.parent.name for path in paths}) == kinds
    for path in paths:
        mesh = trimesh.load_mesh(path)
        assert mesh.is_watertight, path
        assert mesh.volume > 0, path
        assert 0.5 < np.linalg.norm(mesh.vertices, axis=1).max() < 1.05, path


@pytest.mark.parametrize(("recipe", "kind"), [("creatures.py", "octopus"), ("household.py", "vessel")])
def test_a_shape_depends_on_kind_seed_and_index_alone(recipe: str, kind: str, tmp_path: Path) -> None:
    for folder, options in (("a", ["--count", "1"]), ("b", ["--count", "2"]), ("c", ["--count", "1", "--seed", "1"])):
        assert made(recipe, tmp_path / folder, "--kinds", kind, *options).returncode == 0
    first, again = (tmp_path / folder / kind / "000000.ply" for folder in "ab")
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != (tmp_path / "c" / kind / "010000.ply").read_bytes()
    assert made(recipe, tmp_path, "--kinds", "unicorn").returncode == 2
