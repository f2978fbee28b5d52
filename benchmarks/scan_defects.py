"""Virtual scans with the defects that the learned reliability is trained and evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import trimesh

from latentsdf.core.arrays import Array
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan

EDGE = 0.99
"""Points are clamped to the cube [-EDGE, EDGE]^3, inside that of the solver."""


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Defects of a scan; lengths in the unit frame, shares of the points.

    Attributes:
        count: points.
        noise: standard deviation on each coordinate of every point of the surface.
        uniform: share of outliers uniform in the bounding box, as of `virtual_scan`; random normals.
        clustered: share of outliers in up to eight Gaussian clusters near the shape.
        displaced: share moved along its normal by 0.03 to 0.15 either way; it keeps the normal.
        uneven: exponent of the density across the scan; 1 is a factor of about seven.
        views: sensors; None covers all sides.
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


def random_defects(generator: np.random.Generator) -> Defects:
    """Random defects: noise to 0.02, up to 20 % outliers of one to three kinds, one scan of five without any."""
    shares = generator.uniform(0.0, 0.2) * generator.dirichlet([0.6, 0.6, 0.6]) * (generator.random() > 0.2)
    return Defects(
        count=int(np.exp(generator.uniform(np.log(1500), np.log(10_000)))),
        noise=float(generator.choice([0.0, generator.uniform(0.0, 0.005), generator.uniform(0.0, 0.02)])),
        uniform=shares[0],
        clustered=shares[1],
        displaced=shares[2],
        uneven=float(generator.choice([0.0, generator.uniform(0.0, 1.5)])),
        views=int(generator.choice([1, 2, 3])) if generator.random() < 0.3 else None,
        normals=bool(generator.random() < 0.5),
    )


def defective_scan(mesh: trimesh.Trimesh, defects: Defects, seed: int) -> Scan:
    """Scan a mesh of the unit frame with defects; the points are in no order."""
    generator = np.random.default_rng(seed)
    count = defects.count
    samples = count if not defects.uneven else 4 * count
    clean = virtual_scan(mesh, count=samples, views=defects.views, seed=int(generator.integers(2**31)))
    if defects.uneven:
        direction = generator.normal(size=3)
        density = np.exp(defects.uneven * clean.points @ (direction / np.linalg.norm(direction)))
        rows = generator.choice(samples, count, replace=False, p=density / density.sum())
        assert clean.normals is not None
        clean = replace(clean, points=clean.points[rows], normals=clean.normals[rows])
    return add_defects(clean, defects, generator)


def add_defects(clean: Scan, defects: Defects, generator: np.random.Generator) -> Scan:
    """Add noise to a scan with normals in the unit frame, and replace some of its points by outliers."""
    assert clean.normals is not None
    count, surface, normals = len(clean), clean.points, clean.normals.copy()
    points = surface + generator.normal(size=surface.shape) * defects.noise
    low, high = surface.min(0), surface.max(0)
    order = generator.permutation(count)
    bounds = np.cumsum(
        [0, *(round(count * share) for share in (defects.uniform, defects.clustered, defects.displaced))]
    )
    uniform, clustered, displaced = (order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True))
    points[uniform] = (low + high) / 2 + generator.uniform(-0.55, 0.55, (len(uniform), 3)) * (high - low)
    normals[uniform] = _directions(len(uniform), generator)
    if len(clustered):
        points[clustered], normals[clustered] = _clusters(surface, normals, len(clustered), generator)
    height = generator.choice([-1.0, 1.0], len(displaced)) * generator.uniform(0.03, 0.15, len(displaced))
    points[displaced] += height[:, None] * normals[displaced]
    points = np.clip(points, -EDGE, EDGE)
    return replace(clean, points=points, normals=normals if defects.normals else None)


def _clusters(surface: Array, normals: Array, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Points (count, 3) in clusters beside the surface, and normals: away from the centre of the cluster, or random."""
    number = int(generator.integers(1, 9))
    cluster = generator.integers(0, number, count)
    seeds = generator.integers(0, len(surface), number)
    side = generator.choice([-1.0, 1.0], (number, 1)) * generator.uniform(0.0, 0.3, (number, 1))
    centres = surface[seeds] + side * normals[seeds]
    sizes = np.exp(generator.uniform(np.log(0.01), np.log(0.06), (number, 1))) * generator.uniform(
        0.3, 1.0, (number, 3)
    )
    offsets = generator.normal(size=(count, 3)) * sizes[cluster]
    outward = offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)
    radial = (generator.random(number) < 0.5)[cluster][:, None]
    return centres[cluster] + offsets, np.where(radial, outward, _directions(count, generator))


def _directions(count: int, generator: np.random.Generator) -> Array:
    directions = generator.normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
