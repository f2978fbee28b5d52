"""Search records of views: what a shape shows to twelve distant sensors, for finding it by a partial scan."""

from __future__ import annotations

from typing import Any

import igl
import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array, Mask
from .record import POINTS, record_of_points, unit_records
from .surface_sampling import surface_samples

ViewRecords = NDArray[np.int8]
VIEWS = 12
"""Directions to the vertices of an icosahedron."""
NUMBERS = 48
"""Leading numbers of a record that a view keeps: 20 views of 48 find single views as well as 12 of 128."""
STEP = 0.08
"""Of the numbers of a view, whose vector has length one; half of it loses nothing measurable."""
PAIRS = 20_000
"""Pairs of points for the record of a view, see `pair_statistics`."""
_FEWEST = 50
"""Visible points of a view that is described."""


def view_records(mesh: trimesh.Trimesh, seed: int = 0) -> ViewRecords:
    """Compute the records (12, 48) of the parts of a mesh that are visible from twelve directions.

    Args:
        mesh: with outward faces, in any units; views depend on its pose, each record does not.
        seed: of the surface samples.

    Returns:
        Leading numbers of unit records in units of `STEP`; zeros for a direction that sees next to nothing.

    Raises:
        ValueError: the mesh has no area.
    """
    points, normals = surface_samples(mesh, POINTS, seed)
    records = np.zeros((VIEWS, NUMBERS), dtype=np.int8)
    for view, visible in enumerate(_visible(mesh, points, normals)):
        if visible.sum() >= _FEWEST:
            record = record_of_points(points[visible], normals[visible], seed, PAIRS)
            records[view] = np.rint(leading_numbers(record) / STEP)
    return records


def leading_numbers(records: NDArray[Any]) -> Array:
    """Vectors (48,) or (S, 48) of length one of the leading numbers of records (128,) or (S, 128)."""
    values = unit_records(records, np.float64)[:, :NUMBERS].reshape(*records.shape[:-1], NUMBERS)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def directions() -> Array:
    """Unit vectors (12, 3) towards the vertices of an icosahedron."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([[0.0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, turn, axis=1) for turn in range(3)])
    return corners / np.linalg.norm(corners[0])


def _visible(mesh: trimesh.Trimesh, points: Array, normals: Array) -> list[Mask]:
    """Which surface points (M, 3) face each direction with nothing before them."""
    # libigl's ray test drops triangles with edges near 1e-3 and below, so the mesh is enlarged first.
    low, high = points.min(0), points.max(0)
    factor = 1e4 / float(np.linalg.norm(high - low))
    vertices = np.ascontiguousarray((np.asarray(mesh.vertices, dtype=np.float64) - low) * factor)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    tree, visible = igl.AABB(), []
    tree.init(vertices, faces)
    for direction in directions():
        facing = np.flatnonzero(normals @ direction > 0)
        # Starting a little above the surface keeps a point from hiding itself.
        starts = (points[facing] - low) * factor + 1e-2 * normals[facing]
        rays = np.ascontiguousarray(np.broadcast_to(direction, starts.shape))
        hit = np.asarray(tree.intersect_ray_first(vertices, faces, starts, rays)[0])
        mask = np.zeros(len(points), dtype=bool)
        mask[facing[hit < 0]] = True
        visible.append(mask)
    return visible
