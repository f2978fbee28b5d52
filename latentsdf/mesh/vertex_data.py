"""Colours at the vertices of a mesh, their encodings, and vertices split where normals jump."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from .shading_normals import corner_normals

_LEVELS = 1023
"""Steps of each component of a normal, below which corners share a vertex."""


def vertex_colors(mesh: trimesh.Trimesh) -> NDArray[np.uint8] | None:
    """Colours (V, 4) at the vertices, sRGB and alpha from 0 to 255; None for a mesh without colours of its own."""
    visual: Any = mesh.visual
    if visual is None or visual.kind not in ("vertex", "face"):
        return None
    colors = np.asarray(visual.vertex_colors, dtype=np.uint8)
    return colors if len(colors) == len(mesh.vertices) else None


def linear_from_srgb(colors: Array) -> Array:
    """Linear intensities of sRGB values, both from 0 to 1, same shape (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(intensities: Array) -> Array:
    """Values in sRGB of linear intensities, both from 0 to 1, same shape (IEC 61966-2-1)."""
    return np.where(intensities <= 0.0031308, 12.92 * intensities, 1.055 * intensities ** (1 / 2.4) - 0.055)


class SplitVertices(NamedTuple):
    """A mesh with as many vertices as it has pairs of place and normal.

    Attributes:
        origin: (W,) vertex of the mesh that each one is at.
        faces: (F, 3) indices of these.
        normals: (W, 3) unit normals.
    """

    origin: Indices
    faces: Indices
    normals: Array


def split_at_creases(mesh: trimesh.Trimesh) -> SplitVertices:
    """Give each vertex one normal, and on a crease one for each side of it (`corner_normals`)."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)
    normals = corner_normals(vertices, faces, np.arange(len(faces))).reshape(-1, 3)
    flat = np.linalg.norm(normals, axis=1) < 0.5  # faces without area
    normals[flat] = (0.0, 0.0, 1.0)
    cells = np.round((normals + 1) * (_LEVELS / 2)).astype(np.int64)
    keys = ((faces.ravel() << 10 | cells[:, 0]) << 10 | cells[:, 1]) << 10 | cells[:, 2]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return SplitVertices(faces.ravel()[first], inverse.reshape(faces.shape), normals[first])
