"""Grammar of the command line; importing it loads no numeric library."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from .option_types import OneLineParser
from .option_types import coordinate as _coordinate
from .option_types import count as _count
from .option_types import direction as _direction
from .option_types import positive as _positive
from .option_types import resolution as _resolution
from .option_types import seed as _seed
from .option_types import tolerance as _tolerance
from .option_types import tolerances as _tolerances
from .option_types import weight as _weight
from .plot_options import KINDS, LAYOUTS

DECODERS = ("volumes", "dual", "dual-mlp", "deepsdf", "linear")
NETWORKS = ("fast", "sine", "softplus", "relu", "paper")
RECIPES = ("creatures", "families", "household", "sheets", "solids", "trees", "vessels", "wires")
FORMATS = ("ply", "obj", "stl", "off", "glb", "gltf", "3mf")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    shared = OneLineParser(add_help=False)
    shared.add_argument("--json", metavar="FILE", help="write the result as JSON")
    shared.add_argument("--seed", type=_seed, default=0, help="seed of everything random (default 0)")
    shared.add_argument("--quiet", action="store_true", help="no progress on standard error")
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    description = "One compact latent space of signed distance functions over many 3-D shapes."
    top = OneLineParser(prog="latentsdf", description=description)
    _add_verbs(top, "verb", _VERBS, shared)
    return top


def _add_verbs(parser: argparse.ArgumentParser, dest: str, verbs: Mapping[str, Any], shared: OneLineParser) -> None:
    """Add verbs, or the kinds of a verb that has some; each takes the shared options."""
    group = parser.add_subparsers(dest=dest, required=True, metavar=dest.upper(), parser_class=OneLineParser)
    for name, (text, arguments) in verbs.items():
        if isinstance(arguments, Mapping):
            _add_verbs(group.add_parser(name, help=text, description=text), "kind", arguments, shared)
        else:
            arguments(group.add_parser(name, help=text, description=text, parents=[shared]))


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder for everything it makes (default: demo)")
    what = "real shapes and the space that comes with the library (default), or generated families and a space of them"
    parser.add_argument("--collection", choices=("real", "families"), default="real", help=what)
    budget = "time budget: with real shapes none are encoded after three fifths of it (default: all are); families: 5"
    parser.add_argument("--minutes", type=_positive, help=budget)
    count = "of the real shapes (default: all), or training shapes per family (default 12)"
    parser.add_argument("--shapes", type=_count, metavar="N", help=count)


def _prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mesh_dir", metavar="MESH_DIR")
    parser.add_argument("dataset", metavar="DATASET.h5")
    parser.add_argument("--workers", type=_count, help="processes (default: one per core)")
    parser.add_argument("--time-limit", type=_positive, default=300.0, help="seconds a mesh may take (default 300)")
    parser.add_argument("--memory-limit", type=_positive, default=6.0, help="GiB a worker may use (default 6)")
    parser.add_argument("--samples", type=_count, default=200_000, help="query samples per shape (default 200000)")
    _cluster(parser)


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET.h5")
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("--minutes", type=_positive, help="time budget (default 10)")
    parser.add_argument("--steps", type=_count, help="take this many steps of the schedule instead of a time budget")
    held = "GiB of samples in memory (default 4); a larger dataset is read from the disk ahead of the steps"
    parser.add_argument("--memory", type=_positive, default=4.0, metavar="GIB", help=held)
    parser.add_argument("--code-size", type=int, metavar="D", help="numbers per shape (default 256, dual decoders 64)")
    stored = "most bytes that a stored code takes, in the mean (default 140)"
    parser.add_argument("--code-bytes", type=_positive, metavar="N", help=stored)
    parser.add_argument("--decoder", choices=DECODERS, help="network (default: volumes)")
    start = "initial network and codes (default: components; for the dual network base, which comes with the library)"
    parser.add_argument("--start", metavar="base|components|random|SPACE.h5", help=start)
    nested = "lengths of nested (prefix) codes, which shapes are to be readable at too"
    parser.add_argument("--nested", type=_count, nargs="*", metavar="K", help=nested)
    parser.add_argument("--joint", action="store_true", help="one joint stage, as in the Compact-SDF paper")
    target = parser.add_mutually_exclusive_group()
    text = "at the end store each shape in the fewest bytes that bring F at T to .95 (unit frame, default .01)"
    target.add_argument("--tolerance", type=_tolerance, nargs="?", const=0.01, metavar="T", help=text)
    text = "at the end store each shape as close as N bytes allow, those of its code included"
    target.add_argument("--bytes", type=_count, metavar="N", help=text)
    folder = "with --tolerance or --bytes: folder that the dataset was prepared from"
    parser.add_argument("--meshes", metavar="MESH_DIR", help=folder)
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished run in SPACE.h5")
    parser.add_argument("--force", action="store_true", help="replace SPACE.h5 when it exists")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps ... (default cpu)")


def _base(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT.h5")
    parser.add_argument("--make", action="store_true", help="of generated shapes, by the recipes of a clone")
    text = "of the meshes of your own folders, with or without --make"
    parser.add_argument("--wide", nargs="+", metavar="MESH_DIR", help=text)
    parser.add_argument("--count", type=_count, metavar="N", help="generated shapes (default 2000)")
    text = "generated shapes of this recipe alone (repeatable)"
    parser.add_argument("--only", action="append", choices=RECIPES, metavar="RECIPE", help=text)
    text = "folder datasets/ of a clone, where the package is not imported from one"
    parser.add_argument("--recipes", metavar="DIR", help=text)
    parser.add_argument("--samples", type=_count, default=60_000, help="query samples per shape (default 60000)")
    parser.add_argument("--minutes", type=_positive, default=60.0, help="time budget of the training (default 60)")
    parser.add_argument("--keep", type=_count, default=500, metavar="N", help="shapes that OUT.h5 holds (default 500)")
    parser.add_argument("--work", metavar="DIR", help="folder of the intermediate files (default: OUT.h5.work)")
    parser.add_argument("--workers", type=_count, help="processes that make and prepare meshes (default: one per core)")
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 when it exists")
    parser.add_argument("--device", default="cpu", help="of the training: cpu, cuda, cuda:1, mps ... (default cpu)")


def _encode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("meshes", nargs="+", metavar="MESH", help="a mesh file, or a folder of them")
    parser.add_argument("--replace", action="store_true", help="replace a shape whose name is taken")
    _jobs(parser)
    _cluster(parser)
    parser.add_argument("--steps", type=_count, default=40, help="Gauss-Newton steps of the fit (default 40)")
    _pose(
        parser,
        "mesh",
        "nothing, the bounding sphere is kept; scale and position; angle about up too; any rotation (default)",
    )
    target = parser.add_mutually_exclusive_group()
    text = "store beside each code a residual, of the fewest bytes that bring F at T to .95 (unit frame, default .01)"
    target.add_argument("--tolerance", type=_tolerance, nargs="?", const=0.01, metavar="T", help=text)
    text = "store a residual that brings a shape as close as N bytes allow, those of its code included"
    target.add_argument("--bytes", type=_count, metavar="N", help=text)
    target.add_argument("--code-only", action="store_true", help="store the code alone (the default)")
    overfit = "correct each shape to its mesh beside its code, and store the correction with it"
    parser.add_argument("--overfit", action="store_true", help=overfit)
    _terms(parser, "objective of the overfit, by its paper's name (default: one linear solve)")


def _pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("out", metavar="OUT.h5")
    parser.add_argument("--meshes", metavar="MESH_DIR", help="folder that the shapes were made from")
    target = parser.add_mutually_exclusive_group()
    text = "the fewest bytes a shape that bring F at T to .95 (the default, with T of .01 in the unit frame)"
    target.add_argument("--tolerance", type=_tolerance, nargs="?", const=0.01, metavar="T", help=text)
    text = "each shape as close as N bytes allow, code and residual"
    target.add_argument("--bytes", type=_count, metavar="N", help=text)
    target.add_argument("--code-only", action="store_true", help="codes alone; residuals are dropped")
    _jobs(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished OUT.h5")
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 when it exists")


def _info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.h5")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="shapes of a space to report on, each with a diagnosis"
    )


def _mesh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("names", nargs="+", metavar="NAME")
    out = "a folder, or a mesh file for one NAME; GLB, glTF and 3MF hold several, each a node of its name"
    parser.add_argument("-o", "--out", required=True, metavar="DIR_OR_FILE", help=out)
    _resolution(parser, 256)
    parser.add_argument("--code-size", type=_count, metavar="K", help="read only the first K numbers of each code")
    parser.add_argument("--format", choices=FORMATS, help="in a folder (default ply; with --lod glb)")
    lod = "levels of detail, simplified to these tolerances in the unit frame (0.02,0.005; 0 is as extracted), as GLB"
    parser.add_argument("--lod", type=_tolerances, metavar="T,T...", help=lod)
    colors = (
        "colour the meshes by the nearest place of a coloured mesh or scan, or of the mesh of each NAME in a folder"
    )
    parser.add_argument("--colors", metavar="SOURCE", help=colors)
    _normals(parser)


def _interpolate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--steps", type=_count, default=5, metavar="K", help="meshes, ends included (default 5)")
    parser.add_argument("-o", "--out", required=True, metavar="DIR")
    _resolution(parser, 128)


def _search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("query", metavar="NAME_OR_MESH_OR_SCAN_OR_DIR")
    parser.add_argument("-k", type=_count, default=5, help="matches (default 5)")
    metric = "search records, the same in every pose and size, or codes (default: records where the space has them)"
    parser.add_argument("--metric", choices=("record", "code"), help=metric)
    why = "say how the surface of each match is related: the same, scaled, rotated, mirrored, a variant"
    parser.add_argument("--verify", action="store_true", help=why)
    only = "match shapes of this class alone (repeatable)"
    parser.add_argument("--class", dest="classes", action="append", metavar="CLASS", help=only)
    _scan(parser)


def _reconstruct(parser: argparse.ArgumentParser) -> None:
    scan = "a point cloud, or mesh; several views, each with where it was seen from; or a folder of depth images"
    parser.add_argument("scan", nargs="*", metavar="SCAN[@X,Y,Z]", help=scan)
    parser.add_argument("-o", "--out", required=True, metavar="OUT.ply")
    parser.add_argument("--space", metavar="SPACE.h5", help="the prior; without it the scan alone is fitted")
    _scan(parser)
    poses = "views and their sensors or poses as JSON, in place of SCAN (docs/cli.md)"
    parser.add_argument("--poses", metavar="FILE.json", help=poses)
    camera = "of a folder of depth images, in pixels (default: the folder's own)"
    parser.add_argument("--intrinsics", type=_coordinate, nargs=4, metavar=("FX", "FY", "CX", "CY"), help=camera)
    scale = "numbers of a depth image for one unit of length (default: the layout's own, 1000 or 5000)"
    parser.add_argument("--depth-scale", type=_positive, metavar="S", help=scale)
    parser.add_argument("--frames", type=_count, metavar="N", help="depth images of a folder used (default 50)")
    parser.add_argument("--code-only", action="store_true", help="do not refine the shape of the code to the scan")
    parser.add_argument("--add", metavar="NAME", help="add the shape to SPACE.h5, code and correction")
    target = parser.add_mutually_exclusive_group()
    text = "with --add: store a residual, of the fewest bytes that bring F at T against the result to .98"
    target.add_argument("--tolerance", type=_tolerance, nargs="?", const=0.01, metavar="T", help=text)
    text = "with --add: store a residual of at most N bytes, those of the code included"
    target.add_argument("--bytes", type=_count, metavar="N", help=text)
    _terms(parser, "objective of the fit, by its paper's name; with --space, of the refinement")
    parser.add_argument("--network", choices=NETWORKS, help="of the fit (default fast); paper: that of the preset")
    parser.add_argument("--minutes", type=_positive, help="time budget of the fit (default 2)")
    _resolution(parser, 256)
    colors = "colour the result by the nearest place of a coloured mesh or scan (default: the scan itself)"
    parser.add_argument("--colors", nargs="?", const=True, metavar="SOURCE", help=colors)
    _normals(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("mesh_dir", metavar="MESH_DIR")
    parser.add_argument("--known", action="store_true", help="use the stored code of a name that the space holds")
    branch = "field of the decoder to evaluate: coarse, fine, fused (repeatable)"
    parser.add_argument("--branch", action="append", metavar="NAME", help=branch)
    parser.add_argument("--steps", type=_count, default=40, help="Gauss-Newton steps of the fit (default 40)")
    _resolution(parser, 128)
    _jobs(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("out", metavar="OUT.safetensors|OUT.onnx")
    parser.add_argument("--name", metavar="NAME", help="of the shape whose field becomes an ONNX model")


def _map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("out", metavar="OUT.png|OUT.json")
    method = "how places are found (default tsne, above 2000 shapes pca; umap needs umap-learn)"
    parser.add_argument("--method", choices=LAYOUTS, help=method)
    thumbnails = "thumbnails in the picture, at most; the other shapes are dots (default 150)"
    parser.add_argument("--thumbnails", type=_count, default=150, metavar="N", help=thumbnails)


def _doctor(parser: argparse.ArgumentParser) -> None:
    pass


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.add_argument(
        "--names", metavar="SPACE.h5", help="print the names of its shapes instead, as the scripts ask for"
    )


def _duplicates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SPACE_OR_FOLDER")
    tolerance = "of the distance of surfaces that are the same, in bounding-sphere radii (default .01; of a space .03)"
    parser.add_argument("--tolerance", type=_tolerance, metavar="T", help=tolerance)
    variants = "also pairs that agree on most of their surface, or after a stretch along three axes"
    parser.add_argument("--variants", action="store_true", help=variants)
    parser.add_argument("--sheet", metavar="OUT.png", help="write pictures of the groups")
    parser.add_argument("--workers", type=_count, help="processes for the records of a folder (default: one per core)")


def _view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="SPACE.h5")
    parser.add_argument("scan", nargs="?", metavar="SCAN", help="a mesh or scan file to open first")
    parser.add_argument("--port", type=_count, help="of the page (default 8080, or the next free one)")
    host = "address to serve at (default 127.0.0.1: this machine alone; 0.0.0.0: every machine of the network)"
    parser.add_argument("--host", help=host)
    edit = "let the page delete, rename, tag and add shapes of SPACE.h5"
    parser.add_argument("--edit", action="store_true", help=edit)
    parser.add_argument("--meshes", metavar="MESH_DIR", help="folder of the source meshes, to compare shapes with")
    up = "axis of the meshes that points up on the page (default z)"
    parser.add_argument("--up", choices=("y", "z"), default="z", help=up)
    static = "write the page as files that any web server can publish, instead of serving it"
    parser.add_argument("--static", metavar="OUT", help=static)
    parser.add_argument("--title", help="of the page (with --static)")


def _pose(parser: argparse.ArgumentParser, kind: str, text: str) -> None:
    help_text = f"what of the pose of the {kind} among the shapes of the space is found: {text}"
    parser.add_argument("--pose", choices=("known", "placed", "upright", "free"), help=help_text)
    up = f"with --pose upright: up in the axes of the {kind}, x, y, z or three numbers X Y Z (default z)"
    parser.add_argument("--up", type=_direction, metavar="UP", help=up)
    space_up = "up in the axes of the meshes that the space was made of (default: the positive axis nearest to --up)"
    parser.add_argument("--space-up", type=_direction, metavar="UP", help=space_up)


def _scan(parser: argparse.ArgumentParser) -> None:
    _pose(
        parser,
        "scan",
        "nothing, the bounding sphere is kept; scale and position (default); angle about up too; any rotation",
    )
    sensor = "position that all points of the scan were seen from, in its units: 0 0 0 for a depth camera"
    parser.add_argument("--sensor", type=_coordinate, nargs=3, metavar=("X", "Y", "Z"), help=sensor)
    cropped = "the sensor may have missed parts that it faced; otherwise those are empty"
    parser.add_argument("--cropped", action="store_true", help=cropped)


def _terms(parser: argparse.ArgumentParser, preset: str) -> None:
    parser.add_argument("--preset", metavar="NAME", help=preset)
    term = "a term of an objective of one's own instead of a preset (repeatable)"
    parser.add_argument("--term", type=_weight, action="append", metavar="NAME=WEIGHT", help=term)


def _normals(parser: argparse.ArgumentParser) -> None:
    text = "write vertex normals (PLY, OBJ, GLB, glTF; default: GLB and glTF alone)"
    parser.add_argument("--normals", action=argparse.BooleanOptionalAction, default=None, help=text)


def _jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", "--workers", type=_count, metavar="N", help="processes (default: one per core)")


def _cluster(parser: argparse.ArgumentParser) -> None:
    place = "dask://HOST:PORT|ray://HOST:PORT"
    parser.add_argument("--cluster", metavar=place, help="work on the workers of a cluster, not of this machine")


_VERBS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None] | Mapping[str, Any]]] = {
    "demo": ("the whole main job on the embedded collection", _demo),
    "prepare": ("meshes -> query samples; the folder name is the class when meshes lie in sub-folders", _prepare),
    "train": ("query samples -> a latent space", _train),
    "base": ("a space to start training from, of generated shapes and of your own, by one resumable command", _base),
    "encode": ("add unseen shapes to a space, no retraining", _encode),
    "pack": ("store a space anew: each shape in the bytes that a tolerance, or none, asks for", _pack),
    "info": ("facts of a dataset or space file", _info),
    "mesh": ("codes -> meshes, in the units of their sources", _mesh),
    "interpolate": ("morph one shape into another", _interpolate),
    "search": ("the shapes of a space nearest to a name, a mesh, a scan, or each file of a folder", _search),
    "reconstruct": ("scan -> watertight mesh, by a code of a space or by a field of its own", _reconstruct),
    "evaluate": ("encode unseen meshes, mesh them, compare with the originals", _evaluate),
    "export": ("decoder and codes -> safetensors, or one shape's field -> ONNX", _export),
    "map": ("the shapes of a space in the plane, like ones near each other, as a picture or as JSON", _map),
    "plot": ("pictures of a space as files: KIND is map, sheet, morph, slice, losses or rate", KINDS),
    "duplicates": ("shapes that are the same up to pose, scale, mirroring, triangles and holes", _duplicates),
    "view": ("show a space in the browser", _view),
    "doctor": ("versions, speeds, and what is missing and would bring more", _doctor),
    "completion": ("a script that completes verbs, options and names of shapes in a shell", _completion),
}
"""Help text of each verb, and the function that adds its arguments, or its kinds."""
