"""Mesh repair: no degenerate or duplicate faces, consistent winding, outward normals."""

from __future__ import annotations

from typing import NamedTuple

import igl
import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..core.arrays import Array, Indices, Mask

FLATNESS = 1e-6
"""A mesh whose vertices all lie within this fraction of its size from one plane is rejected as flat."""

_PROBES = 16
_BODY_FACES = 16


class EdgeTable(NamedTuple):
    """Undirected edges of faces: the faces at each edge, and the balance of its two directions."""

    counts: Indices
    """(E,) faces that use the edge."""
    balance: Indices
    """(E,) uses in one direction minus uses in the other; zero on a closed, consistently wound surface."""
    group: Indices
    """(E,) group of the faces; edges of different groups are different edges."""
    ends: Indices
    """(E, 2) the two vertices, the smaller first."""


def edge_table(faces: Indices, group: Indices | None = None) -> EdgeTable:
    """Build the table of undirected edges of faces (F, 3), separately for each group (F,) of faces if given."""
    starts, ends = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    groups = np.repeat(np.zeros(len(faces), np.int64) if group is None else group, 3)
    order = np.lexsort((high, low, groups))
    low, high, groups = low[order], high[order], groups[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1]) | (groups[1:] != groups[:-1])
    first = np.flatnonzero(fresh)
    balance = np.add.reduceat(np.where(starts < ends, 1, -1)[order], first)
    counts = np.diff(np.append(first, len(order)))
    return EdgeTable(counts, balance, groups[first], np.stack([low[first], high[first]], axis=1))


def face_components(faces: Indices, vertex_count: int) -> tuple[int, Indices]:
    """Number of connected components of faces (F, 3) by shared vertices, and the component of each face, (F,)."""
    links = coo_array(
        (np.ones(2 * len(faces), np.int8), (faces[:, :2].T.ravel(), faces[:, 1:].T.ravel())),
        shape=(vertex_count, vertex_count),
    )
    _, of_vertex = connected_components(links, directed=False)
    names, of_face = np.unique(of_vertex[faces[:, 0]], return_inverse=True)
    return len(names), of_face.reshape(-1)


def repair_mesh(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, int]:
    """Drop degenerate and duplicate faces, and orient faces so that normals point out of the solid.

    Each orientable patch gets one winding, that of the larger part of its area. Each closed patch, and the open
    patches of each component together, are then oriented to a positive volume; a body that lies wholly inside
    another keeps its orientation relative to that one, so a cavity stays a cavity. Holes are not filled.

    Args:
        mesh: any triangle mesh; it is not modified.

    Returns:
        The repaired mesh, same units, and the number of faces whose winding was reversed.

    Raises:
        ValueError: the mesh is flat (all vertices in one plane) or no face remains.
    """
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = _distinct_faces(np.asarray(mesh.faces, dtype=np.int64))
    if len(faces) == 0:
        raise ValueError(f"the mesh has no proper face: all {len(mesh.faces)} are degenerate")
    size = _refuse_flat(vertices, faces)
    local = (vertices - vertices[faces[0, 0]]) / size
    flipped, patch = _orient_patches(local, faces)
    unit, bodies = _group_patches(_apply_flips(faces, flipped), patch, len(vertices))
    volumes = _volumes(local, _apply_flips(faces, flipped), unit, len(bodies))
    flip = volumes < 0
    _orient_nested(local, _apply_flips(faces, flipped ^ flip[unit]), unit, bodies, np.abs(volumes), flip)
    flipped ^= flip[unit]
    repaired = trimesh.Trimesh(vertices, _apply_flips(faces, flipped), process=False)
    repaired.remove_unreferenced_vertices()
    return repaired, int(flipped.sum())


def _apply_flips(faces: Indices, flipped: Mask) -> Indices:
    return np.where(flipped[:, None], faces[:, ::-1], faces)


def _distinct_faces(faces: Indices) -> Indices:
    faces = faces[(faces != faces[:, [1, 2, 0]]).all(1)]
    if len(faces) == 0:
        return faces
    ordered = np.sort(faces, axis=1)
    order = np.lexsort(ordered.T)
    fresh = np.ones(len(faces), dtype=bool)
    fresh[1:] = (np.diff(ordered[order], axis=0) != 0).any(1)
    return faces[np.sort(order[fresh])]  # lexsort is stable: the first of equal faces remains


def _refuse_flat(vertices: Array, faces: Indices) -> float:
    """Diagonal of the bounding box of the surface; ValueError where the surface lies in one plane."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    points = vertices[used]
    points = points - points.mean(0)
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    normal = np.linalg.eigh(points.T @ points)[1][:, 0]
    if size == 0 or np.abs(points @ normal).max() <= FLATNESS * size:
        raise ValueError(
            f"mesh is flat: its {len(points)} vertices lie in one plane, so it encloses no volume; give it a thickness"
        )
    return size


def _orient_patches(vertices: Array, faces: Indices):
    """Faces to flip (F,) for one winding per orientable patch, and the patch of each face (F,)."""
    oriented, patch = igl.bfs_orient(np.ascontiguousarray(faces))
    flipped = np.ones(len(faces), dtype=bool)
    for shift in range(3):
        flipped &= (np.roll(oriented, shift, axis=1) != faces).any(1)
    corners = vertices[faces]
    patch = np.asarray(patch, dtype=np.int64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    balance = np.bincount(patch, np.where(flipped, area, -area))
    return flipped ^ (balance[patch] > 0), patch


def _group_patches(faces: Indices, patch: Indices, vertex_count: int):
    """Group faces that are flipped together: each closed patch, and all open patches of a component.

    Returns:
        The unit of each face (F,), and whether each unit (U,) is a body that can be nested in another: closed,
        or with enough faces for a closed surface with holes.
    """
    edges = edge_table(faces, patch)
    open_patch = np.zeros(patch.max() + 1, dtype=bool)
    open_patch[edges.group[(edges.balance != 0) | (edges.counts % 2 != 0)]] = True
    is_open = open_patch[patch]
    label = patch.copy()
    if is_open.any():
        label[is_open] = len(open_patch) + face_components(faces[is_open], vertex_count)[1]
    _, first, unit, sizes = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    return unit.reshape(-1), ~is_open[first] | (sizes >= _BODY_FACES)


def _volumes(vertices: Array, faces: Indices, unit: Indices, count: int):
    """Signed volume (U,) of each unit about the centroid of its surface: sum of det(a, b, c) / 6."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = np.maximum(np.bincount(unit, area, count), 1e-300)
    middle = np.stack(
        [np.bincount(unit, area * corners[:, :, axis].mean(1), count) / total for axis in range(3)], axis=1
    )
    corners = corners - middle[unit][:, None]
    parts = np.einsum("fd,fd->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    return np.bincount(unit, parts, count)


def _orient_nested(vertices: Array, outward: Indices, unit: Indices, bodies: Mask, volumes: Array, flip: Mask) -> None:
    """Copy to each body that lies wholly inside another the `flip` of that one, in place."""
    if bodies.sum() < 2:
        return
    order = np.argsort(unit, kind="stable")
    start = np.searchsorted(unit[order], np.arange(len(bodies) + 1))
    shells = np.ascontiguousarray(outward[bodies[unit]])
    inside = np.flatnonzero(bodies)
    sizes = start[inside + 1] - start[inside]
    picks = (start[inside, None] + np.linspace(0, sizes - 1, _PROBES, axis=1).astype(np.int64)).ravel()
    corners = vertices[outward[order[picks]]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    # Just outside its own unit, the winding number is that of the other units.
    probes = corners.mean(1) + 1e-6 * normals
    within = np.asarray(igl.fast_winding_number(vertices, shells, probes)).reshape(-1, _PROBES) > 0.5
    nested = np.zeros(len(bodies), dtype=bool)
    nested[inside] = within.all(1)
    if not nested.any():
        return
    inner = np.flatnonzero(nested[inside])
    probes = probes.reshape(-1, _PROBES, 3)[inner]
    low, high = probes.min(1), probes.max(1)
    assigned = np.zeros(len(inner), dtype=bool)
    roots = np.flatnonzero(bodies & ~nested)
    for root in roots[np.argsort(volumes[roots])]:
        own = np.ascontiguousarray(outward[order[start[root] : start[root + 1]]])
        corners = vertices[own].reshape(-1, 3)
        rows = np.flatnonzero(~assigned & (low >= corners.min(0)).all(1) & (high <= corners.max(0)).all(1))
        if len(rows):
            winding = np.asarray(igl.fast_winding_number(vertices, own, probes[rows].reshape(-1, 3)))
            rows = rows[(winding.reshape(-1, _PROBES) > 0.5).all(1)]
            flip[inside[inner[rows]]] = flip[root]
            assigned[rows] = True
