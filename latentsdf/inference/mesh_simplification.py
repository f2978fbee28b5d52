"""Simplification of meshes to few faces on a lattice, and the fit of their vertices to the surface they stand for."""

from __future__ import annotations

import igl
import numpy as np
from scipy.sparse import coo_matrix, diags, identity
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ..codec.mesh_stream import LatticeMesh, snap_to_lattice
from ..core.arrays import Array, Indices
from ..mesh.distance import MeshSDF

_ROUNDS, _SURPLUS = 4, 1.3
"""Decimations at most, and the share of the faces asked for that may remain: rounding unites parts that collapses of
edges cannot, and edges of several faces stop them."""
_DAMPING = 0.02
SAMPLES = 2500
"""Samples of a simplified surface in each step of the fit."""


def simplify_to_lattice(vertices: Array, faces: Indices, count: int, lattice: int) -> LatticeMesh | None:
    """Decimate a mesh of the unit frame by quadric errors to about `count` faces on a lattice.

    Source: Garland and Heckbert, "Surface simplification using quadric error metrics", 1997 (libigl's `qslim`), here of
    the mesh cut along edges that are not shared by two faces.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        count: faces wanted.
        lattice: its number, `cells_of`.

    Returns:
        The mesh; None where no face is left.
    """
    mesh = None
    for _ in range(_ROUNDS):
        if len(faces) > count:
            vertices, faces = decimate(vertices, faces, count)
        if len(faces) == 0:
            return None
        mesh = snap_to_lattice(vertices, faces, lattice)
        vertices, faces = mesh.vertices, mesh.faces
        if len(faces) <= _SURPLUS * count:
            break
    return mesh if mesh is not None and len(mesh.faces) else None


def cut_to_manifold(vertices: Array, faces: Indices) -> tuple[Array, Indices]:
    """The same faces with a vertex for each fan around it of faces that are joined by edges of exactly two of them.

    Args:
        vertices: (V, 3).
        faces: (F, 3).

    Returns:
        Vertices (W, 3), some of them repeated, and faces (F, 3).
    """
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    corner = np.arange(faces.size)
    beyond = 3 * (corner // 3) + (corner + 1) % 3
    key = np.minimum(start, end) * len(vertices) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    _, first, uses = np.unique(key[order], return_index=True, return_counts=True)
    first = first[uses == 2]
    one, two = order[first], order[first + 1]
    opposed = start[one] == end[two]
    one, two = one[opposed], two[opposed]
    rows, columns = np.concatenate([one, beyond[one]]), np.concatenate([beyond[two], two])
    joined = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(corner),) * 2)
    count, owner = connected_components(joined, directed=False)
    origin = np.zeros(count, dtype=np.int64)
    origin[owner] = start
    return vertices[origin], owner.astype(np.int64).reshape(-1, 3)


def fit_vertices(mesh: LatticeMesh, truth: MeshSDF, points: Array, tolerance: float, seed: int = 0) -> LatticeMesh:
    """Move the vertices of a mesh so that more of both surfaces lies within a tolerance of the other.

    Three steps of iteratively reweighted least squares on the distances d of samples of each surface to the other, with
    the weights (1 + (d / 2 T)^2)^-2 of Geman and McClure for the tolerance T, then rounding.

    Args:
        mesh: to be moved.
        truth: distance to the true surface, unit frame.
        points: (M, 3) on the true surface.
        tolerance: T.
        seed: of the samples of the mesh.

    Returns:
        The moved mesh; the given one where nothing is left of the moved one.
    """
    generator, vertices = np.random.default_rng(seed), mesh.vertices
    for _ in range(3):
        try:
            ours = MeshSDF(vertices, mesh.faces)
        except ValueError:
            return mesh
        far, face, near = ours.closest(points)
        theirs = mesh.faces[face]
        rows, weights = _draw(vertices, mesh.faces, generator)
        back, _, targets = truth.closest(np.einsum("mk,mkd->md", weights, vertices[rows]))
        vertices = _solve(
            vertices,
            np.concatenate([theirs, rows]),
            np.concatenate([_barycentric(near, vertices[theirs]), weights]),
            np.concatenate([points, targets]),
            1.0 / (1.0 + np.square(np.concatenate([far, back]) / (2.0 * tolerance))) ** 2,
        )
    moved = snap_to_lattice(vertices, mesh.faces, mesh.lattice)
    return moved if len(moved.faces) else mesh


def decimate(vertices: Array, faces: Indices, count: int) -> tuple[Array, Indices]:
    """Decimate a mesh by quadric errors, cut along edges that are not shared by two faces.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        count: faces wanted.

    Returns:
        Vertices (W, 3) and faces (G, 3).
    """
    cut, corners = cut_to_manifold(vertices, faces)
    found = igl.qslim(np.ascontiguousarray(cut), np.ascontiguousarray(corners), count)
    arrays = [np.asarray(item) for item in found if not isinstance(item, bool)]
    return arrays[0].reshape(-1, 3), arrays[1].astype(np.int64).reshape(-1, 3)


def _solve(vertices: Array, rows: Indices, shares: Array, targets: Array, weights: Array) -> Array:
    """Vertices (V, 3) of the least weighted squares of sum_k shares_mk v_rows_mk - targets_m, damped."""
    places = np.repeat(np.arange(len(rows)), 3), rows.ravel()
    design = coo_matrix((shares.ravel(), places), shape=(len(rows), len(vertices))).tocsr()
    normal = design.T @ diags(weights) @ design
    damping = _DAMPING * float(normal.diagonal().mean())
    right = design.T @ (weights[:, None] * targets) + damping * vertices
    return splu((normal + damping * identity(len(vertices))).tocsc()).solve(right)


def _draw(vertices: Array, faces: Indices, generator: np.random.Generator) -> tuple[Indices, Array]:
    """Points uniform on a surface: the vertices (M, 3) of their faces, and barycentric weights (M, 3)."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    rows = generator.choice(len(faces), SAMPLES, p=area / area.sum())
    pairs = generator.random((SAMPLES, 2))
    pairs = np.where(pairs.sum(1, keepdims=True) > 1, 1 - pairs, pairs)
    return faces[rows], np.column_stack([1 - pairs.sum(1), pairs])


def _barycentric(points: Array, corners: Array) -> Array:
    """Barycentric weights (M, 3) of points (M, 3) in triangles (M, 3, 3)."""
    one, two, to = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    aa, ab, bb = (one * one).sum(1), (one * two).sum(1), (two * two).sum(1)
    pa, pb = (to * one).sum(1), (to * two).sum(1)
    area = np.maximum(aa * bb - ab * ab, 1e-18)
    second, third = (bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area
    return np.clip(np.column_stack([1 - second - third, second, third]), 0.0, 1.0)
