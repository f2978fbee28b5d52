"""Meshes as the page draws them: positions in the view frame, shading normals, and figures in source units."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array
from ..core.frame import Frame
from ..mesh.shading_normals import corner_normals
from .packets import pack_packet

_NORMAL_STEPS = 127


def mesh_packet(mesh: trimesh.Trimesh, frame: Frame, facts: dict[str, Any], guess: NDArray[Any] | None = None) -> bytes:
    """Pack a mesh for the page.

    The view frame has the axes of the source and the center and scale of a frame, so that a shape fills about the unit
    sphere there and single precision suffices, however far its source lies from the origin. Normals are those of
    `mesh.shading_normals`; a vertex on a crease becomes several.

    Args:
        mesh: in source units.
        frame: of the shape.
        facts: for the header, plain JSON values.
        guess: (V,) how far each vertex is from data, 0 to 1; None where it all is data.

    Returns:
        A packet with `positions` (N, 3) float32, `normals` (N, 3) int8, `faces` (F, 3) uint32 and, with a guess,
        `guess` (N,) uint8. Its header has the `facts`, `center`, `scale`, `extents` (source units), and counts.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    source, normals, corners = _split_creases(vertices, faces)
    arrays: dict[str, NDArray[Any]] = {
        "positions": to_view(vertices, frame)[source],
        "normals": normals,
        "faces": corners.astype(np.uint32),
    }
    if guess is not None:
        arrays["guess"] = np.rint(255 * np.clip(np.asarray(guess)[source], 0, 1)).astype(np.uint8)
    used = vertices[np.unique(faces)] if len(faces) else np.zeros((1, 3))
    header = {
        **facts,
        "vertices": len(vertices),
        "triangles": len(faces),
        "center": frame.center.tolist(),
        "scale": frame.scale,
        "extents": (used.max(0) - used.min(0)).tolist(),
    }
    return pack_packet(header, arrays)


def points_packet(points: Array, frame: Frame) -> bytes:
    """Pack points (M, 3) in source units: a packet with `positions` (M, 3) float32 in the view frame."""
    return pack_packet({"points": len(points)}, {"positions": to_view(points, frame)})


def to_view(points: Array, frame: Frame) -> NDArray[np.float32]:
    """Points (M, 3) in source units as points (M, 3) of the view frame."""
    return ((np.asarray(points, dtype=np.float64) - frame.center) / frame.scale).astype(np.float32)


def _split_creases(vertices: Array, faces: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int8], NDArray[Any]]:
    """Vertex (N,) and normal (N, 3) of each distinct pair of both among the corners, and the pairs (F, 3) of faces."""
    normals = corner_normals(vertices, faces, np.arange(len(faces))).reshape(-1, 3)
    steps = np.rint(normals * _NORMAL_STEPS).astype(np.int64)
    key = ((faces.ravel() * 256 + steps[:, 0] + 128) * 256 + steps[:, 1] + 128) * 256 + steps[:, 2] + 128
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return faces.ravel()[first], steps[first].astype(np.int8), inverse.reshape(faces.shape)
