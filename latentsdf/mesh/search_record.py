"""Search records of stored shapes: the record of the whole, then those of its views, in one row of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array
from .distance import MeshSDF
from .record import RECORD_BYTES, Record, record_of_mesh
from .view_records import NUMBERS, VIEWS, ViewRecords, leading_numbers, view_records

SearchRecord = NDArray[np.int8]
SEARCH_BYTES = RECORD_BYTES + VIEWS * NUMBERS


def search_record(mesh: trimesh.Trimesh, seed: int = 0, sdf: MeshSDF | None = None) -> SearchRecord:
    """Compute the record (704,) by which a mesh with outward faces is found, in any units and pose.

    Args:
        mesh: with outward faces.
        seed: of the surface samples.
        sdf: signed distance of the mesh in any units and place, not rotated; None builds it.

    Raises:
        ValueError: the mesh has no area.
    """
    return np.concatenate([record_of_mesh(mesh, seed), view_records(mesh, seed, sdf).ravel()])


def whole_part(record: SearchRecord) -> Record:
    """The record (128,) of the whole shape."""
    return record[:RECORD_BYTES]


def view_part(record: SearchRecord) -> ViewRecords:
    """The records (12, 48) of its views."""
    return record[RECORD_BYTES:].reshape(VIEWS, NUMBERS)


def unit_views(record: SearchRecord) -> Array:
    """Vectors (12, 48) of length one of the views; that of the whole for a view that sees nothing."""
    views = view_part(record).astype(np.float64)
    views[~views.any(1)] = leading_numbers(whole_part(record))
    return views / np.linalg.norm(views, axis=1, keepdims=True)


def stored_search_record(values: NDArray[Any] | None) -> SearchRecord | None:
    """The search record (704,) that a file holds; None where it holds none, or zeros.

    Raises:
        TypeError: it is not SEARCH_BYTES numbers of type int8.
    """
    if values is None or not np.any(values):
        return None
    if values.shape != (SEARCH_BYTES,) or values.dtype != np.int8:
        raise TypeError(f"a search record is {SEARCH_BYTES} int8 numbers, not {values.shape} of {values.dtype}")
    return values
