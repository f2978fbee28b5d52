"""Nearest triangles of many points by a bounding-volume hierarchy, compiled with Numba.

Points that follow each other along a space-filling curve are visited in packets that share one descent, so that a
triangle is read once for a packet and its distances are computed in vector registers.
"""

from __future__ import annotations

import numpy as np

from ..core.arrays import Array, Indices, Mask
from ..core.compiled import compiled
from .tree_build import STACK, build, morton_order
from .tree_rays import count_hits

LANES = 16
"""Points of a packet."""


class TriangleTree:
    """Bounding-volume hierarchy of triangles, divided by the surface-area heuristic.

    Distances to triangles are compared in single precision, and that to the nearest one is computed in double.

    Args:
        vertices: (V, 3) finite positions of a mesh of about unit size at the origin.
        faces: (F, 3) vertex indices, each face with an area.
    """

    def __init__(self, vertices: Array, faces: Indices):
        corners = vertices[faces]
        order = np.arange(len(faces))
        boxes, links = np.empty((2 * len(faces), 6), np.float32), np.empty((2 * len(faces), 2), np.int32)
        build(corners.min(1), corners.max(1), order, boxes, links)
        self._order, self._faces = order, faces[order]
        self._boxes, self._links = boxes, links
        self._rows = _triangle_rows(corners[order])
        self._single = self._rows.astype(np.float32)

    def closest(self, points: Array) -> tuple[Array, Indices, Array]:
        """Distances (N,), faces (N,) and nearest points (N, 3) of points (N, 3)."""
        count = len(points)
        distances, nearest, rows = np.empty(count), np.empty((count, 3)), np.empty(count, dtype=np.int32)
        _nearest_rows(points, morton_order(points), self._boxes, self._links, self._single, rows)
        _nearest_points(points, self._rows, rows, distances, nearest)
        return distances, self._order[rows], nearest

    def blocked(self, starts: Array, directions: Array) -> Mask:
        """Whether rays from starts (N, 3) along unit directions (N, 3) meet a triangle, (N,)."""
        return self._count(starts, directions, None, None, True) > 0

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
        return self._count(starts, directions, spans, apart, False)

    def _count(
        self, starts: Array, directions: Array, spans: Array | None, apart: Indices | None, first_only: bool
    ) -> Indices:
        counts = np.empty(len(starts), dtype=np.int64)
        spans = np.broadcast_to([0.0, np.inf], (len(starts), 2)) if spans is None else spans
        apart = np.broadcast_to(np.int64(-1), (len(starts), 2)) if apart is None else apart
        rays, order = np.concatenate([starts, directions], axis=1), morton_order(starts)
        tree = self._boxes, self._links, self._rows
        spans, apart = np.ascontiguousarray(spans), np.ascontiguousarray(apart)
        count_hits(rays, order, spans, apart, tree, self._faces, first_only, counts)
        return counts


def _triangle_rows(corners: Array) -> Array:
    """Numbers (F, 27) of triangles with corners (F, 3, 3).

    The first corner; of each edge its vector, its inverse squared length and its inward normal in the plane; the unit
    normal.
    """
    edges = corners[:, [1, 2, 0]] - corners
    normals = np.cross(edges[:, 0], edges[:, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    inward = np.cross(normals[:, None], edges)
    inward /= np.maximum(np.linalg.norm(inward, axis=2, keepdims=True), 1e-300)
    inverse = 1.0 / np.maximum(np.square(edges).sum(2, keepdims=True), 1e-36)
    sides = np.concatenate([edges, inverse, inward], axis=2).reshape(len(corners), 21)
    return np.concatenate([corners[:, 0], sides, normals], axis=1)


@compiled
def _nearest_rows(points, order, boxes, links, triangles, rows):
    """The row of the nearest triangle of each point, in single precision."""
    count = len(points)
    x, y, z = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    best, found = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    stack, bounds = np.empty(STACK, np.int32), np.empty(STACK, np.float32)
    zero = np.float32(0.0)
    guess = np.int32(0)
    for start in range(0, count, LANES):
        for lane in range(LANES):
            point = order[min(start + lane, count - 1)]
            x[lane], y[lane], z[lane] = points[point, 0], points[point, 1], points[point, 2]
            best[lane] = np.inf
            found[lane] = 0
        _visit(triangles, guess, x, y, z, best, found)
        worst = _largest(best)
        held = 1
        stack[0] = 0
        bounds[0] = zero
        while held > 0:
            held -= 1
            if bounds[held] >= worst:
                continue
            node = stack[held]
            first, second = links[node]
            if second < 0:
                for row in range(first, first - second):
                    _visit(triangles, np.int32(row), x, y, z, best, found)
                worst = _largest(best)
                continue
            near_first = _packet_bound(boxes, first, x, y, z, best)
            near_second = _packet_bound(boxes, second, x, y, z, best)
            if near_first > near_second:
                first, second = second, first
                near_first, near_second = near_second, near_first
            if near_second < np.inf:
                stack[held], bounds[held] = second, near_second
                held += 1
            if near_first < np.inf:
                stack[held], bounds[held] = first, near_first
                held += 1
        for lane in range(min(LANES, count - start)):
            rows[order[start + lane]] = found[lane]
        guess = found[LANES - 1]


@compiled
def _largest(values):
    worst = values[0]
    for lane in range(1, LANES):
        worst = max(worst, values[lane])
    return worst


@compiled
def _packet_bound(boxes, node, x, y, z, best):
    """Least squared distance of a box from the points that it may be nearer to than what they found; else infinity."""
    zero, far = np.float32(0.0), np.float32(np.inf)
    x0, y0, z0 = boxes[node, 0], boxes[node, 1], boxes[node, 2]
    x1, y1, z1 = boxes[node, 3], boxes[node, 4], boxes[node, 5]
    least = far
    for lane in range(LANES):
        dx = max(max(x0 - x[lane], x[lane] - x1), zero)
        dy = max(max(y0 - y[lane], y[lane] - y1), zero)
        dz = max(max(z0 - z[lane], z[lane] - z1), zero)
        squared = dx * dx + dy * dy + dz * dz
        least = min(least, squared if squared < best[lane] else far)
    return least


@compiled
def _visit(triangles, row, x, y, z, best, found):
    """Update what the points of a packet found by one triangle."""
    zero, one, far = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    t = triangles[row]
    for lane in range(LANES):
        wx, wy, wz = x[lane] - t[0], y[lane] - t[1], z[lane] - t[2]
        height = wx * t[24] + wy * t[25] + wz * t[26]
        inside = height * height
        squared = far
        # Edges e from corner to corner; w is the point relative to the corner.
        a = wx * t[3] + wy * t[4] + wz * t[5]
        s = min(max(a * t[6], zero), one)
        dx, dy, dz = wx - s * t[3], wy - s * t[4], wz - s * t[5]
        squared = min(squared, dx * dx + dy * dy + dz * dz)
        inner = wx * t[7] + wy * t[8] + wz * t[9]
        wx, wy, wz = wx - t[3], wy - t[4], wz - t[5]
        a = wx * t[10] + wy * t[11] + wz * t[12]
        s = min(max(a * t[13], zero), one)
        dx, dy, dz = wx - s * t[10], wy - s * t[11], wz - s * t[12]
        squared = min(squared, dx * dx + dy * dy + dz * dz)
        inner = min(inner, wx * t[14] + wy * t[15] + wz * t[16])
        wx, wy, wz = wx - t[10], wy - t[11], wz - t[12]
        a = wx * t[17] + wy * t[18] + wz * t[19]
        s = min(max(a * t[20], zero), one)
        dx, dy, dz = wx - s * t[17], wy - s * t[18], wz - s * t[19]
        squared = min(squared, dx * dx + dy * dy + dz * dz)
        inner = min(inner, wx * t[21] + wy * t[22] + wz * t[23])
        squared = inside if inner >= zero else squared
        nearer = squared < best[lane]
        best[lane] = squared if nearer else best[lane]
        found[lane] = row if nearer else found[lane]


@compiled
def _nearest_points(points, triangles, rows, distances, nearest):
    """Distances and nearest points on one triangle a point, in double precision."""
    for index in range(len(points)):
        t = triangles[rows[index]]
        px, py, pz = points[index, 0] - t[0], points[index, 1] - t[1], points[index, 2] - t[2]
        wx, wy, wz = px, py, pz
        inner, least = np.inf, np.inf
        dx, dy, dz = 0.0, 0.0, 0.0
        for edge in range(3):
            c = 3 + 7 * edge
            s = min(max((wx * t[c] + wy * t[c + 1] + wz * t[c + 2]) * t[c + 3], 0.0), 1.0)
            ex, ey, ez = wx - s * t[c], wy - s * t[c + 1], wz - s * t[c + 2]
            squared = ex * ex + ey * ey + ez * ez
            if squared < least:
                least, dx, dy, dz = squared, ex, ey, ez
            inner = min(inner, wx * t[c + 4] + wy * t[c + 5] + wz * t[c + 6])
            wx, wy, wz = wx - t[c], wy - t[c + 1], wz - t[c + 2]
        if inner >= 0:
            height = px * t[24] + py * t[25] + pz * t[26]
            least, dx, dy, dz = height * height, height * t[24], height * t[25], height * t[26]
        distances[index] = np.sqrt(least)
        nearest[index, 0] = points[index, 0] - dx
        nearest[index, 1] = points[index, 1] - dy
        nearest[index, 2] = points[index, 2] - dz
