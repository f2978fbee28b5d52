"""Exact signed distance to a triangle mesh: point to triangle, signed by the generalised winding number."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

import igl
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..core.arrays import Array, Indices, Mask

Backend = Literal["auto", "fcpw", "igl"]

_CHUNK = 200_000


class MeshSDF:
    """The signed distance function of a triangle mesh, open and self-intersecting ones included.

    f(x) = sign(1/2 - w(x)) min_t d(x, t) over triangles t, with the generalised winding number w by the hierarchical
    evaluation of Barill et al., "Fast winding numbers for soups and clouds", 2018 (libigl). Distances are exact, by a
    bounding-volume hierarchy that is built once (fcpw where it is installed, else libigl).

    Every call that needs signs builds the winding-number hierarchy anew (libigl keeps none for meshes: about
    1.5 s a million faces), so one call with many points is far cheaper than many calls with few.

    Args:
        vertices: (V, 3) finite positions, in the frame of the queries.
        faces: (F, 3) vertex indices, outward orientation.
        backend: library that measures the distance; "auto" is fcpw where it can be imported, else "igl". Both agree
            to single precision, relative to the size of the mesh.

    Raises:
        ValueError: shapes or indices are wrong, a number is not finite, or no face has an area.
        ImportError: backend "fcpw" is asked for and missing.

    Example:
        >>> box = trimesh.creation.box()
        >>> MeshSDF(box.vertices, box.faces)(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
        tensor([-0.5000,  0.5000])
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, *, backend: Backend = "auto"):
        vertices, faces = _validate_mesh(vertices, faces)
        corner_min, corner_max = vertices.min(0), vertices.max(0)
        self._center = (corner_min + corner_max) / 2
        self._scale = float(np.linalg.norm(corner_max - corner_min)) / 2
        if self._scale == 0:
            raise ValueError(f"all {len(vertices)} vertices of the mesh coincide, so it has no surface")
        # Both libraries work in or near single precision, so the mesh is moved to the origin and scaled to size one.
        self._vertices = np.ascontiguousarray((vertices - self._center) / self._scale)
        edges = self._vertices[faces[:, 1:]] - self._vertices[faces[:, :1]]
        areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        self._face_ids = np.flatnonzero(areas > 1e-18)
        if len(self._face_ids) == 0:
            raise ValueError(f"none of the {len(faces)} faces of the mesh has an area")
        self._faces = np.ascontiguousarray(faces[self._face_ids])
        self._bounds = self._vertices[self._faces.ravel()].min(0), self._vertices[self._faces.ravel()].max(0)
        self.backend: str = _resolve_backend(backend)
        self._tree = (_FcpwTree if self.backend == "fcpw" else _IglTree)(self._vertices, self._faces)

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) at points (N, 3), with their device and dtype and without a graph.

        Raises:
            ValueError: the points are not (N, 3); so do all methods.
        """
        values = self.signed_distance(points.detach().cpu().numpy())
        return torch.from_numpy(values).to(device=points.device, dtype=points.dtype)

    def signed_distance(self, points: ArrayLike) -> Array:
        """Signed distances (N,) at points (N, 3): negative inside."""
        return np.where(self.inside(points), -1.0, 1.0) * self.distance(points)

    def distance(self, points: ArrayLike) -> Array:
        """Unsigned distances (N,) at points (N, 3)."""
        local, order = self._local(points)
        distances = np.empty(len(local))
        for start in range(0, len(local), _CHUNK):
            part = order[start : start + _CHUNK]
            distances[part] = self._tree.distance(local[part])
        return distances * self._scale

    def closest(self, points: ArrayLike) -> tuple[Array, Indices, Array]:
        """Find the nearest surface point of each query.

        Args:
            points: (N, 3) queries.

        Returns:
            Unsigned distances (N,), the faces (N,) of the nearest points, and the nearest points (N, 3).
        """
        local, order = self._local(points)
        distances, index = np.empty(len(local)), np.empty(len(local), dtype=np.int64)
        nearest = np.empty((len(local), 3))
        for start in range(0, len(local), _CHUNK):
            part = order[start : start + _CHUNK]
            distances[part], index[part], nearest[part] = self._tree.closest(local[part])
        return distances * self._scale, self._face_ids[index], nearest * self._scale + self._center

    def inside(self, points: ArrayLike) -> Mask:
        """Whether the winding number exceeds one half, (N,), at points (N, 3)."""
        local, order = self._local(points)
        order = order[((local >= self._bounds[0]) & (local <= self._bounds[1])).all(1)[order]]
        inside = np.zeros(len(local), dtype=bool)
        # Outside the box the whole surface lies in one half space, so its winding number stays below a half.
        if len(order):
            winding = np.asarray(igl.fast_winding_number(self._vertices, self._faces, local[order]))
            inside[order] = winding > 0.5
        return inside

    def _local(self, points: ArrayLike) -> tuple[Array, Indices]:
        """Points in the normalised frame of the mesh, and their order along a Morton curve."""
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"points must have shape (N, 3), got {points.shape}")
        local = (points - self._center) / self._scale
        return np.ascontiguousarray(local), _morton_order(local)


class _IglTree:
    def __init__(self, vertices: Array, faces: Indices):
        self.vertices, self.faces = vertices, faces
        self.tree = igl.AABB()
        self.tree.init(vertices, faces)

    def closest(self, points: Array):
        squared, index, nearest = self.tree.squared_distance(self.vertices, self.faces, points)
        return np.sqrt(squared), index, nearest

    def distance(self, points: Array) -> Array:
        return self.closest(points)[0]


class _FcpwTree:
    def __init__(self, vertices: Array, faces: Indices):
        fcpw: Any = importlib.import_module("fcpw")
        self.fcpw = fcpw
        self.scene = fcpw.scene_3D()
        self.scene.set_object_count(1)
        self.scene.set_object_vertices(np.asfortranarray(vertices, dtype=np.float32), 0)
        self.scene.set_object_triangles(np.asfortranarray(faces, dtype=np.int32), 0)
        self.scene.build(fcpw.aggregate_type.bvh_surface_area, True, False, True)

    def _interactions(self, points: Array):
        hits = self.fcpw.interaction_3D_list()
        radii = np.full(len(points), np.inf, dtype=np.float32)
        self.scene.find_closest_points(np.asfortranarray(points, dtype=np.float32), radii, hits, False)
        return hits

    def distance(self, points: Array) -> Array:
        return np.fromiter((hit.d for hit in self._interactions(points)), np.float64, len(points))

    def closest(self, points: Array):
        hits, count = self._interactions(points), len(points)
        distances = np.fromiter((hit.d for hit in hits), np.float64, count)
        index = np.fromiter((hit.primitive_index for hit in hits), np.int64, count)
        nearest = np.array([hit.p for hit in hits], dtype=np.float64).reshape(count, 3)
        return distances, index, nearest


def _validate_mesh(vertices: ArrayLike, faces: ArrayLike) -> tuple[Array, Indices]:
    vertices, faces = np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"a mesh takes (V, 3) vertices and (F, 3) faces, got {vertices.shape} and {faces.shape}")
    if len(faces) == 0:
        raise ValueError("the mesh has no faces")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"faces name vertices {faces.min()} to {faces.max()}, but there are {len(vertices)}")
    if not np.isfinite(vertices).all():
        raise ValueError("the mesh has vertices that are not finite")
    return vertices, faces


def _resolve_backend(backend: str) -> str:
    if backend not in ("auto", "fcpw", "igl"):
        raise ValueError(f"no distance backend named {backend!r}; there are 'auto', 'fcpw' and 'igl'")
    installed = importlib.util.find_spec("fcpw") is not None
    if backend == "fcpw" and not installed:
        raise ImportError("backend 'fcpw' needs the package fcpw: pip install fcpw, or take backend 'igl'")
    return "fcpw" if backend != "igl" and installed else "igl"


def _morton_order(points: Array) -> Indices:
    """Order of points (N, 3) along a Morton curve of 32 cells per axis over [-2, 2]^3.

    Consecutive queries then visit the same branches of the tree: 1.3 to 2 times faster, measured on both libraries.
    """
    cells = np.clip(np.floor((points + 2) * 8), 0, 31).astype(np.uint16)
    spread = np.zeros_like(cells)
    for bit in range(5):
        spread |= ((cells >> bit) & 1) << (3 * bit)
    key = spread[:, 0] | (spread[:, 1] << 1) | (spread[:, 2] << 2)
    return np.argsort(key, kind="stable")
