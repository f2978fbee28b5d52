"""Surfaces in a normalised frame, with their moments, samples and closest points, each computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import trimesh
from scipy.spatial import KDTree

from ..core.arrays import Array
from .distance import MeshSDF
from .repair import edge_table
from .similarity import Similarity
from .surface_sampling import surface_samples

SAMPLES = 2000
"""Area-uniform samples of a surface; distances between surfaces are measured on them."""


class Surface:
    """The surface of a mesh in its normalised frame: centroid at the origin, root mean square radius one.

    The centroid c and the second moments C are integrals over the triangles with corners u, v, w and area A, hence
    the same for every triangulation of a surface:
    c = sum A (u + v + w) / 3 / sum A, C = sum A (u u^T + v v^T + w w^T + s s^T) / 12 / sum A with s = u + v + w.

    Attributes:
        mesh: in source units.
        centroid: (3,) source units.
        spread: root mean square distance from the centroid, source units.
        moments: (3,) eigenvalues of the second moments in the normalised frame, ascending; their sum is one.
        axes: (3, 3) their eigenvectors, the columns.
        radius: of the bounding sphere about the middle of the bounding box, in units of the normalised frame.

    Raises:
        ValueError: the mesh has no area.
    """

    def __init__(self, mesh: trimesh.Trimesh, seed: int = 0):
        self.mesh, self._seed = mesh, seed
        vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
        middle = vertices.mean(0)
        corners = (vertices - middle)[faces]
        doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        total = doubled.sum()
        if not total > 0:
            raise ValueError(f"the mesh has no area ({len(faces)} faces)")
        shares, sums = doubled / total, corners.sum(1)
        offset = shares @ sums / 3
        moments = np.einsum("f,fid,fie->de", shares, corners, corners) + np.einsum("f,fd,fe->de", shares, sums, sums)
        moments = moments / 12 - np.outer(offset, offset)
        self.centroid, self.spread = middle + offset, float(np.sqrt(np.trace(moments)))
        self.moments, self.axes = np.linalg.eigh(moments / self.spread**2)
        self.vertices, self.faces = (vertices - self.centroid) / self.spread, faces
        used = self.vertices[np.unique(faces)]
        self.radius: float = float(np.linalg.norm(used - (used.min(0) + used.max(0)) / 2, axis=1).max())

    @property
    def normalisation(self) -> Similarity:
        """Source units -> normalised frame."""
        return Similarity(np.eye(3), 1 / self.spread, -self.centroid / self.spread)

    @cached_property
    def samples(self) -> tuple[Array, Array]:
        """Area-uniform samples (M, 3), M = SAMPLES, in random order, and their normals, normalised frame."""
        return surface_samples(trimesh.Trimesh(self.vertices, self.faces, process=False), SAMPLES, self._seed)

    @property
    def points(self) -> Array:
        """The samples (M, 3) without their normals."""
        return self.samples[0]

    @cached_property
    def tree(self) -> KDTree:
        """Tree of the samples."""
        return KDTree(self.points)

    @cached_property
    def is_open(self) -> bool:
        """Whether an edge is used by an odd number of faces."""
        return bool((edge_table(self.faces).counts % 2).any())

    @cached_property
    def closest_points(self) -> MeshSDF:
        """Exact distances to the surface, normalised frame."""
        # A few hundred queries take libigl less time than loading the compiled hierarchy.
        return MeshSDF(self.vertices, self.faces, backend="igl")

    def nearest_samples(self, points: Array) -> tuple[Array, Array, Array]:
        """The same as `closest`, of the samples alone: (N,), (N, 3) and (N, 3); several times as fast."""
        distances, rows = self.tree.query(points)
        return distances, self.samples[0][rows], self.samples[1][rows]

    def closest(self, points: Array) -> tuple[Array, Array, Array]:
        """Distances (N,), closest points (N, 3) and unit normals there (N, 3), of points (N, 3), normalised frame."""
        distances, rows, nearest = self.closest_points.closest(points)
        corners = self.vertices[self.faces[rows]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return distances, nearest, normals / np.linalg.norm(normals, axis=1, keepdims=True)
