"""Search records of stored shapes: the record of the whole, then those of its views, in one row of bytes.

A record is kept compact: the whole has numbers up to `WHOLE_LEVELS`, and views that look alike are merged into one, at
most `DISTINCT_VIEWS`. `docs/benchmarks.md` says what retrieval loses by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array, Mask
from .distance import MeshSDF
from .record import RECORD_BYTES, Record, record_of_mesh
from .view_records import NUMBERS, STEP, VIEWS, ViewRecords, view_records

SearchRecord = NDArray[np.int8]
SEARCH_BYTES = RECORD_BYTES + VIEWS * NUMBERS
WHOLE_LEVELS = 15
"""Largest magnitude of a number of the whole."""
DISTINCT_VIEWS = 5
"""Views that a compact record holds at most; the rows behind them are zero."""
_ALIKE = 0.1
"""Loss of length of the sum of views, up to which two groups of them become one."""


def search_record(mesh: trimesh.Trimesh, seed: int = 0, sdf: MeshSDF | None = None) -> SearchRecord:
    """Compute the record (704,) by which a mesh with outward faces is found, in any units and pose.

    Args:
        mesh: with outward faces.
        seed: of the surface samples.
        sdf: signed distance of the mesh in any units and place, not rotated; None builds it.

    Raises:
        ValueError: the mesh has no area.
    """
    return compact_record(np.concatenate([record_of_mesh(mesh, seed), view_records(mesh, seed, sdf).ravel()]))


def compact_record(record: SearchRecord) -> SearchRecord:
    """The compact form (704,) of a search record, which is itself compact already."""
    out = record.copy()
    whole = out[:RECORD_BYTES].astype(np.float64)
    if np.abs(whole).max(initial=0) > WHOLE_LEVELS:
        out[:RECORD_BYTES] = np.rint(whole * (WHOLE_LEVELS / np.abs(whole).max()))
    seen: Mask = np.any(view_part(record), axis=1)
    if seen.sum() > DISTINCT_VIEWS or not seen[: seen.sum()].all():
        merged = _merged(view_part(record)[seen].astype(np.float64))
        out[RECORD_BYTES:] = 0
        view_part(out)[: len(merged)] = np.rint(merged / STEP)
    return out


def _merged(views: Array) -> Array:
    """Unit vectors (K, 48) of groups of views (V, 48): the two are merged whose sum loses the least length (Ward)."""
    groups = list(views / np.linalg.norm(views, axis=1, keepdims=True))
    while len(groups) > 1:
        sums = np.stack(groups)
        lengths = np.linalg.norm(sums, axis=1)
        loss = lengths[:, None] + lengths - np.linalg.norm(sums[:, None] + sums, axis=2)
        loss[np.tril_indices(len(sums))] = np.inf
        first, second = np.unravel_index(int(loss.argmin()), loss.shape)
        if loss[first, second] > _ALIKE and len(groups) <= DISTINCT_VIEWS:
            break
        groups[first] = groups[first] + groups.pop(second)
    return np.stack([group / max(np.linalg.norm(group), 1e-12) for group in groups])


def whole_part(record: SearchRecord) -> Record:
    """The record (128,) of the whole shape."""
    return record[:RECORD_BYTES]


def view_part(record: SearchRecord) -> ViewRecords:
    """The records (12, 48) of its views."""
    return record[RECORD_BYTES:].reshape(VIEWS, NUMBERS)


def unit_views(record: SearchRecord) -> Array:
    """Vectors (K, 48) of length one of the views that see anything."""
    views = view_part(record).astype(np.float64)
    views = views[views.any(1)]
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
