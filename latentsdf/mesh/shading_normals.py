"""Normals for shading: smooth over a curved surface, sharp across a crease."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Array, Indices, Mask

CREASE_ANGLE = 40.0
"""Degrees; faces at a vertex whose normals differ by more do not share a normal there. Facets of a round part with ten
sides or more are smooth, edges of a chamfer of 45 degrees are sharp."""


def corner_normals(vertices: Array, faces: Indices, rows: Indices) -> Array:
    """Unit normals at the corners of some faces of a mesh.

    The normal of face f at vertex v is the area-weighted mean of the normals of the faces g around v for which the
    angle of n_f and n_g is below `CREASE_ANGLE`.

    Args:
        vertices: (V, 3) positions.
        faces: (F, 3) vertex indices.
        rows: (N,) faces whose normals are asked for.

    Returns:
        (N, 3, 3), a normal for each corner; zero for a face without area.
    """
    corners = vertices[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = _unit(weighted)
    every = faces.ravel()
    sums = np.zeros((len(vertices), 3))
    for axis in range(3):
        sums[:, axis] = np.bincount(every, np.repeat(weighted[:, axis], 3), len(vertices))
    mean = _unit(sums)
    # faces all within half the angle of the mean are within the angle of one another
    apart = np.einsum("fd,fcd->fc", unit, mean[faces]) < np.cos(np.radians(CREASE_ANGLE / 2))
    creased = np.zeros(len(vertices), dtype=bool)
    creased[faces[apart]] = True
    found = mean[faces[rows]]
    at, corner = np.nonzero(creased[faces[rows]])
    if len(at):
        found[at, corner] = _creased_normals(faces, rows[at], faces[rows[at], corner], creased, weighted)
    return found


def _creased_normals(faces: Indices, face: Indices, vertex: Indices, creased: Mask, weighted: Array) -> Array:
    """Normals (K, 3) of faces (K,) at vertices (K,) on creases, from area-weighted normals (F, 3)."""
    unit = _unit(weighted)
    users = np.flatnonzero(creased[faces.ravel()])
    users = users[np.argsort(faces.ravel()[users], kind="stable")]
    owners = faces.ravel()[users]
    first, last = np.searchsorted(owners, vertex), np.searchsorted(owners, vertex, side="right")
    count = last - first  # at least one: the face itself
    starts = np.cumsum(count) - count
    pair = np.arange(count.sum()) + np.repeat(first - starts, count)
    other, own = users[pair] // 3, np.repeat(face, count)
    near = np.einsum("nd,nd->n", unit[own], unit[other]) > np.cos(np.radians(CREASE_ANGLE))
    return _unit(np.add.reduceat(np.where(near[:, None], weighted[other], 0.0), starts))


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)
