"""Scans of a mesh as a sensor would take them."""

from __future__ import annotations

import igl
import numpy as np
import trimesh
from numpy.typing import NDArray

from ..mesh.surface_sampling import surface_samples
from .scan import Scan


def virtual_scan(
    mesh: trimesh.Trimesh,
    *,
    count: int = 5000,
    noise: float = 0.0,
    views: int | None = None,
    outliers: float = 0.0,
    seed: int = 0,
) -> Scan:
    """Scan a mesh as a sensor would: from all sides or from a few, with noise and strays.

    Args:
        mesh: the truth, oriented outward.
        count: points (M).
        noise: standard deviation of the normal noise on each coordinate, in units of the mesh.
        views: None sees the whole surface; k sees what is visible from k random places on a sphere round the
            mesh, three times as wide as its own.
        outliers: share of the points that lie anywhere in the bounding box, made one tenth larger.
        seed: of everything random.

    Returns:
        The scan, with the surface's normals (random ones at outliers) and, for views, the sensor's place: of the
        one view, or of the one that each point was taken by.

    Raises:
        ValueError: a number out of its range, or nothing is visible.
    """
    if count < 1 or not noise >= 0 or not 0 <= outliers <= 1 or (views is not None and views < 1):
        raise ValueError(
            "a virtual scan needs count >= 1, noise >= 0, 0 <= outliers <= 1 and views None or >= 1, "
            f"got {count=}, {noise=}, {outliers=}, {views=}"
        )
    rng = np.random.default_rng(seed)
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    center, diagonal = (low + high) / 2, float(np.linalg.norm(high - low))
    sensor = None
    if views is None:
        points, normals = surface_samples(mesh, count, rng)
    else:
        directions = rng.normal(size=(views, 3))
        sensors = center + 1.5 * diagonal * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        points, normals, takers = _visible_samples(mesh, count, sensors, rng)
        sensor = sensors[0] if views == 1 else sensors[takers]
    points = points + rng.normal(size=points.shape) * noise
    strays = rng.permutation(count)[: round(outliers * count)]
    points[strays] = center + rng.uniform(-0.55, 0.55, (len(strays), 3)) * (high - low)
    wild = rng.normal(size=(len(strays), 3))
    normals[strays] = wild / np.linalg.norm(wild, axis=1, keepdims=True)
    return Scan(points, normals, sensor, name="virtual scan")


def _visible_samples(mesh: trimesh.Trimesh, count: int, sensors: NDArray[np.float64], rng: np.random.Generator):
    """Surface samples (count, 3) that at least one of the sensors (k, 3) sees, their normals, and which one took them.

    Of several that see a point one is drawn, so that each view shows all that it sees.
    """
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    # libigl's ray test drops triangles with edges near 1e-3 and below, so the mesh is made large first.
    center, factor = (low + high) / 2, 1e4 / float(np.linalg.norm(high - low))
    vertices = np.ascontiguousarray((np.asarray(mesh.vertices, dtype=np.float64) - center) * factor)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    tree, chooser = igl.AABB(), np.random.default_rng(0)
    tree.init(vertices, faces)
    eyes = (sensors - center) * factor
    parts, found = [], 0
    for _ in range(50):
        points, normals = surface_samples(mesh, max(2 * count, 1000), rng)
        local = (points - center) * factor
        seen = np.zeros((len(points), len(eyes)), dtype=bool)
        for number, eye in enumerate(eyes):
            rays = eye - local
            facing = np.flatnonzero(np.einsum("md,md->m", rays, normals) > 0)
            # Starting a little above the surface keeps a point from hiding itself.
            starts = local[facing] + 1e-2 * normals[facing]
            hit, _, _ = tree.intersect_ray_first(vertices, faces, starts, np.ascontiguousarray(rays[facing]))
            seen[facing[np.asarray(hit) < 0], number] = True
        kept = seen.any(1)
        takers = (seen[kept] * (1.0 - chooser.random((int(kept.sum()), len(eyes))))).argmax(1)
        parts.append((points[kept], normals[kept], takers))
        found += len(takers)
        if found >= count:
            return tuple(np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    raise ValueError(f"only {found} of {count} points are visible from the sensors; is the mesh inside out?")
