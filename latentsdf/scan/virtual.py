"""Virtual scans of a mesh, with noise, partial views and outliers."""

from __future__ import annotations

import igl
import numpy as np
import trimesh

from ..core.arrays import Array
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
    """Sample the surface of a mesh as a sensor would, from all sides or from a few, with noise and outliers.

    Args:
        mesh: oriented outward.
        count: points (M).
        noise: standard deviation of the normal noise on each coordinate, in units of the mesh.
        views: None samples the whole surface; k what is visible from k random sensors on a sphere around the mesh,
            three times as wide as its bounding sphere.
        outliers: share of the points, uniform in the bounding box made one tenth larger.
        seed: of everything random.

    Returns:
        The scan in units of the mesh, with the surface's normals (random ones at outliers) and, for views, the sensor:
        of the one view, or of each point.

    Raises:
        ValueError: a number out of its range, or nothing is visible.
    """
    if count < 1 or not noise >= 0 or not 0 <= outliers <= 1 or (views is not None and views < 1):
        raise ValueError(
            "a virtual scan needs count >= 1, noise >= 0, 0 <= outliers <= 1 and views None or >= 1, "
            f"got {count=}, {noise=}, {outliers=}, {views=}"
        )
    generator = np.random.default_rng(seed)
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    center, diagonal = (low + high) / 2, float(np.linalg.norm(high - low))
    sensor = None
    if views is None:
        points, normals = surface_samples(mesh, count, generator)
    else:
        directions = generator.normal(size=(views, 3))
        sensors = center + 1.5 * diagonal * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        points, normals, views_of = _visible_samples(mesh, count, sensors, generator)
        sensor = sensors[0] if views == 1 else sensors[views_of]
    points = points + generator.normal(size=points.shape) * noise
    rows = generator.permutation(count)[: round(outliers * count)]
    points[rows] = center + generator.uniform(-0.55, 0.55, (len(rows), 3)) * (high - low)
    directions = generator.normal(size=(len(rows), 3))
    normals[rows] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return Scan(points, normals, sensor, name="virtual scan")


def _visible_samples(mesh: trimesh.Trimesh, count: int, sensors: Array, generator: np.random.Generator):
    """Surface samples (count, 3) visible from at least one of the sensors (k, 3), their normals, and whose (count,).

    Samples that several sensors see are given to one of them at random, so that each view covers all that it sees.
    """
    low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
    # libigl's ray test drops triangles with edges near 1e-3 and below, so the mesh is enlarged first.
    center, factor = (low + high) / 2, 1e4 / float(np.linalg.norm(high - low))
    vertices = np.ascontiguousarray((np.asarray(mesh.vertices, dtype=np.float64) - center) * factor)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    tree, view_rng = igl.AABB(), np.random.default_rng(0)
    tree.init(vertices, faces)
    origins = (sensors - center) * factor
    parts, visible = [], 0
    for _ in range(50):
        points, normals = surface_samples(mesh, max(2 * count, 1000), generator)
        local = (points - center) * factor
        seen = np.zeros((len(points), len(origins)), dtype=bool)
        for number, origin in enumerate(origins):
            rays = origin - local
            facing = np.flatnonzero(np.einsum("md,md->m", rays, normals) > 0)
            # Starting a little above the surface keeps a point from hiding itself.
            starts = local[facing] + 1e-2 * normals[facing]
            hit, _, _ = tree.intersect_ray_first(vertices, faces, starts, np.ascontiguousarray(rays[facing]))
            seen[facing[np.asarray(hit) < 0], number] = True
        any_view = seen.any(1)
        views_of = (seen[any_view] * (1.0 - view_rng.random((int(any_view.sum()), len(origins))))).argmax(1)
        parts.append((points[any_view], normals[any_view], views_of))
        visible += len(views_of)
        if visible >= count:
            return tuple(np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    raise ValueError(f"only {visible} of {count} points are visible from the sensors; is the mesh inside out?")
