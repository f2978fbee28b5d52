"""What every fit to a scan does first: fewer points where there are too many, none twice, no strays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from .reliability import learned_weights
from .scan import Scan

_RANK = 8
_LOOKED_AT = 30_000
_USUAL, _AWAY = 3.0, 0.5
"""Points with so much of the scan's diagonal between them and their neighbours do not belong to it, however few."""
STRAY, MANY = 0.3, 0.01
"""Reliability below which a point looks like a stray, and the share of such points from which on they are believed to
be some. Fewer are more often the only points of a part that was hardly seen, and there each of them counts."""


def outlier_fraction(scan: Scan, seed: int = 0) -> float:
    """Share of the points that look like strays (`solver.learned_weights`); 0 where it is too small to believe it."""
    some = scan.subsampled(_LOOKED_AT, seed)
    share = float((learned_weights(some.points, some.normals) < STRAY).mean())
    return share if share > MANY else 0.0


def remove_outliers(scan: Scan, most: int, outliers: float, least: int, seed: int = 0) -> Scan:
    """The scan with at most so many points, each once and in a fixed order, and without points far from all others.

    Args:
        scan: as loaded.
        most: points kept; a larger scan is subsampled.
        outliers: of a scan with strays (`stray_share`), points are dropped where the neighbour of rank 8 is farther
            than this many times the usual; 0 keeps them, as does a scan of which fewer than `least` would be left.
            Points half the scan's diagonal away from all others (a camera's invalid ones at the origin) always go.
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
        reach = _to_neighbours(scan)
        core = scan.points[reach <= _USUAL * np.median(reach)]
        near = np.flatnonzero(reach <= _AWAY * np.linalg.norm(np.ptp(core, axis=0)))
        if least <= len(near) < len(scan):
            notes.append(f"{len(scan) - len(near):,} of {len(scan):,} points dropped: far away from the scan")
            scan = scan.select(near)
    if outliers and len(scan) > _RANK:
        reach = _to_neighbours(scan)
        kept = np.flatnonzero(reach <= outliers * np.median(reach))
        if least <= len(kept) < len(scan) and outlier_fraction(scan, seed):
            notes.append(f"{len(scan) - len(kept):,} of {len(scan):,} points dropped: far from all others")
            scan = scan.select(kept)
    return replace(scan, notes=tuple(notes))


def _to_neighbours(scan: Scan) -> np.ndarray:
    """Distances (M,) to the neighbours of rank 8."""
    return np.asarray(KDTree(scan.points).query(scan.points, _RANK + 1)[0])[:, -1]


def require_solid(scan: Scan) -> Scan:
    """The scan as it is.

    Raises:
        ValueError: all its points lie in one plane or on one line, so that they bound no solid.
    """
    extent = np.linalg.svd(scan.points - scan.points.mean(0), compute_uv=False)
    if not extent[2] > 1e-4 * extent[0]:
        shape = "on one line" if not extent[1] > 1e-4 * extent[0] else "in one plane"
        label = scan.name or "scan"
        raise ValueError(f"{label}: all points lie {shape}, so they bound no solid; scan it from more sides")
    return scan
