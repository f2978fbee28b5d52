"""Sheets and rows of rendered shapes, with a caption under each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import trimesh
from PIL import Image, ImageDraw, ImageFont

from ..core.arrays import Array
from ..core.frame import Frame
from ..core.names import class_of
from ..mesh.render import framed, render

Albedo = tuple[float, float, float]
ALBEDOS: tuple[Albedo, ...] = (
    (0.33, 0.51, 0.74),
    (0.80, 0.44, 0.16),
    (0.23, 0.55, 0.42),
    (0.68, 0.38, 0.55),
    (0.86, 0.62, 0.20),
    (0.42, 0.64, 0.76),
    (0.55, 0.53, 0.49),
)
"""Colours of classes: the hues of Okabe and Ito ("Color Universal Design", 2008), paler, and at different lightness."""
ORIGINAL: Albedo = (0.62, 0.60, 0.56)
"""Colour of the meshes that shapes were made from."""
WIDTH = 1600
"""Pixels of a sheet at most."""
_FONT, _LINE, _EDGE = 13, 17, 14
_INK = (70, 70, 70)


class Cell(NamedTuple):
    """One picture of a sheet.

    Attributes:
        mesh: None leaves the picture empty.
        lines: of the caption.
        colour: albedo.
        frame: that fills the picture; None fits the mesh.
    """

    mesh: trimesh.Trimesh | None
    lines: tuple[str, ...] = ()
    colour: Albedo = ALBEDOS[0]
    frame: Frame | None = None


def class_colours(names: Sequence[str]) -> dict[str, Albedo]:
    """A colour for the class of each name, in the order in which classes come; more than seven repeat."""
    classes = list(dict.fromkeys(class_of(name) for name in names))
    return {kind: ALBEDOS[number % len(ALBEDOS)] for number, kind in enumerate(classes)}


def sample_names(names: Sequence[str], most: int, seed: int = 0) -> list[str]:
    """Choose names of as many classes as there are, one of each in turn, and sort them.

    Args:
        names: of a space.
        most: names at most.
        seed: of the choice within a class.
    """
    generator = np.random.default_rng(seed)
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(class_of(name), []).append(name)
    shuffled = [[group[i] for i in generator.permutation(len(group))] for group in groups.values()]
    if len(shuffled) > most:
        shuffled = [shuffled[i] for i in sorted(generator.permutation(len(shuffled))[:most])]
    turns = [
        group[turn] for turn in range(max(map(len, shuffled), default=0)) for group in shuffled if turn < len(group)
    ]
    return sorted(turns[:most])


def row_frames(points: Sequence[Array | None]) -> list[Frame | None]:
    """Frames of one scale that show each of several point sets (M, 3) in the middle; None where there are no points."""
    frames = [None if item is None else framed(item) for item in points]
    scale = max((frame.scale for frame in frames if frame is not None), default=1.0)
    return [None if frame is None else Frame(frame.rotation, scale, frame.center) for frame in frames]


def draw_sheet(
    cells: Sequence[Cell], columns: int, size: int, title: str = "", on_cell: Callable[[int], None] | None = None
) -> Image.Image:
    """Draw pictures in rows, each on a white ground, with its caption.

    Args:
        cells: row by row.
        columns: pictures in a row.
        size: pixels of a picture's side.
        title: a line at the head.
        on_cell: called with the number of pictures that are drawn.
    """
    lines = max((len(cell.lines) for cell in cells), default=0)
    head, high = (_EDGE + 12 if title else _EDGE // 2), size + lines * _LINE + (6 if lines else 0)
    sheet = Image.new(
        "RGB", (2 * _EDGE + columns * size, head + -(-len(cells) // columns) * high + _EDGE // 2), "white"
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    draw.text((_EDGE, head / 2 + 2), title, _INK, font, "lm")
    for number, cell in enumerate(cells):
        left, top = _EDGE + number % columns * size, head + number // columns * high
        if cell.mesh is not None:
            sheet.paste(draw_shape(cell.mesh, size, cell.colour, cell.frame), (left, top))
        for row, text in enumerate(cell.lines):
            draw.text((left + size / 2, top + size + (row + 0.5) * _LINE), _fitted(text, font, size), _INK, font, "mm")
        if on_cell is not None:
            on_cell(number + 1)
    return sheet


def draw_shape(
    mesh: trimesh.Trimesh, size: int, colour: Albedo = ALBEDOS[0], frame: Frame | None = None
) -> Image.Image:
    """Render a mesh on a white ground at twice the pixels, and reduce the picture."""
    image = Image.fromarray(render(mesh, 2 * size, frame=frame, ground=True, colour=colour))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, its beginning left out where it is wider than a picture."""
    if font.getlength(text) <= width - 4:
        return text
    while text and font.getlength("..." + text) > width - 4:
        text = text[1:]
    return "..." + text
