"""Contact sheet of groups of duplicates: a row for each group, under each picture its name and its relation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import trimesh
from PIL import Image, ImageDraw, ImageFont

from .duplicates import Duplicates
from .relation import Relation
from .render import render

Colour = tuple[int, int, int]
SIZE = 150
"""Pixels of a picture's side."""
COLUMNS = 8
"""Pictures in a row, at most."""
COLOURS: dict[str, Colour] = {
    "identical": (0, 114, 178),
    "re-meshed": (86, 180, 233),
    "moved": (0, 158, 115),
    "scaled": (0, 158, 115),
    "rotated": (0, 158, 115),
    "mirrored": (213, 94, 0),
    "repaired": (204, 121, 167),
    "variant": (230, 159, 0),
}
"""Colours that the colour-blind tell apart (Okabe and Ito, "Color Universal Design", 2008)."""
_LINE, _FONT, _MARGIN, _HEAD = 14, 12, 10, 24
_GREY: Colour = (60, 60, 60)


class Picture(NamedTuple):
    """A shape of a row and its relation to another one of the row; None for the first shape."""

    name: str
    relation: Relation | None


def sheet_rows(found: Duplicates) -> list[list[Picture]]:
    """Rows of a contact sheet: a group each, then a pair of variants each."""
    rows = []
    for names in found.groups:
        relations: dict[str, Relation] = {}
        for relation in found.relations:
            if relation.a in names:
                later = max(relation.a, relation.b, key=names.index)
                relations.setdefault(later, relation)
        rows.append([Picture(name, relations.get(name)) for name in names])
    return rows + [[Picture(relation.a, None), Picture(relation.b, relation)] for relation in found.variants]


def draw_groups(
    rows: Sequence[Sequence[Picture]],
    mesh: Callable[[str], trimesh.Trimesh],
    note: str = "",
    on_row: Callable[[int], None] | None = None,
) -> Image.Image:
    """Draw rows of shapes, each as it stands in its file and fitted to its picture; short rows share a line.

    Args:
        rows: the first `COLUMNS` of a row are drawn, and the number of the others is written under the first.
        mesh: of a name.
        note: a line at the head.
        on_row: called with the number of rows that are drawn.
    """
    places = _places([min(COLUMNS, len(row)) for row in rows])
    height = SIZE + 3 * _LINE + _MARGIN
    lines = 1 + max((line for line, _ in places), default=0)
    canvas = (2 * _MARGIN + COLUMNS * (SIZE + _MARGIN), _HEAD + _MARGIN + lines * height)
    sheet = Image.new("RGB", canvas, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    draw.text((_MARGIN, _HEAD / 2), note, _GREY, font, "lm")
    for number, (row, (line, column)) in enumerate(zip(rows, places, strict=True), 1):
        left, top = _MARGIN + column * (SIZE + _MARGIN), _HEAD + line * height
        end = left + min(COLUMNS, len(row)) * (SIZE + _MARGIN) - _MARGIN
        for shift, picture in enumerate(row[:COLUMNS]):
            at = left + shift * (SIZE + _MARGIN)
            sheet.paste(Image.fromarray(render(mesh(picture.name), SIZE)), (at, top))
            for below, (text, colour) in enumerate(_caption(picture)):
                draw.text((at, top + SIZE + below * _LINE), _shortened(draw, text, font), colour, font, "la")
        if len(row) > COLUMNS:
            draw.text((left, top + SIZE + _LINE), f"and {len(row) - COLUMNS} more", _GREY, font, "la")
        draw.line(((left, top + height - 6), (end, top + height - 6)), _GREY)
        if on_row is not None:
            on_row(number)
    return sheet


def _places(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Line and first column of rows of so many pictures, in their order."""
    places, line, column = [], 0, 0
    for width in widths:
        if column + width > COLUMNS:
            line, column = line + 1, 0
        places.append((line, column))
        column += width
    return places


def _caption(picture: Picture) -> list[tuple[str, Colour]]:
    lines = [(picture.name, _GREY)]
    relation = picture.relation
    if relation is not None:
        colour = COLOURS[relation.kind]
        detail = {
            "moved": f" by {relation.moved:.3g}",
            "scaled": f" by {relation.scale:.3g}",
            "rotated": f" by {relation.angle:.0f} degrees",
            "repaired": f": {relation.share:.0%} of it" if picture.name == relation.a else ": the closed one",
            "variant": f", {relation.share:.0%} agree" if relation.stretch is None else " by a stretch",
        }
        lines.append((relation.kind + detail.get(relation.kind, ""), colour))
        lines.append((f"distance {relation.distance:.2g}", colour))
    return lines


def _shortened(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, its beginning left out where it is wider than a picture."""
    if draw.textlength(text, font) <= SIZE:
        return text
    while text and draw.textlength("..." + text, font) > SIZE:
        text = text[1:]
    return "..." + text
