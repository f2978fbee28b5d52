"""Rows of `unseen.py` as Markdown."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median
from typing import Any

from judging import read_json

KEYS = ("case", "pose", "normals", "method")
"""Keys of a line of the table; a row has the shape's name too."""


def table(path: Path) -> str:
    """One line per (case, pose, normals, method): medians, means in brackets, and shares."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in read_json(path, []):
        groups.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    lines = [
        "| scan | pose | normals | method | shapes | F at 0.01 | F at 0.005 | normals' agreement "
        "| ghost area | missing area | roughness | true roughness | Chamfer-L1 | seconds | class right | pose landed |",
        "|" + "---|" * 16,
    ]
    for (case, pose, normals, method), rows in sorted(groups.items(), key=str):
        figures = [
            f"{_median_and_mean(rows, 'f_0.01', 3)}",
            f"{_median_and_mean(rows, 'f_0.005', 3)}",
            f"{_median_and_mean(rows, 'normal_consistency', 3)}",
            f"{_median_and_mean(rows, 'ghost_area', 4)}",
            f"{_median_and_mean(rows, 'missing_area', 4)}",
            f"{_median_and_mean(rows, 'roughness', 1)}",
            f"{_median_and_mean(rows, 'roughness_true', 1)}",
            f"{_median_and_mean(rows, 'chamfer_l1', 4)}",
            f"{_mean(rows, 'seconds'):.1f}",
        ]
        shares = [_share(rows, "class_right"), _share(rows, "landed")]
        given = "yes" if normals else "no"
        lines.append(f"| {' | '.join([case, pose, given, method, str(len(rows)), *figures, *shares])} |")
    return "\n".join(lines)


def _median_and_mean(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    values = [row[key] for row in rows if key in row]
    if not values:
        return "-"
    return f"{median(values):.{digits}f} ({mean(values):.{digits}f})"


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return mean(row[key] for row in rows)


def _share(rows: list[dict[str, Any]], key: str) -> str:
    known = [row[key] for row in rows if key in row]
    return f"{mean(known):.0%}" if known else "-"
