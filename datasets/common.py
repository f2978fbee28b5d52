"""Shared parts of the recipes: options, names to leave out, and writing of closed meshes."""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import trimesh


def options_parser(doc: str | None, count: int | None, what: str) -> argparse.ArgumentParser:
    """Parser of the options of every recipe; `count` is the default number of meshes, None for all."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", metavar="OUT_DIR", help=f"gets {what}")
    shown = "all there are" if count is None else str(count)
    parser.add_argument("--count", type=int, default=count, help=f"meshes to write (default {shown})")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other shapes or another choice")
    parser.add_argument("--leave-out", metavar="FILE", help="names (without ending) not to write, one a line")
    return parser


def leave(name: str, message: object) -> NoReturn:
    """End the recipe with one line on standard error."""
    print(f"{name}: {message}", file=sys.stderr)
    raise SystemExit(2)


def need(recipe: str, module: str, install: str) -> Any:
    """Import a module, or end with one line that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        leave(recipe, f"{module} cannot be imported ({error}); install it with: {install}")


def names_in(path: str | None) -> set[str]:
    """Read the names of a text file, one per line; none without a file."""
    if path is None:
        return set()
    return {line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()}


def is_closed(mesh: trimesh.Trimesh) -> bool:
    """Whether a mesh bounds a solid: watertight, consistently wound, of positive volume."""
    return len(mesh.faces) > 3 and bool(mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0)


def union(parts: list[trimesh.Trimesh], faces: int = 10_000) -> trimesh.Trimesh:
    """Boolean union of closed parts by manifold3d, simplified until it has fewer than `faces` faces.

    Raises:
        ValueError: a part is not closed.
    """
    manifold = need("recipe", "manifold3d", "pip install manifold3d")
    solids = []
    for part in parts:
        mesh = manifold.Mesh(np.asarray(part.vertices, np.float32), np.asarray(part.faces, np.uint32))
        mesh.merge()
        solids.append(manifold.Manifold(mesh))
        if solids[-1].status() != manifold.Error.NoError:
            raise ValueError(f"a part is no solid: {solids[-1].status()}")
    whole = manifold.Manifold.batch_boolean(solids, manifold.OpType.Add)
    box = np.reshape(whole.bounding_box(), (2, 3))
    tolerance = 2e-4 * float(np.linalg.norm(box[1] - box[0]))
    result = whole.simplify(tolerance)
    while result.num_tri() > faces and tolerance < 0.01 * float(np.linalg.norm(box[1] - box[0])):
        tolerance *= 1.5
        result = whole.simplify(tolerance)
    found = result.to_mesh()
    return trimesh.Trimesh(found.vert_properties[:, :3], found.tri_verts, process=True)


def write_mesh(mesh: trimesh.Trimesh, path: Path) -> bool:
    """Write the geometry of a closed mesh as binary PLY, atomically; return False and write nothing if it is open."""
    bare = trimesh.Trimesh(np.asarray(mesh.vertices, np.float32), mesh.faces, process=True)
    if not is_closed(bare):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(trimesh.exchange.ply.export_ply(bare, encoding="binary", vertex_normal=False))
    os.replace(part, path)
    return True


def write_table(rows: list[dict[str, str]], path: Path) -> None:
    """Write rows with equal keys as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["file"])
        writer.writeheader()
        writer.writerows(rows)


def show(done: int, total: int, name: str) -> None:
    """Show the progress on one line of standard error, if it is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total} {name:<60.60}", end="" if done < total else "\n", file=sys.stderr, flush=True)


def write_kinds(
    doc: str | None, kinds: Iterable[str], count: int, make: Callable[[str, int, int], trimesh.Trimesh]
) -> int:
    """Run a recipe that generates shapes of several kinds in turn; existing files are kept.

    Args:
        doc: docstring of the recipe, for --help.
        kinds: names of its kinds; each has a folder.
        count: default number of shapes of all kinds together.
        make: (kind, seed, index) -> mesh.

    Returns:
        The exit status.
    """
    names = sorted(kinds)
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", metavar="OUT_DIR", type=Path, help="gets <kind>/<index>.ply")
    parser.add_argument("--count", type=int, default=count, help=f"shapes of all kinds together (default {count})")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other shapes")
    parser.add_argument("--kinds", nargs="+", choices=names, default=names, help="only these")
    options = parser.parse_args()
    failed = 0
    for number in range(options.count):
        kind, index = options.kinds[number % len(options.kinds)], number // len(options.kinds)
        path = options.out_dir / kind / f"{options.seed:02d}{index:04d}.ply"
        failed += not (path.exists() or write_mesh(make(kind, options.seed, index), path))
        show(number + 1, options.count, f"{kind} {index}")
    print(f"{options.count - failed} meshes in {options.out_dir}, {failed} not closed and left out")
    return 0
