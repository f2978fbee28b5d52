"""Search records of views: what a shape shows to twelve distant sensors, for finding it by a partial scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array, Mask
from .distance import MeshSDF
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


def view_records(mesh: trimesh.Trimesh, seed: int = 0, sdf: MeshSDF | None = None) -> ViewRecords:
    """Compute the records (12, 48) of the parts of a mesh that are visible from twelve directions.

    Args:
        mesh: with outward faces, in any units; views depend on its pose, each record does not.
        seed: of the surface samples.
        sdf: signed distance of the mesh in any units and place, not rotated; None builds it.

    Returns:
        Leading numbers of unit records in units of `STEP`; zeros for a direction that sees next to nothing.

    Raises:
        ValueError: the mesh has no area.
    """
    points, normals = surface_samples(mesh, POINTS, seed)
    records = np.zeros((VIEWS, NUMBERS), dtype=np.int8)
    # The rays of one mesh take libigl less time than loading the compiled hierarchy.
    sdf = MeshSDF(mesh.vertices, mesh.faces, backend="igl") if sdf is None else sdf
    for view, visible in enumerate(_visible(mesh, sdf, points, normals)):
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


def _visible(mesh: trimesh.Trimesh, sdf: MeshSDF, points: Array, normals: Array) -> list[Mask]:
    """Which surface points (M, 3) face each direction with nothing before them."""
    corners = np.asarray(mesh.vertices, dtype=np.float64)[np.ravel(mesh.faces)]
    low, high = corners.min(0), corners.max(0)
    # Starting a little above the surface keeps a point from hiding itself.
    lifted = points + 1e-6 * float(np.linalg.norm(np.ptp(points, axis=0))) * normals
    starts, _ = sdf.from_box((lifted - (low + high) / 2) / (float(np.linalg.norm(high - low)) / 2))
    visible = []
    for direction in directions():
        facing = np.flatnonzero(normals @ direction > 0)
        mask = np.zeros(len(points), dtype=bool)
        mask[facing] = ~sdf.tree.blocked(starts[facing], np.tile(direction, (len(facing), 1)))
        visible.append(mask)
    return visible
