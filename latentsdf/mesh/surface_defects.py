"""Defects of a surface that its distance from the true one hides: loose pieces, handles and rough skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from .distance import MeshSDF
from .repair import face_components
from .surface_sampling import surface_samples

TOUCHING = 0.005
"""Pieces closer than this, in units of the unit frame, are one component: the parts of a chair that is modelled as
seat and legs in contact are one surface to a field, and the smallest F-score forgives the same distance."""
NEIGHBOURHOOD = 0.02
"""Radius of `roughness` in units of the unit frame: about two cells of a lattice of 128."""

_OPPOSITE = -0.5
_POOL, _QUERIES = 20_000, 8_000
_PIECE_DENSITY, _PIECE_SAMPLES = 40_000, (64, 5_000)


@dataclass(frozen=True)
class Topology:
    """Result of `topology`.

    Attributes:
        components: connected pieces of the surface, those in contact counted as one.
        genus: number of handles of all pieces; None where the mesh is not closed.
    """

    components: int
    genus: int | None


def topology(mesh: trimesh.Trimesh) -> Topology:
    """Count the connected components of a surface and their handles.

    Faces are connected by shared vertices; equal vertices are merged where the mesh is not closed as it is. Components
    that come within `TOUCHING` of one another are one. There is no smallest size: a crumb is a component. The genus is
    the sum of (2 - chi) / 2 over edge-connected pieces, chi = V - E + F, with a vertex counted once for each fan of
    faces around it, so that pieces that meet in a vertex stay apart. It is that of the mesh as it is: parts in contact
    keep each their own.

    Args:
        mesh: in the unit frame.

    Returns:
        Components and genus. A mesh is closed where each edge has exactly two faces.

    Raises:
        ValueError: the mesh has no area.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    pairs = _edge_pairs(faces)
    if pairs is None:
        vertices, faces = _merge_equal_vertices(vertices, faces)
        pairs = _edge_pairs(faces)
    count, of_face = face_components(faces, len(vertices))
    components = count if count < 2 else _count_apart(vertices, faces, of_face)
    return Topology(components, None if pairs is None else _genus(faces, pairs))


def roughness(mesh: trimesh.Trimesh, seed: int | np.random.Generator = 0) -> float:
    """Mean angle between the normals of a surface at points within `NEIGHBOURHOOD` of each other, in degrees.

    Curvature counts as well: a sphere of radius R has 2 r / (3 R) radians for a neighbourhood of radius r, a cube its
    edges. Only the difference of two surfaces is a defect. Normals more than 120 degrees apart are those of the two
    sides of a thin wall, and are left out.

    Args:
        mesh: in the unit frame. Normals are those of faces.
        seed: of 20,000 area-uniform samples; 8,000 of them are compared with all.

    Returns:
        Degrees; 0 for a plane.

    Raises:
        ValueError: the mesh has no area.
    """
    points, normals = surface_samples(mesh, _POOL, seed)
    near = KDTree(points[:_QUERIES]).sparse_distance_matrix(KDTree(points), NEIGHBOURHOOD, output_type="ndarray")
    first, second = near["i"], near["j"]
    cosines = np.einsum("nd,nd->n", normals[first], normals[second])
    cosines = cosines[(first != second) & (cosines > _OPPOSITE)]
    if len(cosines) == 0:
        return 0.0
    return float(np.degrees(np.arccos(np.minimum(cosines, 1.0))).mean())


def _edge_pairs(faces: Indices) -> Indices | None:
    """The two half-edges (E, 2) of each edge, 3 f + i for that from corner i of face f; None where one has not two."""
    starts, ends = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    keys = np.minimum(starts, ends) * (faces.max(initial=0) + 1) + np.maximum(starts, ends)
    order = np.argsort(keys)
    keys = keys[order]
    if len(keys) % 2 or (keys[::2] != keys[1::2]).any() or (keys[1:-1:2] == keys[2::2]).any():
        return None
    return order.reshape(-1, 2)


def _merge_equal_vertices(vertices: Array, faces: Indices) -> tuple[Array, Indices]:
    """Vertices (V, 3) of distinct positions, and the faces (F, 3) with three of them."""
    distinct, name = np.unique(vertices, axis=0, return_inverse=True)
    faces = name.reshape(-1)[faces]
    return distinct, faces[(faces != faces[:, [1, 2, 0]]).all(1)]


def _genus(faces: Indices, pairs: Indices) -> int:
    """Handles of a closed mesh, from the two half-edges (E, 2) of each of its edges."""
    following = np.arange(faces.size).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    start, end = pairs, following[pairs]
    same_way = faces.ravel()[start[:, 0]] == faces.ravel()[start[:, 1]]
    links = np.concatenate(
        [
            np.stack([start[:, 0], np.where(same_way, start[:, 1], end[:, 1])]),
            np.stack([end[:, 0], np.where(same_way, end[:, 1], start[:, 1])]),
        ],
        axis=1,
    )
    fans, of_corner = _components(links, faces.size)
    pieces, _ = face_components(of_corner.astype(np.int64).reshape(-1, 3), fans)
    return pieces - (fans - len(pairs) + len(faces)) // 2


def _count_apart(vertices: Array, faces: Indices, of_face: Indices) -> int:
    """Number of components of faces, (F,), none of them within `TOUCHING` of another."""
    order = np.argsort(of_face, kind="stable")
    parts = [trimesh.Trimesh(vertices, faces[rows], process=False) for rows in _runs(of_face[order], order)]
    parts = sorted((part for part in parts if part.area > 0), key=lambda part: -part.area)
    if not parts:
        raise ValueError(f"the mesh has no area ({len(faces)} faces)")
    low, high = _PIECE_SAMPLES
    counts = [int(np.clip(part.area * _PIECE_DENSITY, low, high)) for part in parts]
    points = np.concatenate([surface_samples(part, count)[0] for part, count in zip(parts, counts, strict=True)])
    owner = np.repeat(np.arange(len(parts)), counts)
    links = [np.zeros((2, 0), np.int64)]
    for number, part in enumerate(parts[:-1]):
        corners = vertices[part.faces].reshape(-1, 3)
        smaller = slice(int(np.searchsorted(owner, number, side="right")), None)
        within = (points[smaller] >= corners.min(0) - TOUCHING) & (points[smaller] <= corners.max(0) + TOUCHING)
        rows = smaller.start + np.flatnonzero(within.all(1))
        if len(rows):
            near = rows[MeshSDF(vertices, part.faces).distance(points[rows]) < TOUCHING]
            touched = np.unique(owner[near])
            links.append(np.stack([np.full_like(touched, number), touched]))
    return _components(np.concatenate(links, axis=1), len(parts))[0]


def _runs(sorted_labels: Indices, rows: Indices) -> list[Indices]:
    """The rows of each label."""
    return np.split(rows, np.flatnonzero(np.diff(sorted_labels)) + 1)


def _components(links: Indices, count: int) -> tuple[int, Indices]:
    """Number of connected components of nodes 0 to count by links (2, L), and the component of each node."""
    graph = coo_array((np.ones(links.shape[1], np.int8), (links[0], links[1])), shape=(count, count))
    number, of_node = connected_components(graph, directed=False)
    return int(number), of_node
