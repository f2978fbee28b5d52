"""Draw `docs/packages.svg` from the imports of the library: `python docs/make_package_graph.py`.

The floor of a package is one more than the highest floor among the packages it imports. Arrows are the transitive
reduction of the import graph; the last line of each box lists every package it imports. `tests/test_floors.py` takes
the import reader from here and compares the committed picture with a fresh one.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "latentsdf"
TARGET = Path(__file__).with_name("packages.svg")
WIDTH, HEIGHT, GAP, RISE, EDGE = 248, 84, 26, 44, 16
"""Width and height of a box, space between boxes across and down, and margin, in pixels."""
BOXES = {
    "core": (2, "fields, frames, lattices, loops, files"),
    "codec": (0, "a residual in few bytes"),
    "mesh": (1, "load, repair, measure, extract"),
    "decoder": (2, "a code to a signed distance function"),
    "primitives": (3, "analytic solids and shape families"),
    "scan": (1, "point clouds: normals, outliers, rays"),
    "dataset": (3, "a folder of meshes to query samples"),
    "regularizers": (0, "terms of an objective on a field"),
    "solver": (1, "B-spline field by one linear solve"),
    "fitting": (0, "one field for one scan, no space"),
    "space": (2, "a decoder and its named codes"),
    "plot": (0, "pictures of a space as files"),
    "inference": (2, "samples to a code, decoder frozen"),
    "training": (3, "a dataset to a space"),
    "reconstruction": (1, "scan and space to a shape"),
    "explorer": (1, "a space as a web page"),
    "cli": (2, "the command line"),
}
"""Column and role of each package."""
COLOURS = ("#e7ebf3", "#e1eef3", "#e2f1e6", "#f0f1da", "#fbf0da", "#f8e6dc", "#f4e1e4", "#ebe3f3")
"""Fill of the boxes, by floor."""


class Import(NamedTuple):
    """One imported name.

    Attributes:
        file: that imports, relative to the package.
        target: module imported from, dotted below `latentsdf`.
        name: imported.
    """

    file: str
    target: str
    name: str

    @property
    def package(self) -> str:
        """Package that is imported."""
        return self.target.split(".")[0]


def imports(path: Path) -> list[Import]:
    """Names that a file imports from this library, at its top or inside a function."""
    inside = path.relative_to(PACKAGE)
    here = list(inside.parts[:-1])
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = here[: len(here) - node.level + 1]
                target = ".".join([*base, *([node.module] if node.module else [])])
            elif (node.module or "").split(".")[0] == "latentsdf":
                target = (node.module or "").partition(".")[2]
            else:
                continue
            names += [Import(inside.as_posix(), target or alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            own = [alias.name for alias in node.names if alias.name.split(".")[0] == "latentsdf"]
            names += [Import(inside.as_posix(), name.partition(".")[2], name) for name in own]
    return names


@cache
def all_imports() -> tuple[Import, ...]:
    """Every name that any file of the library imports from the library."""
    return tuple(item for path in sorted(PACKAGE.rglob("*.py")) for item in imports(path))


def package_graph() -> dict[str, set[str]]:
    """Packages that each package imports."""
    graph = {path.parent.name: set[str]() for path in sorted(PACKAGE.glob("*/__init__.py"))}
    for item in all_imports():
        here = item.file.split("/")[0]
        if "/" in item.file and item.package != here:
            graph[here].add(item.package)
    return graph


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """Packages by floor, lowest first."""

    @cache
    def floor(name: str) -> int:
        return 1 + max((floor(other) for other in graph[name]), default=-1)

    return [[name for name in graph if floor(name) == level] for level in range(1 + max(map(floor, graph)))]


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The transitive reduction: imports that no chain of other imports implies."""

    def reach(name: str) -> set[str]:
        return graph[name].union(*(reach(other) for other in graph[name]))

    return {
        name: {other for other in below if not any(other in reach(b) for b in below)} for name, below in graph.items()
    }


def picture() -> str:
    """The package graph as SVG: lowest floor at the bottom, an arrow from each package to those it imports.

    Raises:
        KeyError: a package has no entry in `BOXES`.
    """
    graph = package_graph()
    levels = {name: level for level, names in enumerate(floors(graph)) for name in names}
    top = max(levels.values())
    columns = 1 + max(column for column, _ in BOXES.values())
    size = 2 * EDGE + columns * (WIDTH + GAP) - GAP, 2 * EDGE + (top + 1) * (HEIGHT + RISE) - RISE

    def corner(name: str) -> tuple[int, int]:
        return EDGE + BOXES[name][0] * (WIDTH + GAP), EDGE + (top - levels[name]) * (HEIGHT + RISE)

    arrows, boxes = [], []
    for name, below in reduced(graph).items():
        for rank, other in enumerate(sorted(below, key=lambda item: BOXES[item][0])):
            (left, head), (start, foot) = corner(name), corner(other)
            end, x, y = left + WIDTH * (rank + 1) // (len(below) + 1), start + WIDTH // 2, head + HEIGHT
            turn, middle = y + RISE - 12, y + RISE // 2 - 8
            arrows.append(f'<path d="M{x} {foot - 4} V{turn} C{x} {middle} {end} {middle} {end} {y}"/>')
        x, y = corner(name)
        fill = COLOURS[levels[name] % len(COLOURS)]
        boxes.append(f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}"/>')
        boxes.append(_text(x + 12, y + 22, name, 'font-weight="bold" font-size="15"'))
        boxes.append(_text(x + 12, y + 40, BOXES[name][1], 'font-size="12"'))
        used = ", ".join(item for item in BOXES if item in graph[name])
        for line, part in enumerate(wrap(used, 48)):
            boxes.append(_text(x + 12, y + 58 + 13 * line, part, 'font-size="10" fill="#555"'))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" '
            f'height="{size[1]}" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#667"/></marker></defs>',
            f'<rect width="{size[0]}" height="{size[1]}" fill="#fff"/>',
            '<g fill="none" stroke="#667" stroke-width="1.4" marker-start="url(#tip)">',
            *arrows,
            "</g>",
            '<g stroke="#99a">',
            *(box for box in boxes if box.startswith("<rect")),
            "</g>",
            *(box for box in boxes if box.startswith("<text")),
            "</svg>",
            "",
        ]
    )


def _text(x: int, y: int, text: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" {style}>{text}</text>'


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
