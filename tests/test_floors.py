"""Imports go only down the floors, and never in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import latentsdf

PACKAGE = Path(latentsdf.__file__).parent
FLOORS = [
    {"attitude", "field", "frame", "pose", "primitives", "interrupt", "optimize", "parallel", "pool"},
    {
        "mesh",
        "mesh_distance",
        "repair",
        "audit",
        "scan",
        "virtual_scan",
        "sampling",
        "lattice",
        "meshing",
        "metrics",
        "ranking",
        "decoder",
        "render",
        "regularizers",
        "network",
        "planes",
        "orientation",
        "sides",
        "silhouette",
        "symmetry",
        "cleaning",
        "extent",
        "bounded",
        "solver",
    },
    {
        "quantize",
        "container",
        "dataset",
        "dataset_file",
        "alignment",
        "mesh_folder",
        "preparation",
        "collection",
        "components",
        "space",
        "store",
        "index",
    },
    {
        "schedule",
        "draws",
        "starting",
        "rehearsal",
        "training",
        "code_fit",
        "second_order",
        "gallery",
        "code_problem",
        "code_starts",
        "first_order",
        "scan_evidence",
        "scan_fit",
        "scan_starts",
        "registration",
        "residuals",
        "inference",
        "reconstruction",
        "evaluation",
        "queries",
        "fitting",
        "solving",
        "descent",
        "tightening",
        "prior_surface",
    },
    {"viewer", "cli", "__init__", "__main__"},
]
FORBIDDEN = {
    "decoder": {"mesh", "mesh_distance", "repair", "audit", "scan", "sampling", "regularizers"},
    "regularizers": {
        "decoder",
        "mesh",
        "mesh_distance",
        "repair",
        "audit",
        "sampling",
        "lattice",
        "meshing",
        "metrics",
    },
    "network": {
        "decoder",
        "regularizers",
        "mesh",
        "mesh_distance",
        "scan",
        "sampling",
        "meshing",
        "metrics",
        "sides",
        "orientation",
    },
    "space": {"store", "index", "container"},
    "fitting": {"training", "space", "decoder", "inference", "reconstruction"},
    "training": {"reconstruction", "inference"},
    "reconstruction": {"training"},
}


def room(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(path: Path) -> set[str]:
    """Rooms that a file imports, at its top or inside a function."""
    depth = len(path.relative_to(PACKAGE).parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level == depth:
                found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
            elif node.level == 0 and (node.module or "").startswith("latentsdf."):
                found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("latentsdf.")}
    return found - {room(path)}


def test_every_room_stands_on_one_floor() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")}
    placed = [name for floor in FLOORS for name in floor]
    assert sorted(placed) == sorted(rooms)


def test_imports_go_down_and_make_no_circle() -> None:
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        here = room(path)
        for other in imports(path):
            assert level[other] <= level[here], f"{here} (floor {level[here]}) imports {other} (floor {level[other]})"
            assert other not in FORBIDDEN.get(here, set()), f"{here} may not import {other}"
            if here != "__init__":
                graph.setdefault(here, set()).add(other)
    tuple(TopologicalSorter(graph).static_order())


def test_the_reader_of_imports_sees_what_is_there() -> None:
    assert {"decoder", "frame", "meshing"} <= imports(PACKAGE / "space.py")
    assert "training" in imports(PACKAGE / "cli" / "learning.py")
    assert "viewer" in imports(PACKAGE / "cli" / "using.py")
