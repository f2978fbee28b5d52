"""Meshes of the generated collections: the recipes of a clone's `datasets/` folder, each run as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..primitives.families import FAMILIES

RECIPES = ("creatures", "families", "household", "sheets", "solids", "trees", "vessels", "wires")
"""Recipes that generate their shapes, and need no data."""
DONE = ".done"
"""Ending of the file that marks a recipe as run; it holds its count and seed."""
_POLL = 0.2


class RecipeRun(NamedTuple):
    """One recipe to run.

    Attributes:
        name: of the recipe.
        count: of its shapes; `families` makes equal numbers of each of its kinds, so it may make a few more.
        seed: another seed gives other shapes.
    """

    name: str
    count: int
    seed: int

    def arguments(self) -> list[str]:
        """Options of the recipe."""
        if self.name != "families":
            return ["--count", str(self.count), "--seed", str(self.seed)]
        chosen = list(FAMILIES)[: self.count]
        each = -(-self.count // len(chosen))
        return ["--count", str(each), "--seed", str(self.seed), "--families", *chosen]


def find_recipes(folder: str | Path | None = None) -> Path:
    """The folder of the recipes: the given one, or that of the clone that this package is imported from.

    Raises:
        FileNotFoundError: no such folder, or one without the recipes.
    """
    path = Path(__file__).resolve().parents[2] / "datasets" if folder is None else Path(folder)
    missing = [f"{name}.py" for name in RECIPES if not (path / f"{name}.py").is_file()]
    if missing and folder is None:
        raise FileNotFoundError(
            "the recipes are not part of the installed package; clone the repository and name its folder datasets/ "
            "by --recipes DIR"
        )
    if missing:
        raise FileNotFoundError(f"no {missing[0]} in {path}; --recipes is the folder datasets/ of a clone")
    return path


def shared_count(count: int, names: Sequence[str]) -> dict[str, int]:
    """Divide a number of shapes among recipes, as equally as it goes; recipes without a shape are left out."""
    each, rest = divmod(count, len(names))
    counts = {name: each + (row < rest) for row, name in enumerate(names)}
    return {name: number for name, number in counts.items() if number}


def run_recipes(
    folder: Path,
    out: Path,
    runs: Sequence[RecipeRun],
    *,
    workers: int = 1,
    on_mesh: Callable[[str, int], None] = lambda name, done: None,
) -> int:
    """Run recipes, several at a time; what an earlier run finished stays, and what it had begun is gone on with.

    Args:
        folder: of the recipes.
        out: gets a folder for each recipe, `<recipe>/<kind>/<mesh>.ply`, and a file that marks it as run.
        runs: the recipes.
        workers: processes at a time.
        on_mesh: called with (names of the recipes at work, meshes there are) from time to time.

    Returns:
        Meshes there are.

    Raises:
        ValueError: a recipe failed; the text is its last line.
        KeyboardInterrupt: the processes are stopped; meshes that are whole are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    waiting = [run for run in runs if not _is_done(run, out)]
    working: dict[RecipeRun, subprocess.Popen[str]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                run = waiting.pop(0)
                working[run] = _started(folder, out, run)
            time.sleep(_POLL)
            for run, process in list(working.items()):
                if process.poll() is not None:
                    _check_ended(run, process, out)
                    del working[run]
            on_mesh(", ".join(run.name for run in working), _count(runs, out))
    finally:
        for process in working.values():
            process.kill()
        for process in working.values():
            process.wait()
    return _count(runs, out)


def _started(folder: Path, out: Path, run: RecipeRun) -> subprocess.Popen[str]:
    command = [sys.executable, str(folder / f"{run.name}.py"), str(out / run.name), *run.arguments()]
    log = _log(run, out).open("w", encoding="utf-8")
    with log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True)


def _check_ended(run: RecipeRun, process: subprocess.Popen[str], out: Path) -> None:
    """Mark a recipe as run; ValueError if it failed."""
    if process.returncode != 0:
        lines = _log(run, out).read_text(encoding="utf-8").strip().splitlines() or ["it says nothing"]
        raise ValueError(f"the recipe {run.name} failed: {lines[-1]}")
    part = _done(run, out).with_suffix(".tmp")
    part.write_text(json.dumps(run._asdict()) + "\n", encoding="utf-8")
    part.replace(_done(run, out))


def _is_done(run: RecipeRun, out: Path) -> bool:
    mark = _done(run, out)
    return mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == run._asdict()


def _done(run: RecipeRun, out: Path) -> Path:
    return out / f".{run.name}{DONE}"


def _log(run: RecipeRun, out: Path) -> Path:
    return out / f".{run.name}.log"


def _count(runs: Sequence[RecipeRun], out: Path) -> int:
    return sum(1 for run in runs for _ in (out / run.name).rglob("*.ply"))
