"""Options of the kinds of `latentsdf plot`; importing them loads no numeric library."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .option_types import count, resolution, share

LAYOUTS = ("tsne", "pca", "umap")
"""Methods of `space.layout`, repeated here since importing that module loads numeric libraries."""


def _map(parser: argparse.ArgumentParser) -> None:
    _pictured(parser, "OUT.png")
    method = "how places are found (default tsne, above 2000 shapes pca; umap needs umap-learn)"
    parser.add_argument("--method", choices=LAYOUTS, help=method)
    thumbnails = "thumbnails in the picture, at most; the other shapes are dots (default 150)"
    parser.add_argument("--thumbnails", type=count, default=150, metavar="N", help=thumbnails)


def _sheet(parser: argparse.ArgumentParser) -> None:
    _pictured(parser, "OUT.png")
    parser.add_argument("names", nargs="*", metavar="NAME", help="shapes, in this order (default: some of each class)")
    parser.add_argument(
        "--meshes", metavar="MESH_DIR", help="folder that the shapes were made from: originals beside them"
    )
    parser.add_argument(
        "--most", type=count, default=24, metavar="N", help="shapes where no NAME is given (default 24)"
    )
    _sized(parser, "as many as fit in 1400 pixels")
    resolution(parser, 128)


def _morph(parser: argparse.ArgumentParser) -> None:
    _pictured(parser, "OUT.png")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--steps", type=count, default=6, metavar="K", help="pictures, ends included (default 6)")
    _sized(parser, "all in one row")
    resolution(parser, 128)


def _slice(parser: argparse.ArgumentParser) -> None:
    _pictured(parser, "OUT.png|OUT.svg")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--axis", choices=("x", "y", "z"), default="y", help="that the plane is perpendicular to (default y)"
    )
    at = "place of the plane along it, from -1 to 1 in radii from the centre (default 0)"
    parser.add_argument("--at", type=share, default=0.0, metavar="T", help=at)


def _chart(parser: argparse.ArgumentParser) -> None:
    _pictured(parser, "OUT.png|OUT.svg")


def _pictured(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("-o", "--out", required=True, metavar=out)


def _sized(parser: argparse.ArgumentParser, columns: str) -> None:
    parser.add_argument("--size", type=count, default=220, metavar="P", help="pixels of a picture's side (default 220)")
    parser.add_argument("--columns", type=count, metavar="N", help=f"shapes in a row (default: {columns})")


KINDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "map": ("all shapes in the plane, like ones near each other (as the verb map)", _map),
    "sheet": ("rendered shapes with their bytes, beside the originals with --meshes", _sheet),
    "morph": ("one shape turning into another, in a row", _morph),
    "slice": ("a plane through the field of a shape: its level sets and its surface", _slice),
    "losses": ("curves of training", _chart),
    "rate": ("bytes of a shape by part, and F-scores against bytes", _chart),
}
"""Help text of each kind of picture, and the function that adds its arguments."""
