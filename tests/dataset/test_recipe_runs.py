"""Recipes run as processes: what is done stays done, and a failure is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsdf.cli import parser
from latentsdf.dataset.recipes import RECIPES, RecipeRun, find_recipes, run_recipes, shared_count

RECIPE = """
import sys
from pathlib import Path
out, count = Path(sys.argv[1]), int(sys.argv[sys.argv.index("--count") + 1])
if count == 13:
    sys.exit("solids: no manifold here\\nsolids: install it")
for index in range(count):
    path = out / "kind" / f"{index}.ply"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.read_text() + "x" if path.exists() else "x")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight recipes that write a letter into each of their files."""
    for name in RECIPES:
        (tmp_path / f"{name}.py").write_text(RECIPE)
    return tmp_path


def test_the_recipes_are_those_of_the_clone_and_of_the_command_line() -> None:
    assert find_recipes() == Path(__file__).parents[2] / "datasets"
    assert parser.RECIPES == RECIPES


def test_a_folder_without_recipes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="creatures.py in .* --recipes is the folder datasets/ of a clone"):
        find_recipes(tmp_path)
    monkeypatch.setattr("latentsdf.dataset.recipes.__file__", str(tmp_path / "site" / "latentsdf" / "dataset" / "r.py"))
    with pytest.raises(FileNotFoundError, match="not part of the installed package; .* by --recipes DIR"):
        find_recipes()


@pytest.mark.parametrize(("count", "parts"), [(2, {"a": 1, "b": 1}), (7, {"a": 3, "b": 2, "c": 2})])
def test_shapes_are_divided_equally(count: int, parts: dict[str, int]) -> None:
    assert shared_count(count, ["a", "b", "c"]) == parts


@pytest.mark.parametrize(("count", "shapes", "kinds"), [(3, "1", 3), (14, "1", 14), (30, "3", 14)])
def test_families_are_asked_for_by_the_family(count: int, shapes: str, kinds: int) -> None:
    arguments = RecipeRun("families", count, 5).arguments()
    assert arguments[:5] == ["--count", shapes, "--seed", "5", "--families"]
    assert len(arguments) == 5 + kinds


def test_finished_recipes_are_not_run_again(folder: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out", []
    runs = [RecipeRun("trees", 2, 0), RecipeRun("wires", 1, 0)]
    assert run_recipes(folder, out, runs, workers=2, on_mesh=lambda name, done: told.append(done)) == 3
    assert told[-1] == 3
    more = [RecipeRun("trees", 3, 0), RecipeRun("wires", 1, 0)]
    assert run_recipes(folder, out, more) == 4
    assert [(out / "trees" / "kind" / f"{i}.ply").read_text() for i in range(3)] == ["xx", "xx", "x"]
    assert (out / "wires" / "kind" / "0.ply").read_text() == "x"


def test_a_failed_recipe_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^the recipe solids failed: solids: install it$"):
        run_recipes(folder, tmp_path / "out", [RecipeRun("solids", 13, 0)])
