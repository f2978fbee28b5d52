"""Picture of a layout: thumbnails of shapes at their places, coloured by cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from ..core.arrays import Array, Indices
from .thumbnail_placement import Placement, place_thumbnails

CANVAS = (1600, 1200)
"""Width and height in pixels."""
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
"""Colours that the colour-blind tell apart (Okabe and Ito, "Color Universal Design", 2008)."""
ALONE = (150, 150, 150)
"""Colour of shapes without a cluster."""
SIZES = (56, 120)
"""Smallest and largest side of a thumbnail in pixels."""

_MARGIN, _DOT, _FONT, _BESIDE = 24, 4, 15, 4

Colour = tuple[int, int, int]
Thumbnail = Callable[[int], NDArray[np.uint8] | None]
"""Image (H, H, 3) on white of a shape, by its row, with H best `SIZES[1]`; None where there is none."""


class MapData(NamedTuple):
    """Shapes of a map.

    Attributes:
        points: (S, 2) of `layout`.
        labels: (S,) of `clusters`.
        classes: name of the class of each shape, "" without one.
    """

    points: Array
    labels: Indices
    classes: Sequence[str]


def draw_map(data: MapData, thumbnail: Thumbnail, most: int = 150, note: str = "") -> Image.Image:
    """Draw thumbnails of at most `most` shapes, spread out and without overlap, and dots for the others.

    A cluster has one colour, and clusters beside each other have different ones; shapes alone in theirs are grey.
    Clusters of three or more shapes are named by their most frequent class.

    Args:
        data: places, clusters and classes.
        thumbnail: called once for each thumbnail, in the order of the rows.
        most: thumbnails at most; 0 draws dots alone.
        note: a line at the foot.
    """
    places, colours = _pixels(data.points), _colours(data.points, data.labels)
    placed = place_thumbnails(places, SIZES, most, CANVAS)
    picture = Image.new("RGB", CANVAS, "white")
    shown = _draw_thumbnails(picture, placed, thumbnail, [colours[label] for label in data.labels])
    _draw_dots(picture, places, [row for row in range(len(places)) if row not in shown], data.labels, colours)
    _draw_captions(picture, places, data, placed.size)
    ImageDraw.Draw(picture).text((12, CANVAS[1] - 12), note, (90, 90, 90), ImageFont.load_default(_FONT), "ls")
    return picture


def _pixels(points: Array) -> Array:
    """Places (S, 2) in pixels: one scale for both axes, y upwards, centred on the canvas."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array(CANVAS) - 2 * (_MARGIN + SIZES[0] / 2)
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    return np.array(CANVAS) / 2 + (points - (low + high) / 2) * [scale, -scale]


def _colours(points: Array, labels: Indices) -> list[Colour]:
    """A colour for each cluster, the least used one that none of its nearest neighbours has."""
    sizes = np.bincount(labels)
    centers = np.stack([points[labels == label].mean(axis=0) for label in range(len(sizes))])
    found: list[Colour] = []
    for label, size in enumerate(sizes):
        known = [other for other in range(label) if sizes[other] > 1]
        near = sorted(known, key=lambda other: float(np.square(centers[other] - centers[label]).sum()))
        taken, used = {found[other] for other in near[:_BESIDE]}, Counter(found)
        free = sorted((used[colour], rank) for rank, colour in enumerate(COLOURS) if colour not in taken)
        found.append(COLOURS[free[0][1]] if size > 1 else ALONE)
    return found


def _draw_thumbnails(
    picture: Image.Image, placed: Placement, thumbnail: Thumbnail, colours: Sequence[Colour]
) -> set[int]:
    """Draw the images in the colours of their shapes; returns the rows that have one."""
    shown = set()
    for i in np.argsort(placed.rows):
        row, size = int(placed.rows[i]), placed.size
        image = thumbnail(row)
        if image is not None:
            grey = Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.LANCZOS)
            tinted = ImageOps.colorize(grey, "black", "white", colours[row], midpoint=175)
            left, top = (round(value) for value in (placed.centers[i] - size / 2).tolist())
            under = picture.crop((left, top, left + size, top + size))
            picture.paste(ImageChops.multiply(under, tinted), (left, top))
            shown.add(row)
    return shown


def _draw_dots(
    picture: Image.Image, places: Array, rows: Sequence[int], labels: Indices, colours: Sequence[Colour]
) -> None:
    draw = ImageDraw.Draw(picture)
    for row in rows:
        draw.circle(tuple(places[row]), _DOT, fill=colours[labels[row]], outline="white")


def _draw_captions(picture: Image.Image, places: Array, data: MapData, size: int) -> None:
    """Write the class of each larger cluster above it, where no other caption stands."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT)
    taken: list[tuple[float, float, float, float]] = []
    for label, count in enumerate(np.bincount(data.labels)):
        rows = np.flatnonzero(data.labels == label)
        text = Counter(data.classes[row] for row in rows.tolist()).most_common(1)[0][0]
        if count < 3 or not text:
            continue
        x, y = np.median(places[rows], axis=0) - [0, size / 2]
        width = draw.textlength(text, font=font)
        x = float(np.clip(x, width / 2 + 4, CANVAS[0] - width / 2 - 4))
        y = float(max(y, _FONT))
        for shift in (0, -1, 1, -2, 2, -3, 3):
            box = (x - width / 2, y + (shift - 0.5) * _FONT, x + width / 2, y + (shift + 0.5) * _FONT)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                centre = (x, y + shift * _FONT)
                draw.text(centre, text, (40, 40, 40), font, "mm", stroke_width=2, stroke_fill="white")
                break
