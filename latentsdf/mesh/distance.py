"""Exact signed distance to a triangle mesh: point to triangle, signed by the winding number."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import igl
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..core.arrays import Array, Indices, Mask
from .igl_tree import IglTree, curve_order
from .repair import edge_table

if TYPE_CHECKING:
    from .crossings import Crossings
    from .triangle_tree import TriangleTree

Backend = Literal["auto", "numba", "igl"]


class MeshSDF:
    """The signed distance function of a triangle mesh, open and self-intersecting ones included.

    f(x) = sign(1/2 - w(x)) min_t d(x, t) over triangles t, with the generalised winding number w. Distances are exact,
    by a bounding-volume hierarchy that is built once (compiled with Numba where it is installed, else libigl's).

    The winding number of a closed, consistently wound surface is a whole number, and the backend "numba" counts the
    signed crossings of a ray with it (`crossings`). That of all others is computed by the hierarchical evaluation of
    Barill et al., "Fast winding numbers for soups and clouds", 2018 (libigl), whose hierarchy every call builds anew
    (libigl keeps none for meshes: about 1.5 s a million faces): one call with many points is far cheaper than many
    with few.

    Args:
        vertices: (V, 3) finite positions, in the frame of the queries.
        faces: (F, 3) vertex indices, outward orientation.
        backend: "auto" is "numba" where that can be imported, else "igl". Both agree to single precision, relative to
            the size of the mesh.

    Attributes:
        tree: the hierarchy, of vertices that are moved by -center and divided by `scale`.
        center, scale: (3,) middle of the bounding box of the vertices, and half its diagonal.
        face_ids: (K,) those of the faces that have an area; the hierarchy holds no others.

    Raises:
        ValueError: shapes or indices are wrong, a number is not finite, or no face has an area.
        ImportError: backend "numba" is asked for and missing.

    Example:
        >>> box = trimesh.creation.box()
        >>> MeshSDF(box.vertices, box.faces)(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
        tensor([-0.5000,  0.5000])
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, *, backend: Backend = "auto"):
        vertices, self._all_faces = _validate_mesh(vertices, faces)
        corner_min, corner_max = vertices.min(0), vertices.max(0)
        self.center = (corner_min + corner_max) / 2
        self.scale: float = float(np.linalg.norm(corner_max - corner_min)) / 2
        if self.scale == 0:
            raise ValueError(f"all {len(vertices)} vertices of the mesh coincide, so it has no surface")
        # Both libraries work in or near single precision, so the mesh is moved to the origin and scaled to size one.
        self._vertices = np.ascontiguousarray((vertices - self.center) / self.scale)
        edges = self._vertices[self._all_faces[:, 1:]] - self._vertices[self._all_faces[:, :1]]
        areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        self.face_ids = np.flatnonzero(areas > 1e-18)
        if len(self.face_ids) == 0:
            raise ValueError(f"none of the {len(self._all_faces)} faces of the mesh has an area")
        self._faces = np.ascontiguousarray(self._all_faces[self.face_ids])
        self._bounds = self._vertices[self._faces.ravel()].min(0), self._vertices[self._faces.ravel()].max(0)
        self.backend: str = _resolve_backend(backend)
        self.tree: TriangleTree | IglTree = _tree_of(self.backend)(self._vertices, self._faces)

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
        return self.tree.closest(self.to_tree(points))[0] * self.scale

    def closest(self, points: ArrayLike) -> tuple[Array, Indices, Array]:
        """Find the nearest surface point of each query.

        Args:
            points: (N, 3) queries.

        Returns:
            Unsigned distances (N,), the faces (N,) of the nearest points, and the nearest points (N, 3).
        """
        distances, index, nearest = self.tree.closest(self.to_tree(points))
        return distances * self.scale, self.face_ids[index], nearest * self.scale + self.center

    def inside(self, points: ArrayLike) -> Mask:
        """Whether the winding number exceeds one half, (N,), at points (N, 3)."""
        local = self.to_tree(points)
        if self._crossings is not None:
            return self._crossings.inside(local)
        # Outside the box the whole surface lies in one half space, so its winding number stays below a half.
        rows = np.flatnonzero(((local >= self._bounds[0]) & (local <= self._bounds[1])).all(1))
        inside = np.zeros(len(local), dtype=bool)
        if len(rows):
            rows = rows[curve_order(local[rows])]
            inside[rows] = np.asarray(igl.fast_winding_number(self._vertices, self._faces, local[rows])) > 0.5
        return inside

    def to_tree(self, points: ArrayLike) -> Array:
        """Points (N, 3) in the frame of the hierarchy; ValueError where they are of another shape."""
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"points must have shape (N, 3), got {points.shape}")
        return np.ascontiguousarray((points - self.center) / self.scale)

    def from_box(self, points: Array) -> tuple[Array, float]:
        """Points in the frame of the hierarchy, and the size of one unit there.

        Args:
            points: (N, 3) in the frame where the bounding box of the surface has its middle at the origin and half of
                its diagonal is one, axes kept.
        """
        low, high = self._bounds
        size = float(np.linalg.norm(high - low)) / 2
        return np.ascontiguousarray(points * size + (low + high) / 2), size

    @cached_property
    def _crossings(self) -> Crossings | None:
        """Crossings of a surface whose edges are used as often in one direction as in the other; None for others."""
        if self.backend != "numba" or edge_table(self._all_faces).balance.any():
            return None
        from .crossings import Crossings

        return Crossings(self._vertices, self._all_faces)


def compile_backend() -> None:
    """Compile what the backend "numba" needs, where it is installed and nobody has done so on this machine.

    The result is kept on disk, so that worker processes which are started afterwards load it in a second or two.
    """
    if _resolve_backend("auto") == "numba":
        corners, faces = np.eye(4, 3), np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 2, 1]])
        sdf = MeshSDF(corners, faces)
        sdf.signed_distance(corners)
        sdf.tree.hits(corners, corners)


def _tree_of(backend: str) -> type[TriangleTree] | type[IglTree]:
    if backend == "igl":
        return IglTree
    from .triangle_tree import TriangleTree

    return TriangleTree


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
    if backend not in ("auto", "numba", "igl"):
        raise ValueError(f"no distance backend named {backend!r}; there are 'auto', 'numba' and 'igl'")
    installed = importlib.util.find_spec("numba") is not None
    if backend == "numba" and not installed:
        raise ImportError("backend 'numba' needs the package numba: pip install numba, or take backend 'igl'")
    return "numba" if backend != "igl" and installed else "igl"
