"""Hits of rays with the triangles of a hierarchy, compiled with Numba."""

from __future__ import annotations

import numpy as np

from ..core.compiled import compiled
from .tree_build import STACK

_PARALLEL = 4e-14


@compiled
def count_hits(rays, order, spans, apart, tree, faces, first_only, counts):
    """Count the triangles that each ray meets (Moeller and Trumbore, 1997).

    Args:
        rays: (N, 6) starts and directions, of a mesh of about unit size.
        order: (N,) of the rays.
        spans: (N, 2) distances along the ray between which a hit counts, in units of its direction.
        apart: (N, 2) vertices; a face that has one of them does not count.
        tree: boxes, links and triangles of a `TriangleTree`.
        faces: (F, 3) vertices of its triangles, in its order.
        first_only: stop at the first hit.
        counts: (N,) gets the numbers.
    """
    boxes, links, triangles = tree
    stack, inverse = np.empty(STACK, np.int32), np.empty(3)
    for index in order:
        ray = rays[index]
        low, high = spans[index]
        for axis in range(3):
            # Far from zero, so that no product below is the undefined one of zero and infinity.
            step = ray[3 + axis]
            inverse[axis] = 1.0 / step if abs(step) > 1e-30 else 1e30
        held, found = 1, 0
        stack[0] = 0
        while held > 0:
            held -= 1
            node = stack[held]
            if not _meets(boxes, node, ray, inverse, low, high):
                continue
            first, second = links[node]
            if second >= 0:
                stack[held], stack[held + 1] = first, second
                held += 2
                continue
            for row in range(first, first - second):
                distance = _distance(triangles[row], ray)
                if low < distance < high and not _shares(faces[row], apart[index]):
                    found += 1
            if found > 0 and first_only:
                break
        counts[index] = found


@compiled
def _meets(boxes, node, ray, inverse, low, high):
    for axis in range(3):
        a = (boxes[node, axis] - ray[axis]) * inverse[axis]
        b = (boxes[node, 3 + axis] - ray[axis]) * inverse[axis]
        low, high = max(low, min(a, b)), min(high, max(a, b))
    return low <= high


@compiled
def _distance(t, ray):
    """Distance along a ray to a triangle; minus one where it misses it or runs along its plane."""
    abx, aby, abz = t[3], t[4], t[5]
    acx, acy, acz = -t[17], -t[18], -t[19]
    dx, dy, dz = ray[3], ray[4], ray[5]
    px, py, pz = dy * acz - dz * acy, dz * acx - dx * acz, dx * acy - dy * acx
    determinant = abx * px + aby * py + abz * pz
    if abs(determinant) <= _PARALLEL:
        return -1.0
    inverse = 1.0 / determinant
    sx, sy, sz = ray[0] - t[0], ray[1] - t[1], ray[2] - t[2]
    u = (sx * px + sy * py + sz * pz) * inverse
    qx, qy, qz = sy * abz - sz * aby, sz * abx - sx * abz, sx * aby - sy * abx
    v = (dx * qx + dy * qy + dz * qz) * inverse
    if u < 0 or v < 0 or u + v > 1:
        return -1.0
    return (acx * qx + acy * qy + acz * qz) * inverse


@compiled
def _shares(face, apart):
    shared = False
    for corner in range(3):
        shared |= face[corner] == apart[0] or face[corner] == apart[1]
    return shared
