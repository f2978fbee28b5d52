"""Search record of a scan: by it a whole or partial scan is found among the records of shapes and their views."""

from __future__ import annotations

import numpy as np

from ..mesh.record import POINTS, Record, record_of_points
from .outliers import remove_outliers
from .scan import Scan

_MOST_POINTS = 12_000
"""Points whose normals are estimated."""
_LEAST_POINTS = 50
_OUTLIER_DISTANCE = 4.0
"""Distance to the neighbour of rank 8, in medians, from which a point of a scan with outliers is dropped."""


def record_of_scan(scan: Scan, seed: int = 0) -> Record:
    """Compute the record (128,) of a scan, whole or partial, in any units and pose.

    Normals are estimated where the scan has none; they face its sensor where it has one. Points count by the surface
    around them, since a sensor sees near and facing surfaces more densely.

    Args:
        scan: as loaded.
        seed: of the choice of points and pairs.

    Raises:
        ValueError: fewer than 50 distinct points.
    """
    scan = remove_outliers(scan, _MOST_POINTS, _OUTLIER_DISTANCE, _LEAST_POINTS, seed).with_normals(seed)
    assert scan.normals is not None
    areas = np.square(scan.neighbour_distances)
    count = min(POINTS, len(scan))
    generator = np.random.default_rng(seed)
    # The rows with the largest u^(1 / weight) are a weighted sample without replacement (Efraimidis, Spirakis 2006).
    keys = np.log(generator.random(len(scan))) / np.maximum(areas, 1e-300)
    rows = generator.permutation(np.argsort(keys)[::-1][:count])
    return record_of_points(scan.points[rows], scan.normals[rows], seed)
