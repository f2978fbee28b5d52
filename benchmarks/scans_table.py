"""Rows of `scans.py` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from judging import read_json

KEYS = ("scan", "normals", "method", "network", "minutes")
"""Columns that identify a row."""
FIGURES = (
    ("f_0.01", 3),
    ("f_0.005", 3),
    ("chamfer_l1", 4),
    ("hausdorff", 3),
    ("normal_consistency", 3),
    ("ghost_area", 4),
    ("missing_area", 4),
    ("components", 1),
    ("roughness", 1),
    ("roughness_true", 1),
    ("eikonal_error", 3),
)


def table(path: Path) -> str:
    """Rows as Markdown: means over the scans of each method, then one line for each scan."""
    rows = sorted(read_json(path, []), key=lambda row: tuple(str(row[key]) for key in KEYS))
    head = (
        "F at 0.01 | F at 0.005 | Chamfer-L1 | Hausdorff | normals' agreement | ghost area | missing area | components "
        "| roughness | true roughness | eikonal error | seconds |"
    )
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS[1:]), []).append(row)
    lines = [f"| given normals | method | network | minutes | scans | {head}", "|" + "---|" * 17]
    lines += [f"| {' | '.join(cells(key, str(len(group)), group))} |" for key, group in groups.items()]
    return "\n".join([*lines, "", *by_scan(rows)])


def by_scan(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each scan, one column for each method: F at 0.01, then Chamfer-L1 in thousandths."""
    methods = sorted({tuple(row[key] for key in KEYS[2:]) for row in rows}, key=str)
    names = [
        " ".join([method, network, *([f"{minutes:g} min"] if minutes else [])]) for method, network, minutes in methods
    ]
    yield f"| scan | given normals | {' | '.join(names)} |"
    yield "|" + "---|" * (2 + len(methods))
    by_key = {tuple(row[key] for key in KEYS): row for row in rows}
    for name, normals in sorted({(row["scan"], row["normals"]) for row in rows}, key=lambda key: (not key[1], key[0])):
        line = [by_key.get((name, normals, *method)) for method in methods]
        pseudo = any(row is not None and row["pseudo_truth"] for row in line)
        marked = f"{name} (pseudo truth)" if pseudo else name
        figures = [f"{row['f_0.01']:.3f} {1e3 * row['chamfer_l1']:.2f}" if row else "-" for row in line]
        yield f"| {marked} | {'yes' if normals else 'no'} | {' | '.join(figures)} |"


def cells(key: tuple[Any, ...], count: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Cells of a line: the key, the number of scans, means of the figures."""
    normals, method, network, minutes = key
    yield from ("yes" if normals else "no", method, network, f"{minutes:g}" if minutes else "-")
    yield count
    for name, digits in FIGURES:
        known = [row[name] for row in rows if row.get(name) is not None]
        yield f"{mean(known):.{digits}f}" if known else "-"
    yield f"{mean(row['seconds'] for row in rows):.0f}"
