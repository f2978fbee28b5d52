"""Closed meshes of the same shape, made of meshes that are open or consist of overlapping parts."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import trimesh
from common import is_closed, need, union

INSTALL = "pip install pymeshlab manifold3d"
MOST = 8000
"""Faces of a closed mesh."""


def geometry(data: bytes, suffix: str = ".obj") -> trimesh.Trimesh:
    """Read the vertices and faces of a file (parts at their position), and nothing else."""
    if suffix == ".obj":
        data = b"\n".join(line for line in data.splitlines() if line[:2] in (b"v ", b"f "))
    if suffix == ".dae":
        need("recipe", "collada", "pip install pycollada")
    mesh: Any = trimesh.load(io.BytesIO(data), file_type=suffix[1:], force="mesh", process=True)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    mesh.update_faces(mesh.nondegenerate_faces() & mesh.unique_faces())
    mesh.remove_unreferenced_vertices()
    return mesh


def close(mesh: trimesh.Trimesh, alpha: float = 1.5, offset: float = 0.2) -> tuple[trimesh.Trimesh, str]:
    """Make a closed mesh of the same shape, and describe the change; alpha and offset in percent of the diagonal."""
    parts = mesh.split(only_watertight=False) if len(mesh.faces) < 60_000 else [mesh]
    if len(parts) < 400 and all(part.is_watertight and part.is_winding_consistent for part in parts):
        for part in parts:
            if part.volume < 0:
                part.invert()
        try:
            joined = union(list(parts), MOST)
        except ValueError:
            joined = None
        if joined is not None and is_closed(joined):
            return joined, "union of closed parts"
    meshlab = need("recipe", "pymeshlab", INSTALL)
    stage = meshlab.MeshSet(verbose=False)
    stage.add_mesh(meshlab.Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces)))
    stage.generate_alpha_wrap(alpha=meshlab.PercentageValue(alpha), offset=meshlab.PercentageValue(offset))
    found = stage.current_mesh()
    return union([trimesh.Trimesh(found.vertex_matrix(), found.face_matrix())], MOST), "alpha wrap"
