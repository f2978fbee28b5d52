"""Scans of a mesh as a sensor would take them."""

from __future__ import annotations

import igl
import numpy as np
import trimesh
from numpy.typing import NDArray

from .mesh import surface_samples
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
        The scan, with the surface's normals (random ones at outliers) and, for one view, the sensor's place.

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
        points, normals = _visible_samples(mesh, count, sensors, rng)
        sensor = sensors[0] if views == 1 else None
    points = points + rng.normal(size=points.shape) * noise
    strays = rng.permutation(count)[: round(outliers * count)]
    points[strays] = center + rng.uniform(-0.55, 0.55, (len(strays), 3)) * (high - low)
    wild = rng.normal(size=(len(strays), 3))
    normals[strays] = wild / np.linalg.norm(wild, axis=1, keepdims=True)
    return Scan(points, normals, sensor, name="virtual scan")


def _visible_samples(mesh: trimesh.Trimesh, count: int, sensors: NDArray[np.float64], rng: np.random.Generator):
    """Surface samples (count, 3) and normals that at least one of the sensors (k, 3) sees."""
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    # libigl's ray test drops triangles with edges near 1e-3 and below, so the mesh is made large first.
    center, factor = (low + high) / 2, 1e4 / float(np.linalg.norm(high - low))
    vertices = np.ascontiguousarray((np.asarray(mesh.vertices, dtype=np.float64) - center) * factor)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    tree = igl.AABB()
    tree.init(vertices, faces)
    eyes = (sensors - center) * factor
    seen_points, seen_normals, found = [], [], 0
    for _ in range(50):
        points, normals = surface_samples(mesh, max(2 * count, 1000), rng)
        local = (points - center) * factor
        seen = np.zeros(len(points), dtype=bool)
        for eye in eyes:
            rays = eye - local
            facing = np.flatnonzero(~seen & (np.einsum("md,md->m", rays, normals) > 0))
            # Starting a little above the surface keeps a point from hiding itself.
            starts = local[facing] + 1e-2 * normals[facing]
            hit, _, _ = tree.intersect_ray_first(vertices, faces, starts, np.ascontiguousarray(rays[facing]))
            seen[facing[np.asarray(hit) < 0]] = True
        seen_points.append(points[seen])
        seen_normals.append(normals[seen])
        found += int(seen.sum())
        if found >= count:
            return np.concatenate(seen_points)[:count], np.concatenate(seen_normals)[:count]
    raise ValueError(f"only {found} of {count} points are visible from the sensors; is the mesh inside out?")
