"""Virtual scans with every trouble that the learned reliability is trained on and judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import trimesh
from numpy.typing import NDArray

from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan

EDGE = 0.99
"""Points are kept within this cube, which the solver fills."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is wrong with a scan; lengths in the unit frame, shares of the points.

    Attributes:
        count: points.
        noise: standard deviation on each coordinate of every point of the surface.
        uniform: share that lies anywhere in the bounding box, as `virtual_scan` has it; normals at random.
        clustered: share that lies in up to eight clumps of normally spread points near the shape.
        displaced: share moved along its normal by 0.03 to 0.15 either way; it keeps the normal.
        uneven: how far density falls across the scan; 1 is a factor of about seven.
        views: places it is seen from; None sees all sides.
        normals: whether the scan keeps its normals.
    """

    count: int = 5000
    noise: float = 0.0
    uniform: float = 0.0
    clustered: float = 0.0
    displaced: float = 0.0
    uneven: float = 0.0
    views: int | None = None
    normals: bool = True


def drawn_trouble(rng: np.random.Generator) -> Trouble:
    """A trouble at random: noise to 0.02, up to 20 % strays of one to three kinds, one scan of five without any."""
    shares = rng.uniform(0.0, 0.2) * rng.dirichlet([0.6, 0.6, 0.6]) * (rng.random() > 0.2)
    return Trouble(
        count=int(np.exp(rng.uniform(np.log(1500), np.log(10_000)))),
        noise=float(rng.choice([0.0, rng.uniform(0.0, 0.005), rng.uniform(0.0, 0.02)])),
        uniform=shares[0],
        clustered=shares[1],
        displaced=shares[2],
        uneven=float(rng.choice([0.0, rng.uniform(0.0, 1.5)])),
        views=int(rng.choice([1, 2, 3])) if rng.random() < 0.3 else None,
        normals=bool(rng.random() < 0.5),
    )


def troubled_scan(mesh: trimesh.Trimesh, trouble: Trouble, seed: int) -> Scan:
    """Scan a mesh that lies in the unit frame, troubles and all; its points are in no order."""
    rng = np.random.default_rng(seed)
    count = trouble.count
    draw = count if not trouble.uneven else 4 * count
    clean = virtual_scan(mesh, count=draw, views=trouble.views, seed=int(rng.integers(2**31)))
    if trouble.uneven:
        way = rng.normal(size=3)
        chance = np.exp(trouble.uneven * clean.points @ (way / np.linalg.norm(way)))
        chosen = rng.choice(draw, count, replace=False, p=chance / chance.sum())
        assert clean.normals is not None
        clean = replace(clean, points=clean.points[chosen], normals=clean.normals[chosen])
    return with_strays(clean, trouble, rng)


def with_strays(clean: Scan, trouble: Trouble, rng: np.random.Generator) -> Scan:
    """Noise and strays for a scan with normals in the unit frame; its number of points stays as it is."""
    assert clean.normals is not None
    count, surface, normals = len(clean), clean.points, clean.normals.copy()
    points = surface + rng.normal(size=surface.shape) * trouble.noise
    low, high = surface.min(0), surface.max(0)
    order = rng.permutation(count)
    bounds = np.cumsum(
        [0, *(round(count * share) for share in (trouble.uniform, trouble.clustered, trouble.displaced))]
    )
    spread, clumped, moved = (order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True))
    points[spread] = (low + high) / 2 + rng.uniform(-0.55, 0.55, (len(spread), 3)) * (high - low)
    normals[spread] = _directions(len(spread), rng)
    if len(clumped):
        points[clumped], normals[clumped] = _clumps(surface, normals, len(clumped), rng)
    way = rng.choice([-1.0, 1.0], len(moved)) * rng.uniform(0.03, 0.15, len(moved))
    points[moved] += way[:, None] * normals[moved]
    points = np.clip(points, -EDGE, EDGE)
    return replace(clean, points=points, normals=normals if trouble.normals else None)


def _clumps(
    surface: NDArray[np.float64], normals: NDArray[np.float64], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (count, 3) in clumps, each beside a place of the surface, and normals: outward from it, or at random."""
    number = int(rng.integers(1, 9))
    which = rng.integers(0, number, count)
    seeds = rng.integers(0, len(surface), number)
    side = rng.choice([-1.0, 1.0], (number, 1)) * rng.uniform(0.0, 0.3, (number, 1))
    middles = surface[seeds] + side * normals[seeds]
    sizes = np.exp(rng.uniform(np.log(0.01), np.log(0.06), (number, 1))) * rng.uniform(0.3, 1.0, (number, 3))
    offsets = rng.normal(size=(count, 3)) * sizes[which]
    outward = offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)
    radial = (rng.random(number) < 0.5)[which][:, None]
    return middles[which] + offsets, np.where(radial, outward, _directions(count, rng))


def _directions(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    ways = rng.normal(size=(count, 3))
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)
