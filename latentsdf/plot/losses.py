"""Training curves of a space, from the log that its file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.arrays import Array
from .chart import Axis, Chart, fitting_axis
from .drawing import COLOURS, GREY, Drawing

SIZE = (860, 470)
_BOX = (80, 50, 600, 350)
_SMALLEST = 1e-4
"""Share of the largest value that the axis of a loss reaches down to; terms that stay below are left out, as is one
that is the whole loss."""


def draw_losses(history: Mapping[str, Any], title: str = "") -> Drawing:
    """Draw the loss and its terms against the steps of training, and the speed in the heading; stages are named.

    Args:
        history: of a space, with rows `log` (`step`, `loss`, `terms`, `stage`).
        title: in front of the heading.

    Raises:
        ValueError: the history has no log, or fewer than two rows of it.
    """
    log = list(history.get("log") or [])
    if len(log) < 2:
        raise ValueError(
            f"the space keeps {len(log)} rows of training; curves need two: it is linear, or its log was dropped; "
            "train it again with `latentsdf train`"
        )
    steps = np.array([row["step"] for row in log], dtype=np.float64)
    curves = {"loss": np.array([row["loss"] for row in log], dtype=np.float64)}
    for name in dict.fromkeys(name for row in log for name in row.get("terms", {})):
        curves[name] = np.array([row.get("terms", {}).get(name, np.nan) for row in log], dtype=np.float64)
    largest = float(np.nanmax(curves["loss"]))
    curves = {name: values for name, values in curves.items() if name == "loss" or _is_seen(values, curves["loss"])}
    drawing = Drawing(*SIZE)
    values = np.concatenate(list(curves.values()))
    values = values[np.isfinite(values) & (values > _SMALLEST * largest)]
    x = Axis("step", 0.0, float(steps.max()) * 1.02)
    chart = Chart(drawing, _BOX, x, fitting_axis("loss (logarithmic)", values, log=True), _heading(history, log, title))
    _name_stages(chart, [str(row.get("stage", "")) for row in log], steps)
    for number, (name, found) in reversed(list(enumerate(curves.items()))):
        chart.curve(steps, found, COLOURS[number % len(COLOURS)], 2.2 if name == "loss" else 1.5, dash=number > 0)
    rows = [(name, COLOURS[number % len(COLOURS)]) for number, name in enumerate(curves)]
    chart.names(rows, _BOX[0] + _BOX[2] + 14, _BOX[1] + 12)
    return drawing


def _heading(history: Mapping[str, Any], log: list[Mapping[str, Any]], title: str) -> str:
    parts = [title, f"{log[-1]['step']:,} steps"]
    if history.get("seconds"):
        parts.append(f"{history['seconds'] / 60:.1f} minutes")
    speeds = [row["samples_per_second"] for row in log if row.get("samples_per_second")]
    if speeds:
        parts.append(f"{np.median(speeds):,.0f} samples a second")
    parts.append(f"loss {log[-1]['loss']:.2g} at the end")
    return ", ".join(part for part in parts if part)


def _is_seen(values: Array, loss: Array) -> bool:
    """Whether a term is neither too small to be seen nor the whole of the loss."""
    return bool(np.nanmax(values) > _SMALLEST * np.nanmax(loss) and np.nanmax(np.abs(values / loss - 1)) > 0.02)


def _name_stages(chart: Chart, stages: list[str], steps: Array) -> None:
    """Write the name of each stage at the head of the chart, and a dashed line where it begins."""
    left, top, width, height = chart.box
    starts = [i for i, stage in enumerate(stages) if i == 0 or stage != stages[i - 1]]
    for start in starts:
        at = float(chart.places([steps[start] if start else 0.0], [chart.y.low])[0, 0])
        if start:
            chart.drawing.line([(at, top), (at, top + height)], GREY, 1.0, dash=True)
        if len(starts) > 1:
            chart.drawing.text(at + 5, top + 10, stages[start], 11, "start", GREY)
