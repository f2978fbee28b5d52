"""Charts: axes, linear or logarithmic, with curves, dots and bars on a drawing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array
from .drawing import GREY, Drawing

_GRID = "#e6e6e6"
_TICKS = 6
"""Ticks of a linear axis, about."""


class Axis(NamedTuple):
    """One axis of a chart.

    Attributes:
        label: with the unit.
        low, high: its ends; both positive where it is logarithmic.
        log: whether it is logarithmic.
    """

    label: str
    low: float
    high: float
    log: bool = False

    def share(self, values: ArrayLike) -> Array:
        """Places (...) of values (...) along the axis, 0 at its low end, 1 at its high one."""
        low, high, values = self.low, self.high, np.asarray(values, dtype=np.float64)
        if self.log:
            low, high, values = np.log(low), np.log(high), np.log(np.maximum(values, 1e-300))
        return (values - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values along the axis: 1, 2 and 5 times a power of ten."""
        if self.log:
            powers = range(int(np.floor(np.log10(self.low))), int(np.ceil(np.log10(self.high))) + 1)
            steps = (1,) if np.log10(self.high / self.low) > 4 else (1, 2, 5)
            found = [step * 10.0**power for power in powers for step in steps]
            return [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
        wanted = (self.high - self.low) / _TICKS
        power = 10.0 ** np.floor(np.log10(wanted))
        step = float(next(size * power for size in (1, 2, 5, 10) if size * power >= wanted * 0.8))
        return [step * i for i in range(int(np.ceil(self.low / step - 1e-9)), int(self.high / step + 1e-9) + 1)]


def fitting_axis(label: str, values: ArrayLike, log: bool = False) -> Axis:
    """The axis that holds all finite values (N,), a logarithmic one the positive ones, and is a little longer."""
    values = np.asarray(values, dtype=np.float64).ravel()
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 10.0)
    if log:
        return Axis(label, low / 1.15, max(high, low * 1.01) * 1.15, True)
    room = 0.04 * (high - low) or max(0.5, 0.1 * abs(high))
    return Axis(label, low - room, high + room)


class Chart:
    """Axes in a box of a drawing; what is drawn lies inside of it.

    Args:
        drawing: that is drawn on.
        box: left, top, width and height.
        x, y: axes.
        title: above the box.
    """

    def __init__(self, drawing: Drawing, box: tuple[float, float, float, float], x: Axis, y: Axis, title: str = ""):
        self.drawing, self.box, self.x, self.y = drawing, box, x, y
        left, top, width, height = box
        bottom, right = top + height, left + width
        for value in x.ticks():
            at = float(self.places([value], [y.low])[0, 0])
            drawing.line([(at, top), (at, bottom)], _GRID)
            drawing.text(at, bottom + 13, _number(value), 11, "middle", GREY)
        for value in y.ticks():
            at = float(self.places([x.low], [value])[0, 1])
            drawing.line([(left, at), (right, at)], _GRID)
            drawing.text(left - 7, at, _number(value), 11, "end", GREY)
        drawing.line([(left, top), (left, bottom), (right, bottom)], GREY)
        drawing.text((left + right) / 2, bottom + 33, x.label, 12, "middle")
        drawing.upright_text(left - 50, (top + bottom) / 2, y.label, 12)
        drawing.text(left, top - 16, title, 14)

    def places(self, xs: ArrayLike, ys: ArrayLike) -> Array:
        """Points (N, 2) of the drawing at which values (N,) lie, kept in the box."""
        left, top, width, height = self.box
        across, up = (axis.share(values).clip(0, 1) for axis, values in ((self.x, xs), (self.y, ys)))
        return np.stack([left + across * width, top + (1 - up) * height], axis=1)

    def curve(self, xs: ArrayLike, ys: ArrayLike, colour: str, width: float = 1.8, dash: bool = False) -> None:
        """Draw a line through the values (N,) of both axes that are finite."""
        xs, ys = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
        kept = np.isfinite(xs) & np.isfinite(ys) & ((ys > 0) | (not self.y.log))
        if kept.any():
            self.drawing.line(self.places(xs[kept], ys[kept]), colour, width, dash)

    def dots(self, xs: ArrayLike, ys: ArrayLike, colour: str, radius: float = 3.0) -> None:
        """Draw a dot at each pair of values (N,)."""
        for x, y in self.places(xs, ys).tolist():
            self.drawing.dot(x, y, radius, colour)

    def names(self, rows: list[tuple[str, str]], left: float, top: float) -> None:
        """Write the meaning of colours (name, colour), a line each."""
        for number, (name, colour) in enumerate(rows):
            at = top + 17 * number
            self.drawing.line([(left, at), (left + 16, at)], colour, 3)
            self.drawing.text(left + 22, at, name, 11)


def _number(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6g}"
