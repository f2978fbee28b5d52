"""Contact sheet of groups of duplicates: a row for each group, under each picture its name and its relation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import trimesh
from PIL import Image, ImageDraw, ImageFont

from .duplicates import Duplicates
from .relation import Relation
from .render import render

SIZE = 150
"""Pixels of a picture's side."""
COLUMNS = 8
"""Pictures in a row, at most."""
COLOURS = {
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
    """Draw rows of shapes, each as it stands in its file, fitted to its picture.

    Args:
        rows: the first `COLUMNS` of a row are drawn, and the number of the others is written at its end.
        mesh: of a name.
        note: a line at the head.
        on_row: called with the number of rows that are drawn.
    """
    columns = min(COLUMNS, max((len(row) for row in rows), default=1))
    height = SIZE + 3 * _LINE + _MARGIN
    canvas = (2 * _MARGIN + max(3, columns) * (SIZE + _MARGIN), _HEAD + _MARGIN + max(1, len(rows)) * height)
    sheet = Image.new("RGB", canvas, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    draw.text((_MARGIN, _HEAD / 2), note, (60, 60, 60), font, "lm")
    for number, row in enumerate(rows):
        top = _HEAD + number * height
        for column, picture in enumerate(row[:COLUMNS]):
            left = _MARGIN + column * (SIZE + _MARGIN)
            sheet.paste(Image.fromarray(render(mesh(picture.name), SIZE)), (left, top))
            for line, (text, colour) in enumerate(_caption(picture)):
                place = (left, top + SIZE + line * _LINE)
                draw.text(place, _shortened(draw, text, font), colour, font, "la")
        if len(row) > COLUMNS:
            draw.text((canvas[0] - _MARGIN, top + 4), f"and {len(row) - COLUMNS} more", (60, 60, 60), font, "ra")
        draw.line(((_MARGIN, top + height - 5), (canvas[0] - _MARGIN, top + height - 5)), (225, 225, 225))
        if on_row is not None:
            on_row(number + 1)
    return sheet


def _caption(picture: Picture) -> list[tuple[str, tuple[int, int, int]]]:
    lines = [(picture.name, (60, 60, 60))]
    relation = picture.relation
    if relation is not None:
        colour = COLOURS[relation.kind]
        detail = {
            "moved": f" by {relation.moved:.3g}",
            "scaled": f" by {relation.scale:.3g}",
            "rotated": f" by {relation.angle:.0f} degrees",
            "repaired": f", {relation.share:.0%} covered",
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
