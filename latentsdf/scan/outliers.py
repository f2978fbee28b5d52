"""Removal of repeated, excess and outlying points before a fit, and refusal of scans that bound no solid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .reliability import learned_weights
from .scan import Scan

_RANK = 8
_SAMPLE = 30_000
"""Points that the share of outliers is estimated from."""
_TYPICAL, _REMOTE = 3.0, 0.5
"""A point is remote if its neighbour of rank 8 is farther than half the diagonal of the core: the points whose own is
within three times the median."""
OUTLIER, MIN_FRACTION = 0.3, 0.01
"""Reliability below which a point looks like an outlier, and the share of such points from which on they count as some.
Fewer are more often the only points of a part that was hardly seen, and there each of them is needed."""


def outlier_fraction(scan: Scan, seed: int = 0) -> float:
    """Share of the points whose `learned_weights` are below `OUTLIER`; 0 where it is at most `MIN_FRACTION`.

    Args:
        scan: in any frame.
        seed: of the subsampling of a large scan.
    """
    sample = scan.subsampled(_SAMPLE, seed)
    share = float((learned_weights(sample.points, sample.normals) < OUTLIER).mean())
    return share if share > MIN_FRACTION else 0.0


def remove_outliers(scan: Scan, most: int, outliers: float, least: int, seed: int = 0) -> Scan:
    """Remove repeated points, points beyond a number, and points far from all others; sort the rest.

    Args:
        scan: as loaded.
        most: points kept; a larger scan is subsampled.
        outliers: of a scan with outliers (`outlier_fraction`), points are dropped where the neighbour of rank 8 is
            farther than this many times the median; 0 keeps them, as does a scan of which fewer than `least` would be
            left. Points half the scan's diagonal away from all others (a camera's invalid ones at the origin) always
            go.
        least: distinct points that a surface needs.
        seed: of the subsampling.

    Returns:
        The scan; `notes` say what was done to it.

    Raises:
        ValueError: fewer distinct points than `least`.
    """
    notes = list(scan.notes)
    if len(scan) > most:
        notes.append(f"{most:,} of {len(scan):,} points drawn at random")
        scan = scan.subsampled(most, seed)
    _, first = np.unique(scan.points, axis=0, return_index=True)
    if len(first) < len(scan):
        notes.append(f"{len(scan) - len(first):,} of {len(scan):,} points dropped: repeated")
    if len(first) < least:
        raise ValueError(
            f"{scan.name or 'scan'}: {len(first)} distinct points are too few for a surface; give at least {least}"
        )
    scan = scan.select(first)
    if len(scan) > _RANK:
        distances = _rank_distances(scan)
        core = scan.points[distances <= _TYPICAL * np.median(distances)]
        near = np.flatnonzero(distances <= _REMOTE * np.linalg.norm(np.ptp(core, axis=0)))
        if least <= len(near) < len(scan):
            notes.append(f"{len(scan) - len(near):,} of {len(scan):,} points dropped: far away from the scan")
            scan = scan.select(near)
    if outliers and len(scan) > _RANK:
        distances = _rank_distances(scan)
        inliers = np.flatnonzero(distances <= outliers * np.median(distances))
        if least <= len(inliers) < len(scan) and outlier_fraction(scan, seed):
            notes.append(f"{len(scan) - len(inliers):,} of {len(scan):,} points dropped: far from all others")
            scan = scan.select(inliers)
    return replace(scan, notes=tuple(notes))


def _rank_distances(scan: Scan) -> np.ndarray:
    """Distances (M,) to the neighbours of rank 8."""
    return np.asarray(scan.tree.query(scan.points, _RANK + 1)[0])[:, -1]


def require_solid(scan: Scan) -> Scan:
    """Refuse a scan that bounds no solid; any other is returned as it is.

    Raises:
        ValueError: all its points lie in one plane or on one line.
    """
    extent = np.linalg.svd(scan.points - scan.points.mean(0), compute_uv=False)
    if not extent[2] > 1e-4 * extent[0]:
        shape = "on one line" if not extent[1] > 1e-4 * extent[0] else "in one plane"
        label = scan.name or "scan"
        raise ValueError(f"{label}: all points lie {shape}, so they bound no solid; scan it from more sides")
    return scan
