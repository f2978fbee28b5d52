"""File endings of meshes and scans, and checks that need no reader: importing this loads no numeric library."""

from __future__ import annotations

from pathlib import Path

MESH_ENDINGS = (".ply", ".obj", ".stl", ".off", ".glb", ".gltf")
"""The file endings that `load_mesh` reads."""
SCAN_ENDINGS = (".ply", ".obj", ".xyz", ".txt", ".npy")
"""The file endings that `Scan.load` reads as point clouds; a mesh of any kind is sampled."""


def check_mesh_file(path: Path) -> None:
    """Refuse a path at which there is no file, with a FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"no mesh file {path}; give a file with one of the endings {', '.join(MESH_ENDINGS)}")


def check_scan_file(path: Path) -> None:
    """Refuse a path at which there is no file, with a FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"no scan file {path}; give a file with one of {', '.join(SCAN_ENDINGS)}")


def check_mesh_folder(path: Path) -> None:
    """Refuse a path at which there is no folder, with a FileNotFoundError or NotADirectoryError."""
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; give the folder that the meshes lie in")
