"""Colours of a mesh or scan file as a function of space, and their transfer to another surface."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh.visual import ColorVisuals

from ..core.arrays import Array
from ..mesh.endings import MESH_ENDINGS
from ..mesh.surface_colors import load_surface_colors
from .scan import Scan

ColorSource = Callable[[Array], tuple[NDArray[np.uint8], Array]]
"""Points (N, 3) to the colours (N, 4) nearest to them, and their distances (N,)."""


def load_colors(path: str | PathLike[str]) -> ColorSource:
    """Read the colours of a file: of a mesh those of its surface (vertices, faces, textures), of a scan its points'.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file cannot be read, or holds no colours.
    """
    path = Path(path)
    if path.suffix.lower() in MESH_ENDINGS and path.is_file():
        found = load_surface_colors(path)
        if found is not None:
            return found
    return scan_colors(Scan.load(path))


def scan_colors(scan: Scan) -> ColorSource:
    """The colours of the points of a scan.

    Raises:
        ValueError: it has none.
    """
    if scan.colors is None:
        raise ValueError(f"{scan.name or 'the scan'} holds no colours; give a mesh or scan that does")
    colors, tree = np.hstack([scan.colors, np.full((len(scan), 1), 255, np.uint8)]), scan.tree

    def nearest(points: Array) -> tuple[NDArray[np.uint8], Array]:
        distances, rows = tree.query(points)
        return colors[rows], np.asarray(distances)

    return nearest


def paint(mesh: trimesh.Trimesh, source: ColorSource) -> float:
    """Colour the vertices of a mesh by the nearest place of a source, in the same frame and units.

    Returns:
        The median distance from the vertices to these places.
    """
    colors, distances = source(np.asarray(mesh.vertices))
    mesh.visual = ColorVisuals(mesh, vertex_colors=colors)
    return float(np.median(distances))
