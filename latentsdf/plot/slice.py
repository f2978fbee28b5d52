"""Slice through a signed distance field: filled level sets, and its zero set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from skimage.measure import find_contours

from ..core.arrays import Array
from ..core.field import SDF, evaluate
from ..core.frame import Frame
from .drawing import GREY, Drawing

AXES = ("x", "y", "z")
SIZE = 560
"""Side of the slice in units of the drawing."""
_MARGIN, _KEY, _HEAD = 30, 130, 44
_WIDE = 1.15
"""Half width of the slice in radii of the shape."""
_LEVELS = 8
"""Filled bands on either side of zero; the last holds all that is farther."""
_BAND = 0.045
"""Width of a band in radii of the shape, about."""
INSIDE, OUTSIDE = ("#b5dbe8", "#0b4f7d"), ("#fff4dd", "#d9842b")
"""Colours beside the zero set and far from it: blue and orange, which the colour-blind tell apart."""
_ZERO = "#111111"


class Slice(NamedTuple):
    """Values of a field on a plane.

    Attributes:
        values: (R, R), rows upwards, in the unit of the field.
        radius: of the shape.
        axis: 0, 1 or 2, that the plane is perpendicular to.
        at: place of the plane along it.
    """

    values: Array
    radius: float
    axis: int
    at: float


def slice_field(sdf: SDF, frame: Frame, axis: int, share: float = 0.0, resolution: int = 320) -> Slice:
    """Sample a field on a square around a shape.

    Args:
        sdf: (N, 3) -> (N,), in source units.
        frame: whose unit sphere holds the shape.
        axis: 0, 1 or 2, that the plane is perpendicular to.
        share: place of the plane, from -1 to 1 in radii from the centre.
        resolution: samples a side (R).
    """
    half = _WIDE * frame.scale
    steps = np.linspace(-half, half, resolution)
    across, up = [item for item in range(3) if item != axis]
    points = np.tile(frame.center, (resolution, resolution, 1))
    points[..., across] += steps[None]
    points[..., up] += steps[:, None]
    points[..., axis] += share * frame.scale
    values = evaluate(sdf, torch.from_numpy(points.reshape(-1, 3)).float()).double().numpy()
    return Slice(values.reshape(resolution, resolution), frame.scale, axis, float(points[0, 0, axis]))


def draw_slice(field: Slice, title: str = "") -> Drawing:
    """Draw the level sets of a slice as bands of equal width, the zero set as a line, and a key with the distances.

    Args:
        field: of `slice_field`.
        title: above it.
    """
    drawing = Drawing(SIZE + 2 * _MARGIN + _KEY, SIZE + _HEAD + _MARGIN)
    step = _band(_BAND * field.radius)
    levels = [step * i for i in range(_LEVELS, -_LEVELS, -1)]
    colours = [*_ramp(OUTSIDE, _LEVELS)[::-1], *_ramp(INSIDE, _LEVELS)]
    drawing.box(_MARGIN, _HEAD, SIZE, SIZE, colours[0])
    for level, colour in zip(levels[1:], colours[1:], strict=True):
        polygons = _below(field.values, level)
        if polygons:
            drawing.area(polygons, colour)
    for level in levels:
        if level:
            for line in find_contours(field.values, level):
                drawing.line(_places(line, field.values), "#ffffff", 0.6)
    for line in find_contours(field.values, 0.0):
        drawing.line(_places(line, field.values), _ZERO, 2.4)
    across, up = [AXES[item] for item in range(3) if item != field.axis]
    drawing.text(_MARGIN, _HEAD / 2, f"{title}   {AXES[field.axis]} = {field.at:.4g}", 15)
    drawing.text(_MARGIN + SIZE / 2, _HEAD + SIZE + 15, f"{across} to the right, {up} up", 11, "middle", GREY)
    _draw_key(drawing, field, step, colours)
    return drawing


def _draw_key(drawing: Drawing, field: Slice, step: float, colours: Sequence[str]) -> None:
    """The bands that occur, from far outside to deep inside, with the distances between them."""
    left, height = _MARGIN + SIZE + 24, 22
    rows = np.arange(_LEVELS, -_LEVELS, -1) * step
    least, largest = field.values.min(), field.values.max()
    found = [i for i, high in enumerate(rows) if least < high and largest >= high - step]
    drawing.text(left, _HEAD + 6, "distance", 12)
    for number, i in enumerate(found):
        top = _HEAD + 24 + height * number
        drawing.box(left, top, 26, height, colours[i])
        if abs(rows[i]) < 0.5 * step:
            drawing.line([(left - 3, top), (left + 29, top)], _ZERO, 2.4)
        label = "0, the surface" if abs(rows[i]) < 0.5 * step else f"{rows[i]:.3g}"
        if i:
            drawing.text(left + 34, top, label, 11, "start", GREY)
        elif largest > rows[0]:
            drawing.text(left + 34, top + height / 2, "more", 11, "start", GREY)


def _below(values: Array, level: float) -> list[Array]:
    """Closed polygons (N, 2) of the drawing around where values (R, R) are below a level."""
    padded = np.pad(values, 1, constant_values=values.max() + abs(level) + 1.0)
    inside = [contour - 1.0 for contour in find_contours(padded, level)]
    return [_places(contour.clip(0, len(values) - 1), values) for contour in inside if len(contour) > 2]


def _places(contour: Array, values: Array) -> Array:
    """Points (N, 2) of the drawing, of rows and columns (N, 2)."""
    share = contour / (len(values) - 1)
    return np.stack([_MARGIN + SIZE * share[:, 1], _HEAD + SIZE * (1 - share[:, 0])], axis=1)


def _band(width: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is no smaller than a width."""
    power = 10.0 ** np.floor(np.log10(max(width, 1e-300)))
    return float(next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= width * 0.999))


def _ramp(ends: tuple[str, str], count: int) -> list[str]:
    """Colours from one to another, ends included."""
    first, last = (np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) for text in ends)
    mixed = first + (last - first) * np.linspace(0, 1, count)[:, None]
    return ["#" + "".join(f"{round(value):02x}" for value in row) for row in mixed]
