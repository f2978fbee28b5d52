"""Drawings of lines, areas, dots and texts, written as SVG or, by Pillow, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageChops, ImageDraw, ImageFont

from ..core.arrays import Array
from ..core.hdf5 import atomic_replace

ENDINGS = (".png", ".svg")
GREY = "#555555"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000")
"""Colours that the colour-blind tell apart (Okabe and Ito, "Color Universal Design", 2008)."""
SCALE = 2
"""Pixels of a PNG a unit of the drawing."""
_FINE = 2
"""Samples a pixel side, for smooth edges."""
_ANCHORS = {"start": "l", "middle": "m", "end": "r"}


class Line(NamedTuple):
    """A line through points (N, 2)."""

    points: Array
    colour: str
    width: float
    dash: bool


class Area(NamedTuple):
    """The area inside an odd number of closed polygons (N, 2) each."""

    polygons: Sequence[Array]
    colour: str


class Dot(NamedTuple):
    """A disc."""

    center: tuple[float, float]
    radius: float
    colour: str


class Text(NamedTuple):
    """A line of text whose `anchor` (start, middle or end) is at half its height; upright ones read from below."""

    place: tuple[float, float]
    text: str
    size: float
    anchor: str
    colour: str
    upright: bool


@dataclass
class Drawing:
    """Shapes in the order in which they are drawn, on white; y goes down.

    Attributes:
        width, height: in units; an SVG has as many pixels, a PNG `SCALE` times as many a side.
    """

    width: float
    height: float
    parts: list[Line | Area | Dot | Text] = field(default_factory=list)

    def line(self, points: ArrayLike, colour: str = GREY, width: float = 1.0, dash: bool = False) -> None:
        """Draw a line through points (N, 2)."""
        self.parts.append(Line(np.asarray(points, dtype=np.float64), colour, width, dash))

    def area(self, polygons: Sequence[ArrayLike], colour: str) -> None:
        """Fill what lies inside an odd number of polygons (N, 2)."""
        self.parts.append(Area([np.asarray(item, dtype=np.float64) for item in polygons], colour))

    def box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """Fill a rectangle."""
        right, bottom = left + width, top + height
        self.area([[(left, top), (right, top), (right, bottom), (left, bottom)]], colour)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Fill a disc."""
        self.parts.append(Dot((float(x), float(y)), radius, colour))

    def text(
        self, x: float, y: float, text: str, size: float = 12, anchor: str = "start", colour: str = "#222222"
    ) -> None:
        """Write a line of text."""
        self.parts.append(Text((float(x), float(y)), text, size, anchor, colour, False))

    def upright_text(self, x: float, y: float, text: str, size: float = 12) -> None:
        """Write a line of text that reads from below, its middle at (x, y)."""
        self.parts.append(Text((float(x), float(y)), text, size, "middle", "#222222", True))

    def save(self, path: Path) -> None:
        """Write the drawing in one step, as the ending of the path says.

        Raises:
            OSError: the disk refused.
        """
        with atomic_replace(path) as temporary:
            if path.suffix.lower() == ".svg":
                temporary.write_text(self.svg(), encoding="utf-8")
            else:
                self.image().save(temporary, format="PNG")

    def svg(self) -> str:
        """The drawing as SVG."""
        size = f'width="{self.width:g}" height="{self.height:g}" viewBox="0 0 {self.width:g} {self.height:g}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
        body = [_element(part) for part in self.parts]
        return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>"]) + "\n"

    def image(self) -> Image.Image:
        """The drawing as pixels."""
        size, scale = (round(self.width * SCALE), round(self.height * SCALE)), SCALE * _FINE
        image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), "white")
        for part in self.parts:
            if not isinstance(part, Text):
                _paint(image, part, scale)
        image = image.resize(size, Image.Resampling.BOX)
        for part in self.parts:
            if isinstance(part, Text):
                _write(image, part)
        return image


def _element(part: Line | Area | Dot | Text) -> str:
    if isinstance(part, Line):
        dash = f' stroke-dasharray="{3 * part.width:g} {3 * part.width:g}"' if part.dash else ""
        style = f'fill="none" stroke="{part.colour}" stroke-width="{part.width:g}" stroke-linejoin="round"{dash}'
        return f'<polyline points="{_pairs(part.points)}" {style}/>'
    if isinstance(part, Area):
        path = " ".join(f"M{_pairs(points)}Z" for points in part.polygons)
        return f'<path d="{path}" fill="{part.colour}" fill-rule="evenodd"/>'
    if isinstance(part, Dot):
        return f'<circle cx="{part.center[0]:.2f}" cy="{part.center[1]:.2f}" r="{part.radius:g}" fill="{part.colour}"/>'
    x, y = part.place
    turn = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if part.upright else ""
    style = f'font-size="{part.size:g}" text-anchor="{part.anchor}" dominant-baseline="central" fill="{part.colour}"'
    return f'<text x="{x:.2f}" y="{y:.2f}" {style}{turn}>{escape(part.text)}</text>'


def _pairs(points: Array) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _paint(image: Image.Image, part: Line | Area | Dot, scale: float) -> None:
    draw = ImageDraw.Draw(image)
    if isinstance(part, Dot):
        draw.circle((part.center[0] * scale, part.center[1] * scale), part.radius * scale, fill=part.colour)
    elif isinstance(part, Line):
        width = max(1, round(part.width * scale))
        for piece in _dashes(part.points, 3 * part.width) if part.dash else [part.points]:
            draw.line([tuple(point) for point in (piece * scale).tolist()], part.colour, width, joint="curve")
    else:
        mask = Image.new("1", image.size)
        for polygon in part.polygons:
            own = Image.new("1", image.size)
            ImageDraw.Draw(own).polygon([tuple(point) for point in (polygon * scale).tolist()], fill=1)
            mask = ImageChops.logical_xor(mask, own)
        image.paste(part.colour, (0, 0), mask)


def _dashes(points: Array, length: float) -> list[Array]:
    """Pieces of a polyline (N, 2), every second one of so many units left out."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    places = np.arange(0.0, steps[-1], 0.5 * length)
    dense = np.stack([np.interp(places, steps, points[:, axis]) for axis in (0, 1)], axis=1)
    return [dense[i : i + 3] for i in range(0, len(dense) - 1, 4)]


def _write(image: Image.Image, part: Text) -> None:
    font = ImageFont.load_default(part.size * SCALE)
    place = (part.place[0] * SCALE, part.place[1] * SCALE)
    if not part.upright:
        ImageDraw.Draw(image).text(place, part.text, part.colour, font, _ANCHORS[part.anchor] + "m")
        return
    width = int(font.getlength(part.text)) + 4
    stamp = Image.new("RGB", (width, int(1.5 * part.size * SCALE)), "white")
    ImageDraw.Draw(stamp).text((width / 2, stamp.height / 2), part.text, part.colour, font, "mm")
    stamp = stamp.rotate(90, expand=True)
    image.paste(stamp, (round(place[0] - stamp.width / 2), round(place[1] - stamp.height / 2)))
