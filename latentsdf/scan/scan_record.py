"""Search record of a scan: by it a whole or partial scan is found among the records of shapes and their views."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np

from ..core.arrays import Array
from ..mesh.record import POINTS, Record, record_of_points, unit_records
from .outliers import remove_outliers
from .scan import Scan
from .winding import CLOSED

_MOST_POINTS = 12_000
"""Points whose normals are estimated."""
_LEAST_POINTS = 50
_SPARSE = 0.9
"""Quantile of the surface around a point from which on all points are kept; denser ones are thinned to that density."""
_OUTLIER_DISTANCE = 4.0
"""Distance to the neighbour of rank 8, in medians, from which a point of a scan with outliers is dropped."""


def record_of_scan(scan: Scan, seed: int = 0) -> Record:
    """Compute the record (128,) of a scan, whole or partial, in any units and pose.

    Normals are estimated where the scan has none; they face its sensor where it has one. Points count by the surface
    around them, since a sensor sees near and facing surfaces more densely. Noise and estimated normals change a record:
    that of a closed scan is corrected by a linear map, fitted to scans of generated shapes
    (`benchmarks/train_scan_record.py`).

    Args:
        scan: as loaded.
        seed: of the choice of points and pairs.

    Raises:
        ValueError: fewer than 50 distinct points.
    """
    estimated = scan.normals is None
    scan = remove_outliers(scan, _MOST_POINTS, _OUTLIER_DISTANCE, _LEAST_POINTS, seed).with_normals(seed)
    assert scan.normals is not None
    areas = np.square(scan.neighbour_distances)
    generator = np.random.default_rng(seed)
    kept = generator.random(len(scan)) * np.quantile(areas, _SPARSE) <= areas
    rows = generator.permutation(np.flatnonzero(kept))[:POINTS]
    record = record_of_points(scan.points[rows], scan.normals[rows], seed)
    return _corrected(record) if estimated and scan.openness < CLOSED else record


def _corrected(record: Record) -> Record:
    """The record that the surface of a closed scan is expected to have, of the record of its noisy points."""
    values = unit_records(record, np.float64)[0]
    values = values + np.append(values, 1.0) @ _correction()
    return np.rint(values * (127 / float(np.abs(values).max()))).astype(np.int8)


@cache
def _correction() -> Array:
    """Matrix (129, 128) of the map, the constant in its last row."""
    with resources.files("latentsdf.scan").joinpath("scan_record.npz").open("rb") as file, np.load(file) as stored:
        return stored["correction"].astype(np.float64)
