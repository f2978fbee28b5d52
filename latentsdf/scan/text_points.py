"""Point clouds as text: XYZ, TXT, ASC, PTS, CSV, and the vertices of OBJ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .point_table import PointTable, named_columns, numbered_columns

_SEPARATORS, _COMMENTS = str.maketrans(",;", "  "), ("#", "//")


def read_text_points(path: Path) -> PointTable:
    """Read rows of numbers, separated by blanks, commas or semicolons.

    The columns are named by a line of names before the rows (`x,y,z,red,green,blue`, also behind `//` or `#`), or else
    known by their place (`numbered_columns`). A line of one number before the rows, as PTS has it, is their count.

    Raises:
        ValueError: a row that is not of numbers, or rows of different lengths.
    """
    text = path.read_text(encoding="utf-8-sig", errors="strict").translate(_SEPARATORS)
    lines = [line for line in text.splitlines() if line.strip()]
    names, start = _head(lines)
    rows = [line.split() for line in lines[start:] if not line.lstrip().startswith(_COMMENTS)]
    if not rows:
        return PointTable(np.empty((0, 3)))
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"its rows have from {min(widths)} to {max(widths)} columns")
    table = np.array(rows, dtype=np.float64)
    if len(names) == table.shape[1]:
        return named_columns(names, lambda name: _column(table, names, name))
    return numbered_columns(table)


def _head(lines: list[str]) -> tuple[list[str], int]:
    """The names of the columns, if a line before the rows states them, and the number of the first row."""
    names: list[str] = []
    for number, line in enumerate(lines):
        words = [word.strip("\"'") for word in line.lstrip("#/ ").split()]
        if {"x", "y", "z"} <= {word.lower() for word in words}:
            names = words
        elif not line.lstrip().startswith(_COMMENTS) and not (len(words) == 1 and words[0].isdigit()):
            return names, number
    return names, len(lines)


def _column(table: np.ndarray, names: list[str], name: str) -> np.ndarray:
    """A column, as integers where all its numbers are."""
    values = table[:, names.index(name)]
    return values.astype(np.int64) if np.isfinite(values).all() and (values == np.floor(values)).all() else values


def read_obj_points(path: Path) -> PointTable | None:
    """Read the vertices of an OBJ file, with colours behind them, and normals if there are as many; None for a mesh."""
    points: list[list[str]] = []
    normals: list[list[str]] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if words[:1] == ["f"]:
                return None
            if words[:1] == ["v"]:
                points.append(words[1:])
            elif words[:1] == ["vn"]:
                normals.append(words[1:4])
    if not points:
        return PointTable(np.empty((0, 3)))
    table = np.array([row[:3] for row in points], dtype=np.float64)
    directions = np.array(normals, dtype=np.float64) if len(normals) == len(points) else None
    colors = None
    if all(len(row) == 6 for row in points):
        colors = np.round(np.clip(np.array([row[3:] for row in points], dtype=np.float64), 0, 1) * 255).astype(np.uint8)
    return PointTable(table, directions, colors)
