"""The contact sheet of the demo: the whole collection, then a row for each thing that is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import trimesh
from PIL import Image, ImageDraw, ImageFont

from ..core.names import class_of
from ..plot.sheet import Albedo, Cell, draw_shape
from ..space.shape import Shape
from .demo_task import DemoShape

COLUMNS, CELL = 10, 152
"""Pictures in a row of the collection, and pixels of their side."""
ROW = 8
"""Pictures in the other rows."""
_EDGE, _LINE, _GAP = 40, 16, 30
_INK, _GREY = (40, 40, 40), (120, 120, 120)
_WIDTH = 2 * _EDGE + COLUMNS * CELL


class DemoPictures(NamedTuple):
    """Pictures of the demo.

    Attributes:
        shapes: of the collection, with their pictures.
        colours: by class.
        moved: queries, each followed by its nearest shapes.
        pairs: originals, each followed by a copy.
        steps: of the morph, each with the name of the nearer end.
        scanned: scan, surfaces and original.
        packed: shapes in more and more bytes.
    """

    shapes: Sequence[DemoShape]
    colours: dict[str, Albedo]
    moved: Sequence[Cell]
    pairs: Sequence[Cell]
    steps: Sequence[tuple[str, trimesh.Trimesh | None]]
    scanned: Sequence[Cell]
    packed: Sequence[Cell]


def draw_demo(pictures: DemoPictures, report: dict[str, Any], on_share: Callable[[float], None]) -> Image.Image:
    """Draw the sheet.

    Args:
        pictures: that it shows.
        report: figures of the demo.
        on_share: called with the share of the pictures that are drawn.
    """
    sizes = report["bytes"]
    rows = [
        (("Found in any pose and size", pictures.moved),),
        (("One shape turns into another", _morph_cells(pictures)),),
        (("A noisy scan of two sides, completed", pictures.scanned), ("Copies found", pictures.pairs)),
        (("As close as the bytes allow", pictures.packed),),
    ]
    side = (_WIDTH - 2 * _EDGE) // ROW
    lines = -(-len(pictures.shapes) // COLUMNS)
    head, high, row_high = 92, CELL + _LINE + 8, side + 2 * _LINE + 50
    sheet = Image.new("RGB", (_WIDTH, head + lines * high + _GAP + len(rows) * row_high + 20), "white")
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_EDGE, 34), f"{len(pictures.shapes)} real shapes in {sizes['shapes'] / 1e3:,.0f} kB", 30, _INK, "lm")
    file, meshes = (f"{sizes[name] / 1e6:.1f} MB" for name in ("file", "meshes"))
    text = (
        f"{sizes['per_shape']:,.0f} bytes a shape: code, residual or mesh, search record, frame, name. The rest of the "
        f"file of {file} is the decoder that all share; the meshes take {meshes}. F at 0.01: mean "
        f"{report['mean_f_0.01']:.2f}, least {report['least_f_0.01']:.2f}."
    )
    _write(draw, (_EDGE, 68), text, 15, _GREY, "lm")
    for number, item in enumerate(pictures.shapes):
        left, top = _EDGE + number % COLUMNS * CELL, head + number // COLUMNS * high
        if item.picture is not None:
            sheet.paste(item.picture, (left, top))
        _write(draw, (left + CELL / 2, top + CELL + _LINE / 2), _caption(item), 12, _GREY, "mm")
    top, done, total = head + lines * high + _GAP, 0, sum(len(cells) for row in rows for _, cells in row)
    for row in rows:
        left = _EDGE
        for title, cells in row:
            _write(draw, (left + 8, top + 14), title, 20, _INK, "lm")
            for cell in cells:
                if cell.mesh is not None:
                    sheet.paste(draw_shape(cell.mesh, side, cell.colour, cell.frame), (left, top + 34))
                for number, line in enumerate(cell.lines):
                    at = (left + side / 2, top + 34 + side + (number + 0.5) * _LINE)
                    _write(draw, at, line, 12, _GREY, "mm", side - 4)
                left, done = left + side, done + 1
                on_share(done / total)
        top += row_high
    return sheet


def _morph_cells(pictures: DemoPictures) -> list[Cell]:
    """Steps of the morph, their colour going from one end's to the other's."""
    names, meshes = [name for name, _ in pictures.steps], [mesh for _, mesh in pictures.steps]
    first, last = (np.array(pictures.colours[class_of(name)]) for name in (names[0], names[-1]))
    cells = []
    for number, mesh in enumerate(meshes):
        share = number / (len(meshes) - 1)
        red, green, blue = (first + share * (last - first)).tolist()
        ends = {0: (names[0],), len(meshes) - 1: (names[-1],)}
        cells.append(Cell(mesh, ends.get(number, (f"{share:.0%}",)), (red, green, blue)))
    return cells


def _caption(item: DemoShape) -> str:
    name = item.name.split("/")[-1].replace("_", " ")
    if not isinstance(item.shape, Shape):
        return name
    beside = 0 if item.shape.correction is None else item.shape.correction.nbytes
    return f"{name}   {item.shape.metadata['code_bytes'] + beside:,} B"


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str,
    width: float = np.inf,
) -> None:
    font = ImageFont.load_default(size)
    while text and font.getlength(text) > width:
        text = text[:-1]
    draw.text(at, text, colour, font, anchor)
