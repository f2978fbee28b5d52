"""Bytes of the shapes of a space by part, and their fidelity against the bytes they take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..space.file_info import SpaceInfo
from ..space.stored_figures import StoredFigures
from .chart import Axis, Chart, fitting_axis
from .drawing import COLOURS, GREY, Drawing

SIZE = (1000, 430)
_BARS, _SCATTER = (190, 60), (600, 50, 360, 300)
_BAR_WIDTH, _ROW = 240, 38
_MODES = {"code": COLOURS[0], "residual": COLOURS[1], "mesh": COLOURS[2], "correction": COLOURS[3]}


def rate_parts(info: SpaceInfo, rows: Sequence[StoredFigures]) -> dict[str, float]:
    """Mean bytes a shape of each part of a space, the decoder shared by all shapes; parts that take none are left out.

    Args:
        info: of the file.
        rows: one a shape.
    """
    count, sizes = max(1, len(rows)), info.sizes
    found = {"code": sum(row.code_bytes for row in rows) / count}
    for mode in ("residual", "mesh", "correction"):
        found[mode] = sum(row.correction_bytes for row in rows if row.mode == mode) / count
    found["frame"], found["name and facts"] = sizes.frames / count, sizes.texts / count
    found["search record"], found["share of the decoder"] = sizes.records / count, sizes.decoder / count
    return {name: value for name, value in found.items() if value > 0}


def draw_rate(info: SpaceInfo, rows: Sequence[StoredFigures], title: str = "") -> Drawing:
    """Draw the bytes of a shape by part, and where shapes were stored for a fidelity, F-scores against bytes.

    Args:
        info: of the file.
        rows: one a shape.
        title: of the drawing.

    Raises:
        ValueError: there are no shapes.
    """
    if not rows:
        raise ValueError("the space holds no shapes; add some with `latentsdf encode`")
    parts, scored = rate_parts(info, rows), [row for row in rows if row.f_score is not None]
    drawing = Drawing(SIZE[0] if scored else 520, max(SIZE[1] if scored else 0, 130 + _ROW * len(parts)))
    _draw_parts(drawing, parts, f"{title}: bytes a shape, mean of {len(rows):,}")
    if scored:
        _draw_scores(drawing, scored)
    return drawing


def _draw_parts(drawing: Drawing, parts: dict[str, float], heading: str) -> None:
    left, top = _BARS
    drawing.text(20, top - 26, heading, 14)
    largest = max(parts.values())
    for number, (name, value) in enumerate(parts.items()):
        at = top + _ROW * number
        colour = _MODES.get(name, "#9aa5b1" if name != "share of the decoder" else COLOURS[4])
        drawing.text(left - 10, at + 11, name, 12, "end")
        drawing.box(left, at, max(1.0, _BAR_WIDTH * value / largest), 22, colour)
        drawing.text(left + max(1.0, _BAR_WIDTH * value / largest) + 6, at + 11, f"{value:,.0f}", 12, "start", GREY)
    foot = top + _ROW * len(parts) + 8
    drawing.line([(left, top - 6), (left, foot - 8)], GREY)
    drawing.text(left - 10, foot + 8, "all", 12, "end")
    drawing.text(left + 6, foot + 8, f"{sum(parts.values()):,.0f}", 12, "start")


def _draw_scores(drawing: Drawing, rows: Sequence[StoredFigures]) -> None:
    tolerances = sorted({float(row.metadata["tolerance"]) for row in rows if "tolerance" in row.metadata})
    at = f" at {tolerances[0]:g}" if len(tolerances) == 1 else ""
    bytes_, scores = [row.nbytes for row in rows], [row.f_score or 0.0 for row in rows]
    low = max(0.0, np.floor(20 * min(scores) - 0.2) / 20)
    x, y = (
        fitting_axis("bytes of code and residual or mesh (logarithmic)", bytes_, log=True),
        Axis(f"F{at}", low, 1.005),
    )
    median = f"median {np.median(bytes_):,.0f} bytes, F {np.median(scores):.3f}"
    chart = Chart(drawing, _SCATTER, x, y, f"{len(rows):,} shapes, {median}")
    modes = [mode for mode in _MODES if any(row.mode == mode for row in rows)]
    for mode in modes:
        chosen = [i for i, row in enumerate(rows) if row.mode == mode]
        chart.dots([bytes_[i] for i in chosen], [scores[i] for i in chosen], _MODES[mode])
    counts = [(f"{mode} ({sum(row.mode == mode for row in rows):,})", _MODES[mode]) for mode in modes]
    chart.names(counts, _SCATTER[0] + _SCATTER[2] - 110, _SCATTER[1] + _SCATTER[3] - 17 * len(counts) - 4)
