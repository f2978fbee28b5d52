"""The verb `plot`: each kind of picture from a file, and what is refused before any work."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentsdf.cli import main
from latentsdf.cli.plot_options import KINDS
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save


def plotted(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    found = tmp_path / "found.json"
    assert main(["plot", *map(str, arguments), "--quiet", "--json", str(found)]) == 0
    return json.loads(found.read_text())


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["plot", *map(str, arguments), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_sheet_of_named_shapes_beside_their_originals(space_path: Path, mesh_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    options = ("--meshes", mesh_dir, "-o", out, "--size", 60, "--resolution", 32)
    result = plotted(tmp_path, "sheet", space_path, "ring/1", "ball/0", *options)
    assert (result["kind"], result["names"], result["missing"]) == ("sheet", ["ring/1", "ball/0"], [])
    image = pixels(out)
    assert image.shape[:2] == (result["height"], result["width"])
    assert result["width"] == 2 * 14 + 4 * 60  # two shapes, each beside its original
    coloured = np.ptp(image, axis=-1) > 40
    cells = [coloured[:67, 14 + 60 * i : 74 + 60 * i].any() for i in range(4)]
    assert cells == [False, True, False, True]  # originals are grey


def test_a_sheet_chooses_from_every_class_and_names_missing_originals(
    space_path: Path, mesh_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    shutil.copy(mesh_dir / "ball" / "0.ply", tmp_path / "none" / "other.ply")
    options = ("--most", 3, "--size", 40, "--resolution", 16, "--meshes", tmp_path / "none")
    result = plotted(tmp_path, "sheet", space_path, "-o", tmp_path / "a.png", *options)
    assert [name.split("/")[0] for name in result["names"]] == ["ball", "box", "ring"]
    assert result["missing"] == result["names"]
    assert f"no original of {result['names'][0]} in" in capsys.readouterr().out


@pytest.mark.slow
def test_a_morph_is_a_row_from_one_shape_to_the_other(space_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "morph.png"
    options = ("--steps", 3, "--size", 50, "--resolution", 24)
    result = plotted(tmp_path, "morph", space_path, "ball/0", "ball/2", "-o", out, *options)
    assert (result["a"], result["b"], result["steps"]) == ("ball/0", "ball/2", 3)
    image = pixels(out)[:57]
    assert image.shape[1] == 2 * 14 + 3 * 50
    areas = [(np.ptp(image[:, 14 + 50 * i : 64 + 50 * i], axis=-1) > 40).sum() for i in range(3)]
    assert areas[0] < areas[1] < areas[2]  # one scale for all: the ball grows


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_slice_through_a_ball(space_path: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"slice.{ending}"
    result = plotted(tmp_path, "slice", space_path, "ball/1", "--axis", "x", "-o", out)
    assert result["inside"] == pytest.approx(np.pi / (2 * 1.15 * 1.03) ** 2, rel=0.08)
    assert result["least"] < 0 < result["largest"]
    assert result["axis"] == "x"
    if ending == "svg":
        assert "the surface" in "".join(ET.parse(out).getroot().itertext())
    else:
        assert pixels(out).shape[2] == 3


def test_losses_and_bytes(space_path: Path, tmp_path: Path) -> None:
    space = load(space_path)
    last = space.history["log"][-1]
    result = plotted(tmp_path, "losses", space_path, "-o", tmp_path / "a.svg")
    assert (result["steps"], result["loss"]) == (last["step"], last["loss"])
    facts = {"f_score": 0.9, "tolerance": 0.01}
    shapes = [replace(shape, metadata={**shape.metadata, **facts}) for shape in space.values()]
    save(LatentSpace(space.decoder, shapes), tmp_path / "s.h5")
    result = plotted(tmp_path, "rate", tmp_path / "s.h5", "-o", tmp_path / "a.png")
    assert (result["shapes"], result["shapes_with_f_score"]) == (9, 9)
    assert result["bytes_by_part"]["code"] == 8 * 4
    assert {"frame", "share of the decoder"} <= set(result["bytes_by_part"])


def test_a_map_is_that_of_the_verb_map(space_path: Path, tmp_path: Path) -> None:
    options = ("--thumbnails", "1", "--method", "pca")
    result = plotted(tmp_path, "map", space_path, "-o", tmp_path / "a.png", *options)
    assert (result["kind"], result["method"], len(result["shapes"])) == ("map", "pca", 9)
    assert main(["map", str(space_path), str(tmp_path / "b.png"), *options, "--quiet"]) == 0
    assert (pixels(tmp_path / "a.png") == pixels(tmp_path / "b.png")).all()


def test_wrong_endings_names_and_kinds_are_refused(
    capsys: pytest.CaptureFixture[str], space_path: Path, tmp_path: Path
) -> None:
    for kind, more in {"map": (), "sheet": (), "morph": ("ball/0", "ball/1")}.items():
        text = refused(capsys, kind, space_path, *more, "-o", tmp_path / "a.svg")
        assert "ending must be one of .png" in text
    for kind, more in {"slice": ("ball/0",), "losses": (), "rate": ()}.items():
        assert "ending must be one of .png, .svg" in refused(capsys, kind, space_path, *more, "-o", tmp_path / "a.pdf")
    assert "did you mean 'ball/0'" in refused(capsys, "sheet", space_path, "bal/0", "-o", tmp_path / "a.png")
    space = load(space_path)
    space.history.pop("log")
    save(space, tmp_path / "s.h5")
    assert "curves need two" in refused(capsys, "losses", tmp_path / "s.h5", "-o", tmp_path / "a.svg")
    with pytest.raises(SystemExit) as stopped:
        main(["plot", "pie", str(space_path), "-o", "a.png"])
    assert stopped.value.code == 2
    assert not list(tmp_path.glob("a.*"))
    assert list(KINDS) == ["map", "sheet", "morph", "slice", "losses", "rate"]
