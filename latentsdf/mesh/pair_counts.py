"""Counts of the relations of pairs of oriented points, compiled with Numba."""

from __future__ import annotations

import numpy as np

from ..core.compiled import compiled_exactly


@compiled_exactly
def count_pairs(points, normals, first, second, bins, angles, factor, counts):
    """Count pairs by distance and angles, in single precision, bit for bit as `pair_statistics` does with NumPy.

    Args:
        points, normals: (M, 3) float32.
        first, second: (P,) rows of each pair.
        bins, angles: numbers of bins of a distance and of a cosine.
        factor: float32, bins over the largest distance.
        counts: (bins * angles^3,) int64, gets the counts.
    """
    one, half = np.float32(1.0), np.float32(angles / 2)
    for pair in range(len(first)):
        p, q = points[first[pair]], points[second[pair]]
        m, n = normals[first[pair]], normals[second[pair]]
        x, y, z = q[0] - p[0], q[1] - p[1], q[2] - p[2]
        distance = np.sqrt(x * x + y * y + z * z)
        divisor = max(distance, np.float32(1e-9))
        x, y, z = x / divisor, y / divisor, z / divisor
        a = m[0] * x + m[1] * y + m[2] * z
        b = -(n[0] * x + n[1] * y + n[2] * z)
        c = m[0] * n[0] + m[1] * n[1] + m[2] * n[2]
        index = _bin(distance * factor, bins)
        index = index * angles + _bin((min(a, b) + one) * half, angles)
        index = index * angles + _bin((max(a, b) + one) * half, angles)
        index = index * angles + _bin((c + one) * half, angles)
        counts[index] += 1


@compiled_exactly
def _bin(place, count):
    return int(min(max(place, np.float32(0.0)), np.float32(count - 1)))
