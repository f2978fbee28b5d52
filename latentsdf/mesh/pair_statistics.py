"""Statistics of pairs of oriented surface points, unchanged by rotation, translation and scale."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array, Indices

Floats = NDArray[np.float32]

PAIRS = 40_000
"""Random pairs of points, and the largest number of pairs within a radius; twice as many find nothing better."""
NEAR = ((0.5, 160), (0.25, 80))
"""Radius in units of the root mean square distance from the centroid, and pairs for each point whose neighbours are
read."""
ANGLES = 7
"""Bins of a cosine; odd, so that right angles, which are common, lie inside a bin and not on its edge."""
BLOCKS = (12 * ANGLES**3, 16 * 11, *(5 * ANGLES**3 for _ in NEAR))
"""Bins of the four histograms: all pairs, single points, pairs within each radius."""
_COSINE = (-1.0, 1.0)


def pair_statistics(points: Array, normals: Array, seed: int = 0, pairs: int = PAIRS) -> Floats:
    """Histograms of distance and angles of pairs of oriented surface points, square roots of the shares.

    For points p, q with unit normals m, n and u the direction from p to q, a pair is counted by |p - q|, the lesser and
    the greater of m.u and -n.u, and m.n (Wahl, Hillenbrand and Hirzinger, "Surflet-pair-relation histograms", 2003):
    over all pairs, and over pairs within two radii. One more histogram counts single points by their distance r from
    the centroid c and n.(p - c) / r. Lengths are in units of the root mean square of r.

    Args:
        points: (M, 3), uniform by area and in random order, M >= 2, any units and pose.
        normals: (M, 3) outward unit normals.
        seed: of the choice of pairs.
        pairs: random pairs, and the largest number of pairs within a radius; fewer are faster and noisier.

    Returns:
        (sum(BLOCKS),), in the order of `BLOCKS`.

    Raises:
        ValueError: fewer than two points, normals of another shape, a number that is not finite, or no extent.
    """
    if points.ndim != 2 or points.shape[1] != 3 or points.shape != normals.shape or len(points) < 2:
        raise ValueError(f"pairs need points and normals (M, 3), M >= 2, got {points.shape} and {normals.shape}")
    if not (np.isfinite(points).all() and np.isfinite(normals).all()):
        raise ValueError("pairs need finite points and normals")
    offsets = points - points.mean(0)
    scale = float(np.sqrt(np.square(offsets).sum(1).mean()))
    if not scale > 0:
        raise ValueError(f"all {len(points)} points coincide, so no pair has a distance")
    p, n = (offsets / scale).astype(np.float32), normals.astype(np.float32)
    generator = np.random.default_rng(seed)
    first = generator.integers(0, len(p), pairs)
    second = (first + generator.integers(1, len(p), pairs)) % len(p)
    radius = np.linalg.norm(p, axis=1)
    radial = np.einsum("md,md->m", p, n) / np.maximum(radius, 1e-9)
    parts = [
        _pair_shares(p, n, first, second, 12, 3.2),
        _shares((radius, radial), (16, 11), (0.0, 2.5)),
    ]
    squares = np.square(p).sum(1)
    rows = min(len(p), max(pairs // share for _, share in NEAR))
    squared = (-2 * p[:rows]) @ p.T
    squared += squares[:rows, None] + squares
    np.fill_diagonal(squared, np.inf)
    for reach, share in NEAR:
        near = squared[: pairs // share] < reach * reach
        chosen = np.flatnonzero(near)
        if len(chosen) > pairs:
            chosen = chosen[generator.integers(0, len(chosen), pairs)]
        parts.append(_pair_shares(p, n, *np.divmod(chosen, len(p)), 5, reach))
    return np.concatenate(parts)


def _pair_shares(points: Floats, normals: Floats, first: Indices, second: Indices, bins: int, reach: float) -> Floats:
    """Square roots of the shares of the relations of pairs, by distances up to the reach and angles."""
    # The compiled loop gives the same; loading it takes longer than the pairs of a shape or two.
    if "numba" not in sys.modules:
        return _shares(_relations(points, normals, first, second), (bins, ANGLES, ANGLES, ANGLES), (0.0, reach))
    from .pair_counts import count_pairs

    counts = np.zeros(bins * ANGLES**3, dtype=np.int64)
    count_pairs(points, normals, first, second, bins, ANGLES, np.float32(bins / reach), counts)
    return np.sqrt(counts / max(1, len(first))).astype(np.float32)


def _relations(points: Floats, normals: Floats, first: Indices, second: Indices) -> tuple[Floats, ...]:
    """Distance, lesser and greater cosine to the connecting line, and cosine between the normals, of pairs."""
    steps = points[second] - points[first]
    distance = np.linalg.norm(steps, axis=1)
    directions = steps / np.maximum(distance, 1e-9)[:, None]
    a = np.einsum("md,md->m", normals[first], directions)
    b = -np.einsum("md,md->m", normals[second], directions)
    return distance, np.minimum(a, b), np.maximum(a, b), np.einsum("md,md->m", normals[first], normals[second])


def _shares(columns: Sequence[Floats], bins: Sequence[int], lengths: tuple[float, float]) -> Floats:
    """Square roots of the shares of a joint histogram; values beyond the ends count in the last bin."""
    index = np.zeros(len(columns[0]), dtype=np.int64)
    for number, (column, count) in enumerate(zip(columns, bins, strict=True)):
        low, high = _COSINE if number else lengths
        index = index * count + np.clip((column - low) * (count / (high - low)), 0, count - 1).astype(np.int64)
    shares = np.bincount(index, minlength=int(np.prod(bins))) / max(1, len(index))
    return np.sqrt(shares).astype(np.float32)
