"""Nearest triangles and ray hits by the bounding-volume hierarchy of libigl."""

from __future__ import annotations

from functools import cached_property

import igl
import numpy as np

from ..core.arrays import Array, Indices, Mask

_CHUNK = 200_000
_RAY_SIZE = 5e3  # libigl's ray test drops triangles with edges near 1e-3 and below, so the mesh is scaled up for it


class IglTree:
    """Bounding-volume hierarchy of triangles; the same as `TriangleTree`, everywhere, and slower.

    Args:
        vertices: (V, 3) finite positions of a mesh of about unit size at the origin.
        faces: (F, 3) vertex indices.
    """

    def __init__(self, vertices: Array, faces: Indices):
        self._vertices, self._faces = vertices, faces
        self._tree = igl.AABB()
        self._tree.init(vertices, faces)

    def closest(self, points: Array) -> tuple[Array, Indices, Array]:
        """Distances (N,), faces (N,) and nearest points (N, 3) of points (N, 3)."""
        order = curve_order(points)
        squared, index = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
        nearest = np.empty((len(points), 3))
        for start in range(0, len(points), _CHUNK):
            part = order[start : start + _CHUNK]
            found = self._tree.squared_distance(self._vertices, self._faces, np.ascontiguousarray(points[part]))
            squared[part], index[part], nearest[part] = found
        return np.sqrt(squared), index, nearest

    def blocked(self, starts: Array, directions: Array) -> Mask:
        """Whether rays from starts (N, 3) along unit directions (N, 3) meet a triangle, (N,)."""
        tree, vertices = self._enlarged
        found = tree.intersect_ray_first(vertices, self._faces, starts * _RAY_SIZE, np.ascontiguousarray(directions))
        return np.asarray(found[0]) >= 0

    def hits(
        self, starts: Array, directions: Array, spans: Array | None = None, apart: Indices | None = None
    ) -> Indices:
        """Count the triangles that each ray meets, (N,).

        Args:
            starts: (N, 3) points.
            directions: (N, 3) unit vectors.
            spans: (N, 2) distances between which a hit counts; None counts all.
            apart: (N, 2) vertices; a face that has one of them does not count. None counts all.
        """
        counts = np.zeros(len(starts), dtype=np.int64)
        tree, vertices = self._enlarged
        for part in range(0, len(starts), 4096):
            piece = slice(part, part + 4096)
            rays = np.ascontiguousarray(starts[piece] * _RAY_SIZE), np.ascontiguousarray(directions[piece])
            rows = tree.intersect_ray(vertices, self._faces, *rays)
            sizes = np.fromiter((len(row) for row in rows), np.int64, len(rows))
            flat = np.array([(hit[0], hit[1]) for row in rows for hit in row]).reshape(-1, 2)
            ray = part + np.repeat(np.arange(len(rows)), sizes)
            valid = np.ones(len(flat), dtype=bool)
            if spans is not None:
                distance = flat[:, 1] / _RAY_SIZE
                valid &= (distance > spans[ray, 0]) & (distance < spans[ray, 1])
            if apart is not None:
                faces = self._faces[flat[:, 0].astype(np.int64)]
                valid &= ~(faces[:, :, None] == apart[ray][:, None]).any((1, 2))
            counts += np.bincount(ray[valid], minlength=len(starts))
        return counts

    @cached_property
    def _enlarged(self) -> tuple[igl.AABB, Array]:
        tree, vertices = igl.AABB(), np.ascontiguousarray(self._vertices * _RAY_SIZE)
        tree.init(vertices, self._faces)
        return tree, vertices


def curve_order(points: Array) -> Indices:
    """Order (N,) of points (N, 3) along a Morton curve of 32 cells per axis over [-2, 2]^3.

    Consecutive queries then visit the same branches of the tree: 1.3 to 2 times faster, measured.
    """
    cells = np.clip(np.floor((points + 2) * 8), 0, 31).astype(np.uint16)
    spread = np.zeros_like(cells)
    for bit in range(5):
        spread |= ((cells >> bit) & 1) << (3 * bit)
    key = spread[:, 0] | (spread[:, 1] << 1) | (spread[:, 2] << 2)
    return np.argsort(key, kind="stable")
