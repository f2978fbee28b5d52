"""Bounding-volume hierarchies of triangles and orders of points along a Morton curve, compiled with Numba."""

from __future__ import annotations

import numpy as np

from ..core.compiled import compiled

LEAF = 4
"""Triangles of a leaf, at most, where they can be divided."""
STACK = 192
"""Nodes that a descent may have to come back to; a node so deep that it needed more is a leaf."""
_BINS = 16
_CELLS = 1024


@compiled
def build(low, high, order, boxes, links):
    """Divide triangles by the surface-area heuristic over bins (Wald, "On fast construction of SAH-based BVHs", 2007).

    Args:
        low, high: (F, 3) boxes of the triangles.
        order: (F,) their numbers; becomes their order in the leaves.
        boxes: (2 F, 6) float32, gets the boxes of the nodes, the root first.
        links: (2 F, 2) int32, gets the two children of a node, or the place of a leaf's first triangle and minus the
            number of its triangles.
    """
    stack = np.empty((STACK, 4), dtype=np.int64)
    stack[0] = (0, 0, len(order), 0)
    held, used = 1, 1
    counts, right_area = np.empty(_BINS, dtype=np.int64), np.empty(_BINS)
    bin_boxes, box, centres = np.empty((_BINS, 6)), np.empty(6), np.empty(6)
    while held > 0:
        held -= 1
        node, first, last, depth = stack[held]
        size = last - first
        _empty(box)
        _empty(centres)
        for place in range(first, last):
            face = order[place]
            _include(box, low[face], high[face])
            _include(centres, low[face] + high[face], low[face] + high[face])
        for axis in range(3):
            # Rounded outward, so that the box in single precision holds the triangles.
            margin = 2e-7 * max(abs(box[axis]), abs(box[3 + axis]), 1e-6)
            boxes[node, axis] = box[axis] - margin
            boxes[node, 3 + axis] = box[3 + axis] + margin
        best_cost, best_axis, best_bin = np.inf, -1, 0
        for axis in range(3):
            extent = centres[3 + axis] - centres[axis]
            if size <= LEAF or depth + 2 >= STACK or not extent > 0:
                continue
            counts[:] = 0
            for number in range(_BINS):
                _empty(bin_boxes[number])
            scale = _BINS * (1 - 1e-9) / extent
            for place in range(first, last):
                face = order[place]
                number = int((low[face, axis] + high[face, axis] - centres[axis]) * scale)
                counts[number] += 1
                _include(bin_boxes[number], low[face], high[face])
            _empty(box)
            for number in range(_BINS - 1, 0, -1):
                _include(box, bin_boxes[number, :3], bin_boxes[number, 3:])
                right_area[number] = _half_area(box)
            _empty(box)
            left = 0
            for number in range(_BINS - 1):
                _include(box, bin_boxes[number, :3], bin_boxes[number, 3:])
                left += counts[number]
                if 0 < left < size:
                    cost = left * _half_area(box) + (size - left) * right_area[number + 1]
                    if cost < best_cost:
                        best_cost, best_axis, best_bin = cost, axis, number
        if best_axis < 0:
            links[node] = (first, -size)
            continue
        scale = _BINS * (1 - 1e-9) / (centres[3 + best_axis] - centres[best_axis])
        left, right = first, last - 1
        while left <= right:
            face = order[left]
            number = int((low[face, best_axis] + high[face, best_axis] - centres[best_axis]) * scale)
            if number <= best_bin:
                left += 1
            else:
                order[left], order[right] = order[right], face
                right -= 1
        links[node] = (used, used + 1)
        stack[held] = (used, first, left, depth + 1)
        stack[held + 1] = (used + 1, left, last, depth + 1)
        held += 2
        used += 2


@compiled
def _empty(box):
    for axis in range(3):
        box[axis], box[3 + axis] = np.inf, -np.inf


@compiled
def _include(box, low, high):
    for axis in range(3):
        box[axis] = min(box[axis], low[axis])
        box[3 + axis] = max(box[3 + axis], high[axis])


@compiled
def _half_area(box):
    x, y, z = max(box[3] - box[0], 0.0), max(box[4] - box[1], 0.0), max(box[5] - box[2], 0.0)
    return x * y + y * z + z * x


@compiled
def morton_order(points):
    """Order (N,) int32 of points (N, 3) along a Morton curve of 1024 cells per axis over [-2, 2]^3."""
    count = len(points)
    keys, order = np.empty(count, dtype=np.uint32), np.empty(count, dtype=np.int32)
    for index in range(count):
        key = np.uint32(0)
        for axis in range(3):
            cell = np.uint32(min(max((points[index, axis] + 2.0) * (_CELLS / 4), 0.0), _CELLS - 1.0))
            cell = (cell | (cell << 16)) & np.uint32(0x030000FF)
            cell = (cell | (cell << 8)) & np.uint32(0x0300F00F)
            cell = (cell | (cell << 4)) & np.uint32(0x030C30C3)
            cell = (cell | (cell << 2)) & np.uint32(0x09249249)
            key |= cell << np.uint32(axis)
        keys[index] = key
        order[index] = index
    other = np.empty_like(order)
    for shift in (0, 10, 20):
        starts = np.zeros(1025, dtype=np.int64)
        for index in range(count):
            starts[((keys[index] >> np.uint32(shift)) & np.uint32(1023)) + 1] += 1
        for digit in range(1024):
            starts[digit + 1] += starts[digit]
        for place in range(count):
            digit = (keys[order[place]] >> np.uint32(shift)) & np.uint32(1023)
            other[starts[digit]] = order[place]
            starts[digit] += 1
        order, other = other, order
    return order
