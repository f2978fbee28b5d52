"""File endings of meshes and scans, and checks of paths; importing this module loads no numeric library."""

from __future__ import annotations

from pathlib import Path

MESH_ENDINGS = (".ply", ".obj", ".stl", ".off", ".glb", ".gltf", ".3mf")
"""File endings that `load_mesh` reads and `write_meshes` writes."""
SCENE_ENDINGS = (".glb", ".gltf", ".3mf")
"""File endings of formats that hold several named meshes."""
SCAN_ENDINGS = (".ply", ".obj", ".xyz", ".txt", ".csv", ".asc", ".pts", ".npy", ".npz", ".pcd", ".las", ".laz", ".e57")
"""File endings that `Scan.load` reads as point clouds; meshes of all `MESH_ENDINGS` are sampled."""


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
