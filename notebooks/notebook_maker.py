"""Write a notebook from its cells, and execute it."""

from __future__ import annotations

import argparse
import base64
import io
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image


def notebook_of(cells: Sequence[str]) -> nbformat.NotebookNode:
    """A notebook without outputs.

    Args:
        cells: kind (`text` or `code`) and source of each cell in turn.
    """
    make = {"text": new_markdown_cell, "code": new_code_cell}
    made = [make[kind](source) for kind, source in zip(cells[::2], cells[1::2], strict=True)]
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number:02d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=made, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def write_notebook(notebook: nbformat.NotebookNode, target: Path, description: str | None) -> None:
    """Write a notebook, with its outputs unless the command line has `--no-execute`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--no-execute", action="store_true", help="leave the outputs out")
    if not parser.parse_args().no_execute:
        place = {"metadata": {"path": str(target.parent)}}
        NotebookClient(notebook, timeout=1800, coalesce_streams=True, resources=place).execute()
        for cell in notebook.cells:
            cell["metadata"].pop("execution", None)  # clock times, new at every run
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                data.pop("image/jpeg", None)  # the same picture as the PNG
                if "image/png" in data:
                    data["image/png"] = compressed(data["image/png"])
    nbformat.write(notebook, target)


def compressed(picture: str) -> str:
    """The same PNG, in base64, compressed as well as Pillow can."""
    out = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB").save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
