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
    """The rows as Markdown: means over the scans of each method, then every row."""
    rows = sorted(read_json(path, []), key=lambda row: tuple(str(row[key]) for key in KEYS))
    head = "F at 0.01 | Chamfer-L1 | Hausdorff | normals' agreement | eikonal error | seconds |"
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS[1:]), []).append(row)
    lines = [f"| given normals | method | network | minutes | scans | {head}", "|" + "---|" * 11]
    lines += [f"| {' | '.join(cells(key, str(len(group)), group))} |" for key, group in groups.items()]
    lines += ["", f"| scan | given normals | method | network | minutes | {head}", "|" + "---|" * 11]
    for row in rows:
        name, *key = (row[key] for key in KEYS)
        marked = f"{name} (pseudo truth)" if row["pseudo_truth"] else name
        lines.append(f"| {marked} | {' | '.join(cells(tuple(key), None, [row]))} |")
    return "\n".join(lines)


def cells(key: tuple[Any, ...], count: str | None, rows: list[dict[str, Any]]) -> Iterator[str]:
    """What a line says after its name: the key, how many scans, means of the figures."""
    normals, method, network, minutes = key
    yield from ("yes" if normals else "no", method, network, f"{minutes:g}" if minutes else "-")
    if count is not None:
        yield count
    for name, digits in FIGURES:
        known = [row[name] for row in rows if row[name] is not None]
        yield f"{mean(known):.{digits}f}" if known else "-"
    yield f"{mean(row['seconds'] for row in rows):.0f}"
