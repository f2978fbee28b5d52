"""Mesh files below a folder and the names of their shapes."""

from __future__ import annotations

import os
from pathlib import Path

from .endings import MESH_ENDINGS, check_mesh_folder


def find_meshes(
    source_dir: Path, endings: tuple[str, ...] = MESH_ENDINGS
) -> tuple[list[tuple[str, Path]], list[tuple[str, str]]]:
    """Find the mesh files below a folder, except hidden ones, and name their shapes.

    Args:
        source_dir: searched with its sub-folders.
        endings: of the files, in lower case.

    Returns:
        (name, file) of each mesh, sorted by name; (path, reason) of each file that gets no name.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no mesh below it.
    """
    check_mesh_folder(source_dir)
    files: list[Path] = []
    for folder, inner, names in os.walk(source_dir, followlinks=True):
        here = Path(folder)
        trail = {here.resolve(), *here.resolve().parents}  # links to a parent folder would recurse for ever
        inner[:] = [name for name in inner if name[0] != "." and (here / name).resolve() not in trail]
        files += [here / name for name in names if name[0] != "." and name.lower().endswith(endings)]
    if not files:
        raise ValueError(f"no mesh below {source_dir}; wanted are files ending in {', '.join(endings)}")
    meshes: dict[str, Path] = {}
    nameless: list[tuple[str, str]] = []
    for file in sorted(files):
        source = file.relative_to(source_dir)
        name = source.with_suffix("").as_posix()
        if name in meshes:
            reason = f"the name {name!r} is taken by {meshes[name].name}; rename one of the two files"
            nameless.append((source.as_posix(), reason))
        elif not name.isprintable():  # also what is not valid text in the file system's encoding
            nameless.append((ascii(source.as_posix()), "the file's name is not printable text; rename it"))
        else:
            meshes[name] = file
    return sorted(meshes.items()), nameless
