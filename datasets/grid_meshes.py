"""Closed meshes from grids of points: swept tubes, turned and lofted solids, and sheets of a thickness."""

from __future__ import annotations

import numpy as np
import trimesh
from draw import Vector, at
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline


def grid_faces(
    shape: tuple[int, int], around: bool = False, along: bool = False, poles: tuple[bool, bool] = (False, False)
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vertex numbers (U, V) and triangles of a grid of points.

    Args:
        shape: (U, V).
        around: the columns close on themselves.
        along: the rows close on themselves.
        poles: the first row, the last row is a single point.
    """
    rows, columns = shape
    number = np.arange(rows * columns).reshape(rows, columns)
    for row, single in zip((0, -1), poles, strict=True):
        if single:
            number[row] = number[row, 0]
    i, j = np.arange(rows if along else rows - 1), np.arange(columns if around else columns - 1)
    i, j = (part.ravel() for part in np.meshgrid(i, j, indexing="ij"))
    a, b = number[i, j], number[(i + 1) % rows, j]
    c, d = number[(i + 1) % rows, (j + 1) % columns], number[i, (j + 1) % columns]
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return number, faces[distinct]


def outward(vertices: Vector, faces: NDArray[np.int64]) -> trimesh.Trimesh:
    """A mesh of used vertices only, with positive volume."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.remove_unreferenced_vertices()
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def closed_grid(points: Vector, along: bool = False, poles: tuple[bool, bool] = (True, True)) -> trimesh.Trimesh:
    """A closed mesh of a grid of points (U, V, 3) whose columns close on themselves.

    Args:
        points: the grid.
        along: the rows close on themselves as well, else they end in poles or are capped.
        poles: the first row, the last row is a single point; other ends are capped by a fan about their mean.
    """
    number, faces = grid_faces(points.shape[:2], True, along, (poles[0] and not along, poles[1] and not along))
    vertices, caps = points.reshape(-1, 3), []
    for row in (0, -1):
        if along or poles[row]:
            continue
        ring, middle = number[row], np.full(number.shape[1], len(vertices))
        vertices = np.concatenate([vertices, vertices[ring].mean(0)[None]])
        after = np.roll(ring, -1)
        caps.append(np.stack([ring, after, middle] if row == 0 else [after, ring, middle], 1))
    return outward(vertices, np.concatenate([faces, *caps]))


def sheet(
    points: Vector, thickness: float | Vector, around: bool = False, pole: bool = False, mitre: float = 2.0
) -> trimesh.Trimesh:
    """Thicken a surface by half the thickness to both sides, and stitch the two copies along their border.

    Args:
        points: grid (U, V, 3) of the middle surface.
        thickness: of the sheet, one number or (U, V).
        around: the columns close on themselves.
        pole: the first row is a single point.
        mitre: largest factor by which a vertex on a crease moves farther than half the thickness, so that the faces
            beside it keep their distance.
    """
    number, faces = grid_faces(points.shape[:2], around, False, (pole, False))
    middle = points.reshape(-1, 3)
    corners = middle[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    flat = normals / np.maximum(size, 1e-12)
    # angle weights: independent of how the quadrangles are cut
    mean = np.zeros_like(middle)
    for corner in range(3):
        p, q, r = (corners[:, (corner + shift) % 3] for shift in range(3))
        cosine = np.einsum("ij,ij->i", q - p, r - p) / np.maximum(
            np.linalg.norm(q - p, axis=1) * np.linalg.norm(r - p, axis=1), 1e-12
        )
        np.add.at(mean, faces[:, corner], flat * np.arccos(cosine.clip(-1, 1))[:, None])
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    least = np.ones(len(middle))
    np.minimum.at(least, faces.ravel(), np.einsum("ij,ij->i", mean[faces.ravel()], np.repeat(flat, 3, 0)))
    half = np.broadcast_to(np.asarray(thickness) / 2, points.shape[:2]).reshape(-1, 1)
    shift = mean * half / np.maximum(least, 1 / mitre)[:, None]
    count = len(middle)
    vertices = np.concatenate([middle + shift, middle - shift])
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key, reverse = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    a, b = edges[~np.isin(key, reverse)].T
    rim = np.concatenate([np.stack([b, a, a + count], 1), np.stack([b, a + count, b + count], 1)])
    return outward(vertices, np.concatenate([faces, faces[:, ::-1] + count, rim]))


def resampled(path: Vector, step: float, closed: bool = False) -> Vector:
    """A polyline (K, 3) with its segments split into equal parts no longer than `step`."""
    after = np.roll(path, -1, 0) if closed else path[1:]
    pieces = []
    for start, end in zip(path, after, strict=False):
        parts = max(1, int(np.ceil(np.linalg.norm(end - start) / step)))
        pieces.append(start + (end - start) * (np.arange(parts) / parts)[:, None])
    return np.concatenate(pieces if closed else [*pieces, path[-1:]])


def swept(path: Vector, radius: float | Vector, sides: int, closed: bool = False) -> trimesh.Trimesh:
    """A round tube along a polyline (K, 3), its rings in the planes that halve the corners.

    Args:
        path: corners; the first is not repeated where the tube closes on itself.
        radius: one number or (K,).
        sides: of the cross-section, whose area is that of the circle.
        closed: the tube closes on itself, else its ends are flat.
    """
    edges = np.diff(path, axis=0, append=path[:1])
    edges /= np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-12)
    before = np.roll(edges, 1, 0)
    if not closed:
        edges[-1], before[0] = edges[-2], edges[0]
    tangents = edges + before
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-12)
    across = np.empty_like(path)
    across[0] = np.cross(tangents[0], at(*np.eye(3)[np.abs(tangents[0]).argmin()]))
    for row in range(1, len(path)):
        across[row] = across[row - 1] - (across[row - 1] @ tangents[row]) * tangents[row]
        across[row] /= np.linalg.norm(across[row])
    across[0] /= np.linalg.norm(across[0])
    other = np.cross(tangents, across)
    twist = 0.0
    if closed:
        back = across[-1] - (across[-1] @ tangents[0]) * tangents[0]
        twist = -np.arctan2(back @ other[0], back @ across[0])
    turn = 2 * np.pi * np.arange(sides) / sides + twist * (np.arange(len(path)) / len(path))[:, None]
    ring = np.cos(turn)[..., None] * across[:, None] + np.sin(turn)[..., None] * other[:, None]
    # a ring in the halving plane is stretched across the corner, so that the tube keeps its radius
    cosine = np.einsum("ij,ij->i", tangents, edges).clip(0.5, 1.0)
    lean = edges - before
    lean /= np.maximum(np.linalg.norm(lean, axis=1, keepdims=True), 1e-12)
    ring += (np.einsum("ijk,ik->ij", ring, lean) * (1 / cosine - 1)[:, None])[..., None] * lean[:, None]
    wide = np.broadcast_to(radius, len(path)) / np.sqrt(np.sinc(2 / sides))
    return closed_grid(path[:, None] + ring * wide[:, None, None], closed, (False, False))


def turned(profile: Vector, segments: int) -> trimesh.Trimesh:
    """A profile (K, 2) of (radius, z) that starts and ends on the axis, revolved about z."""
    angle = 2 * np.pi * np.arange(segments) / segments
    radius = profile[:, :1]
    height = np.broadcast_to(profile[:, 1:], (len(profile), segments))
    return closed_grid(np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1))


def smooth_path(knots: Vector, points: int, closed: bool = False) -> Vector:
    """Points (points, K) of a cubic spline through knots (N, K)."""
    knots = np.concatenate([knots, knots[:1]]) if closed else knots
    length = np.concatenate([[0], np.cumsum(np.maximum(np.linalg.norm(np.diff(knots, axis=0), axis=1) ** 0.5, 1e-9))])
    spline = CubicSpline(length, knots, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0, length[-1], points, endpoint=not closed))
