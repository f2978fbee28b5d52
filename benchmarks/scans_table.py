"""Rows of `scans.py` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from judging import read_json

KEYS = ("scan", "normals", "method", "network", "minutes")
"""What tells rows apart."""
FIGURES = (("f_0.01", 3), ("chamfer_l1", 4), ("hausdorff", 3), ("normal_consistency", 3), ("eikonal_error", 3))


def table(path: Path) -> str:
    """The rows as Markdown: means over the scans of each method, then a line a scan."""
    rows = sorted(read_json(path, []), key=lambda row: tuple(str(row[key]) for key in KEYS))
    head = "F at 0.01 | Chamfer-L1 | Hausdorff | normals' agreement | eikonal error | seconds |"
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS[1:]), []).append(row)
    lines = [f"| given normals | method | network | minutes | scans | {head}", "|" + "---|" * 11]
    lines += [f"| {' | '.join(cells(key, str(len(group)), group))} |" for key, group in groups.items()]
    return "\n".join([*lines, "", *by_scan(rows)])


def by_scan(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line a scan and a column a method: F at 0.01, then Chamfer-L1 in thousandths."""
    ways = sorted({tuple(row[key] for key in KEYS[2:]) for row in rows}, key=str)
    names = [
        " ".join([method, network, *([f"{minutes:g} min"] if minutes else [])]) for method, network, minutes in ways
    ]
    yield f"| scan | given normals | {' | '.join(names)} |"
    yield "|" + "---|" * (2 + len(ways))
    found = {tuple(row[key] for key in KEYS): row for row in rows}
    for name, normals in sorted({(row["scan"], row["normals"]) for row in rows}, key=lambda key: (not key[1], key[0])):
        line = [found.get((name, normals, *way)) for way in ways]
        pseudo = any(row is not None and row["pseudo_truth"] for row in line)
        marked = f"{name} (pseudo truth)" if pseudo else name
        figures = [f"{row['f_0.01']:.3f} {1e3 * row['chamfer_l1']:.2f}" if row else "-" for row in line]
        yield f"| {marked} | {'yes' if normals else 'no'} | {' | '.join(figures)} |"


def cells(key: tuple[Any, ...], count: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """What a line says after its name: the key, how many scans, means of the figures."""
    normals, method, network, minutes = key
    yield from ("yes" if normals else "no", method, network, f"{minutes:g}" if minutes else "-")
    yield count
    for name, digits in FIGURES:
        known = [row[name] for row in rows if row[name] is not None]
        yield f"{mean(known):.{digits}f}" if known else "-"
    yield f"{mean(row['seconds'] for row in rows):.0f}"
