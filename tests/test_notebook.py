"""Every notebook is its script's, with pictures, and runs."""

import base64
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import latentsdf

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("0*.ipynb"))
SAYS = {
    "01": (
        "6 shapes, 0 skipped",
        "the schedule was run to its end",
        "0.0000  chair/000",
        "8 shapes, codes of 256 numbers",
    ),
    "02": ("168 shapes of 14 classes", "bracket, turned, larger: rotated by", "hammer = hammer, mirrored: "),
    "03": ("600 points, seen from", "mean distance of the points to the surface", "169 shapes, the last is stored as "),
    "04": ("all presets: siren, igr", "pull + alignment", "points alone   slope "),
    "05": ("code alone: code, 132 bytes", "at most 120 bytes: ", " bytes beside the code"),
}
"""What each says on its tiny settings."""
PICTURES = {"01": 4, "02": 4, "03": 2, "04": 2, "05": 2}
"""The least number of pictures of each."""
LARGEST = {"01": 1_500_000}
"""Bytes of a notebook, 600,000 of the others."""


def pictures_of(outputs: Sequence[nbformat.NotebookNode]) -> list[str]:
    """The PNG pictures among outputs."""
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def maker_of(notebook: Path) -> Path:
    """The script that wrote a notebook."""
    return FOLDER / f"make_{notebook.stem[3:]}.py"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSDF_TINY", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(latentsdf.__file__).parents[1]))
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    for expected in SAYS[path.name[:2]]:
        assert expected in text
    assert len(pictures_of(outputs)) >= PICTURES[path.name[:2]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_the_script_s_with_pictures(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    notebook = nbformat.read(path, as_version=4)
    built = runpy.run_path(str(maker_of(path)))["build"]()
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in built.cells]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = pictures_of(outputs)
    assert len(pictures) >= PICTURES[path.name[:2]]
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert path.stat().st_size < LARGEST.get(path.name[:2], 600_000)


def test_there_are_five_notebooks_and_a_script_for_each() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == list(SAYS)
    assert all(maker_of(path).exists() for path in NOTEBOOKS)
