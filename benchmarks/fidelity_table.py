"""Rows of `fidelity.py` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judging import read_json

FORMATS = {
    "chamfer_l1": ".4f",
    "f_0.01": ".3f",
    "f_0.005": ".3f",
    "normal_consistency": ".3f",
    "ghost_area": ".2%",
    "missing_area": ".2%",
}
"""Columns with median and mean; rows made before a figure was measured have a dash."""


def table(path: Path) -> str:
    """The rows as Markdown: first the figures over all shapes, then held-out medians by kind and class."""
    rows = read_json(path, [])
    lines = [
        "| decoder, code, time | field | side | shapes | Chamfer-L1 median (mean) | F at 0.01 | F at 0.005 | normals "
        "| ghost area | missing area | components right | roughness - true | IoU | code bytes | with decoder "
        "| shared numbers | minutes | samples/s | s to infer (fit) |",
        "|" + "---|" * 19,
    ]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join([*lines, "", *classes_table([row for row in rows if row["side"] == "unseen"])])


def cells(row: dict[str, Any]) -> Iterator[str]:
    """One line of the table."""
    yield from (row["label"], row["branch"], row["side"], str(row["figures"]["shapes"]))
    figures = row["figures"]
    for key, form in FORMATS.items():
        yield f"{figures[key]['median']:{form}} ({figures[key]['mean']:{form}})" if key in figures else "-"
    yield f"{figures['components_right']['mean']:.0%}" if "components_right" in figures else "-"
    if "roughness" in figures:
        yield f"{figures['roughness']['mean']:.1f} - {figures['roughness_true']['mean']:.1f} deg"
    else:
        yield "-"
    yield f"{figures['iou']['median']:.3f} ({figures['iou']['mean']:.3f})"
    yield from (f"{row['code_bytes']:,}", f"{row['bytes_per_shape']:,.0f}", f"{row['parameters']:,}")
    yield f"{row['training_minutes']:g}"
    yield f"{row['samples_per_second']:,}" if row["samples_per_second"] else "-"
    yield f"{row['infer_seconds']:.1f} ({row['fit_seconds']:.1f})" if "infer_seconds" in row else "-"


def classes_table(rows: list[dict[str, Any]]) -> list[str]:
    """Medians of F at 0.01 by kind and by class, a column each for the field that users get of every label."""
    last = list({row["label"]: row for row in rows}.values())
    groups = [{**row["kinds"], **row["classes"]} for row in last]
    lines = [f"| held out, F at 0.01 | {' | '.join(row['label'] for row in last)} |", "|" + "---|" * (len(last) + 1)]
    for name in dict.fromkeys(name for group in groups for name in group):
        figures = [group.get(name, {}).get("f_0.01") for group in groups]
        medians = [f"{item['median']:.2f}" if item else "-" for item in figures]
        lines.append(f"| {name} | {' | '.join(medians)} |")
    return lines if last else []
