"""File endings of meshes and scans, and checks of paths; importing this module loads no numeric library."""

from __future__ import annotations

from pathlib import Path

MESH_ENDINGS = (".ply", ".obj", ".stl", ".off", ".glb", ".gltf", ".3mf")
"""File endings that `load_mesh` reads and `write_meshes` writes."""
SCENE_ENDINGS = (".glb", ".gltf", ".3mf")
"""File endings of formats that hold several named meshes."""
SCAN_ENDINGS = (".ply", ".obj", ".xyz", ".txt", ".csv", ".asc", ".pts", ".npy", ".npz", ".pcd", ".las", ".laz", ".e57")
"""File endings that `Scan.load` reads as point clouds; meshes of all `MESH_ENDINGS` are sampled."""


def contents_ending(path: Path) -> str | None:
    """The mesh ending that the first bytes of a file stand for; None where they tell nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head, size = file.read(1024), path.stat().st_size
    words = head.split(maxsplit=1)
    if head.startswith((b"ply\n", b"ply\r")):
        return ".ply"
    if head.startswith(b"glTF"):
        return ".glb"
    if words and words[0].lstrip(b"STCN4n") == b"OFF":
        return ".off"
    if len(head) >= 84 and size == 84 + 50 * int.from_bytes(head[80:84], "little"):
        return ".stl"
    if head.startswith(b"solid") and b"facet" in head:
        return ".stl"
    if head.lstrip().startswith(b"{") and b'"' in head:
        return ".gltf"
    if any(line.split()[:1] == [b"v"] and len(line.split()) >= 4 for line in head.splitlines()):
        return ".obj"
    return None


def check_mesh_file(path: Path) -> None:
    """Raise FileNotFoundError where a path is no file."""
    if not path.is_file():
        raise FileNotFoundError(f"no mesh file {path}; give a file with one of the endings {', '.join(MESH_ENDINGS)}")


def check_scan_file(path: Path) -> None:
    """Raise FileNotFoundError where a path is no file."""
    if not path.is_file():
        raise FileNotFoundError(f"no scan file {path}; give a file with one of {', '.join(SCAN_ENDINGS)}")


def check_mesh_folder(path: Path) -> None:
    """Raise FileNotFoundError where a path does not exist, NotADirectoryError where it is no folder."""
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; give the folder that the meshes lie in")
