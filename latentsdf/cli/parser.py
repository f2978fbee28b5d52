"""The grammar of the command line; importing it costs nothing."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

DECODERS = ("dual", "dual-mlp", "deepsdf", "linear")
NETWORKS = ("fast", "sine", "softplus", "relu", "paper")
_OF_A_SCAN = (
    "of a scan among the shapes of the space: as its bounding sphere says; axes alike, scale and place found "
    "(default); rotation found too"
)
CELLS = (4, 1024)
"""What `extract_mesh` takes; written here again so that `--help` loads no numeric library."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _cells(text: str) -> int:
    value = _count(text)
    if not CELLS[0] <= value <= CELLS[1]:
        raise argparse.ArgumentTypeError(f"must lie from {CELLS[0]} to {CELLS[1]}, got {value}")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return value


def _coordinate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be finite, got {text}")
    return value


def _weight(text: str) -> tuple[str, float]:
    name, equals, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name or not equals or not 0 <= weight < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a term and its weight, as eikonal=0.1 is")
    return name, weight


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must lie in [0, 2^63), got {value}")
    return value


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    shared = _Parser(add_help=False)
    shared.add_argument("--json", metavar="FILE", help="write the result as JSON")
    shared.add_argument("--seed", type=_seed, default=0, help="seed of everything random (default 0)")
    shared.add_argument("--quiet", action="store_true", help="no progress on standard error")
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    top = _Parser(
        prog="latentsdf",
        description="One compact latent space of signed distance functions over many 3-D shapes.",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[shared])

    parser = verb("demo", "the whole main job on the embedded collection")
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder for everything it makes (default: demo)")
    parser.add_argument("--minutes", type=_positive, default=5.0, help="time budget (default 5)")
    parser.add_argument("--shapes", type=_count, default=12, help="shapes a family to train on (default 12)")

    parser = verb("prepare", "meshes -> query samples; the folder name is the class when meshes lie in sub-folders")
    parser.add_argument("mesh_dir", metavar="MESH_DIR")
    parser.add_argument("dataset", metavar="DATASET.h5")
    parser.add_argument("--workers", type=_count, help="processes (default: one a core)")
    parser.add_argument("--time-limit", type=_positive, default=300.0, help="seconds a mesh may take (default 300)")
    parser.add_argument("--memory-limit", type=_positive, default=6.0, help="GiB a worker may use (default 6)")
    parser.add_argument("--samples", type=_count, default=200_000, help="query samples a shape (default 200000)")

    parser = verb("train", "query samples -> a latent space")
    parser.add_argument("dataset", metavar="DATASET.h5")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("--minutes", type=_positive, help="time budget (default 10)")
    parser.add_argument("--steps", type=_count, help="take this many steps of the schedule instead of a time budget")
    parser.add_argument("--code-size", type=int, metavar="D", help="numbers a shape (default 64)")
    parser.add_argument("--decoder", choices=DECODERS, help="network (default: dual)")
    parser.add_argument(
        "--start",
        metavar="base|components|random|SPACE.h5",
        help="what the network starts from (default: base, the space that comes with the library, where it fits)",
    )
    parser.add_argument(
        "--nested",
        type=_count,
        nargs="*",
        metavar="K",
        help="shorter code lengths that are to work too",
    )
    parser.add_argument("--joint", action="store_true", help="one joint stage, as in the Compact-SDF paper")
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished run in SPACE.h5")
    parser.add_argument("--force", action="store_true", help="replace SPACE.h5 when it exists")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps ... (default cpu)")

    parser = verb("encode", "add unseen shapes to a space, no retraining")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("meshes", nargs="+", metavar="MESH")
    parser.add_argument("--replace", action="store_true", help="replace a shape whose name is taken")
    parser.add_argument("--steps", type=_count, default=40, help="iterations of the fit (default 40)")
    _pose(
        parser,
        "of a mesh among the shapes of the space: as its bounding sphere says; scale and place found; rotation found "
        "too (default)",
    )

    parser = verb("info", "what a dataset or space file holds")
    parser.add_argument("file", metavar="FILE.h5")

    parser = verb("mesh", "codes -> meshes, in the units of their sources")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument(
        "-o", "--out", required=True, metavar="DIR_OR_FILE", help="a folder, or a mesh file for one NAME"
    )
    _resolution(parser, 256)
    parser.add_argument("--code-size", type=_count, metavar="K", help="read only the first K numbers of each code")
    parser.add_argument("--format", default="ply", choices=("ply", "obj", "stl", "off", "glb"), help="in a folder")

    parser = verb("interpolate", "morph one shape into another")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--steps", type=_count, default=5, metavar="K", help="meshes, ends included (default 5)")
    parser.add_argument("-o", "--out", required=True, metavar="DIR")
    _resolution(parser, 128)

    parser = verb("search", "the shapes of a space nearest to a name, a mesh, or a scan")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("query", metavar="NAME_OR_MESH_OR_SCAN")
    parser.add_argument("-k", type=_count, default=5, help="matches (default 5)")
    _pose(parser, _OF_A_SCAN)
    _sensor(parser)

    parser = verb("reconstruct", "scan -> watertight mesh, by a code of a space or by a field of its own")
    parser.add_argument("scan", metavar="SCAN")
    parser.add_argument("-o", "--out", required=True, metavar="OUT.ply")
    parser.add_argument("--space", metavar="SPACE.h5", help="the prior; without it the scan alone is fitted")
    _pose(parser, _OF_A_SCAN)
    _sensor(parser)
    parser.add_argument("--code-only", action="store_true", help="do not correct the shape of the code to the scan")
    parser.add_argument("--add", metavar="NAME", help="keep the shape in SPACE.h5 too, code and correction")
    parser.add_argument(
        "--preset", metavar="NAME", help="what is fitted, by the paper's name; with --space, to correct by"
    )
    parser.add_argument(
        "--term",
        type=_weight,
        action="append",
        metavar="NAME=WEIGHT",
        help="a term of one's own objective instead of a preset (repeatable)",
    )
    parser.add_argument("--network", choices=NETWORKS, help="of the fit (default fast); paper: that of the preset")
    parser.add_argument("--minutes", type=_positive, help="time budget of the fit (default 2)")
    _resolution(parser, 256)

    parser = verb("evaluate", "encode unseen meshes, mesh them, compare with the originals")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("mesh_dir", metavar="MESH_DIR")
    parser.add_argument("--known", action="store_true", help="use the stored code of a name that the space holds")
    parser.add_argument(
        "--branch", action="append", metavar="NAME", help="field to judge: coarse, fine, fused (repeatable)"
    )
    parser.add_argument("--steps", type=_count, default=40, help="iterations of the fit (default 40)")
    _resolution(parser, 128)

    parser = verb("view", "look at a space in the browser")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("--port", type=_count, default=8080)
    return top


def _pose(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--pose", choices=("known", "placed", "free"), help=text)


def _sensor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sensor",
        type=_coordinate,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="where all points of the scan were seen from, in its units: 0 0 0 for what a depth camera gives",
    )
    parser.add_argument(
        "--cropped", action="store_true", help="the sensor may have missed parts that it faced; else those are empty"
    )


def _resolution(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--resolution",
        type=_cells,
        default=default,
        metavar="R",
        help=f"lattice cells an axis (default {default})",
    )
