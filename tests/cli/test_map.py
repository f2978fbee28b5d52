"""The verb `map`: a picture or JSON of the tiny space, and what is refused before any work."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentsdf.cli import main
from latentsdf.cli.map import LEAST
from latentsdf.cli.plot_options import LAYOUTS
from latentsdf.space import layout
from latentsdf.space.map_picture import CANVAS
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save

KEYS = {"space", "path", "method", "shapes", "clusters", "trustworthiness", "class_purity", "records_made"}


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latentsdf", "map", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["map", *map(str, arguments), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def without_records(path: Path, target: Path, count: int | None = None) -> Path:
    """A copy of a space, as earlier releases wrote it, with its first shapes."""
    space = load(path)
    save(LatentSpace(space.decoder, [replace(s, record=None) for s in list(space.values())[:count]]), target)
    return target


def test_constants_of_the_grammar_are_those_of_the_library() -> None:
    assert LAYOUTS == layout.METHODS
    assert LEAST == layout.LEAST


@pytest.mark.slow
def test_a_picture_as_a_process(space_path: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "new" / "map.png", tmp_path / "found.json"
    done = process(space_path, out, "--thumbnails", 4, "--json", found)
    assert done.returncode == 0, done.stderr
    assert f"{out}  9 shapes by tsne, " in done.stdout
    assert "thumbnails 100%" in done.stderr
    with Image.open(out) as picture:
        assert picture.size == CANVAS
    result = json.loads(found.read_text())
    assert set(result) == KEYS | {"skipped", "seconds"}
    assert (result["records_made"], result["skipped"]) == (0, [])


@pytest.mark.slow
def test_json_as_a_process_holds_the_places(space_path: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "map.json", tmp_path / "found.json"
    done = process(without_records(space_path, tmp_path / "old.h5"), out, "--method", "pca", "--json", found)
    assert done.returncode == 0, done.stderr
    assert "records 100%" in done.stderr
    result = json.loads(out.read_text())
    assert result == json.loads(found.read_text())
    assert (result["method"], result["records_made"]) == ("pca", 9)
    assert [set(row) for row in result["shapes"]] == [{"name", "class", "x", "y", "cluster"}] * 9
    assert [row["name"] for row in result["shapes"]] == list(load(space_path))
    assert [row["class"] for row in result["shapes"]] == ["ball"] * 3 + ["box"] * 3 + ["ring"] * 3
    assert np.abs([(row["x"], row["y"]) for row in result["shapes"]]).max() == 1.0
    assert {row["cluster"] for row in result["shapes"]} == set(range(result["clusters"]))


def places(space: Path, out: Path, *options: object) -> Any:
    assert main(["map", str(space), str(out), "--quiet", *map(str, options)]) == 0
    return json.loads(out.read_text())["shapes"]


def test_nothing_is_drawn_at_random(space_path: Path, tmp_path: Path) -> None:
    first = places(space_path, tmp_path / "a.json")
    assert first == places(space_path, tmp_path / "b.json", "--seed", 5)


def test_wrong_outputs_and_spaces_are_refused(
    capsys: pytest.CaptureFixture[str], space_path: Path, dataset_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    assert "ending must be one of .png, .json" in refused(capsys, space_path, tmp_path / "map.svg")
    assert "ending must be one of .png, .json" in refused(capsys, space_path, tmp_path / "map")
    assert "is a folder, a file is wanted" in refused(capsys, space_path, tmp_path / "folder.png")
    assert "is a file, a folder is wanted" in refused(capsys, space_path, tmp_path / "file" / "map.png")
    assert "dataset" in refused(capsys, dataset_path, tmp_path / "map.png")
    two = without_records(space_path, tmp_path / "two.h5", 2)
    assert "at least 3 shapes with a surface, two.h5 has 2" in refused(capsys, two, tmp_path / "map.png")


def test_umap_without_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, space_path: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    assert "pip install umap-learn" in refused(capsys, space_path, tmp_path / "map.png", "--method", "umap")
