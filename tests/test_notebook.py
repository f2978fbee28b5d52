"""The notebook runs from its first cell to its last, on tiny settings."""

from __future__ import annotations

import base64
import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import latentsdf

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOK = FOLDER / "01_first_space.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSDF_TINY", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(latentsdf.__file__).parents[1]))
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    assert "6 shapes, 0 skipped" in text
    assert "the schedule was run to its end" in text
    assert "0.0000  chair/000" in text
    assert "8 shapes, codes of 256 numbers" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4


def test_the_committed_notebook_is_the_script_s_with_pictures() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    built = runpy.run_path(str(FOLDER / "make_first_space.py"))["build"]()
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in built.cells]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 4
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert NOTEBOOK.stat().st_size < 1_500_000
