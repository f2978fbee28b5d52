"""Simplification of closed meshes to a number of faces."""

from __future__ import annotations

import numpy as np
import trimesh
from booleans import meshed, solid
from common import is_closed, need


def simplified(mesh: trimesh.Trimesh, most: int) -> trimesh.Trimesh:
    """A closed mesh of at most about `most` faces, by quadric edge collapse.

    Quadric collapse is fast and can pinch a mesh; where it does, manifold3d simplifies, which cannot.
    """
    fast = need("recipe", "fast_simplification", "pip install fast-simplification")
    if len(mesh.faces) <= most:
        return mesh
    for share in (1.0, 0.93, 0.86, 0.8):
        vertices, faces = fast.simplify(
            np.asarray(mesh.vertices, np.float32),
            np.asarray(mesh.faces, np.int32),
            target_count=int(share * most),
            agg=5,
        )
        result = trimesh.Trimesh(vertices, faces, process=True)
        if is_closed(result) and len(result.faces) <= 1.1 * most:
            return result
    return meshed(solid(mesh), most=most, tolerance=5e-4)
