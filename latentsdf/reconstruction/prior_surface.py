"""Surface points of a prior, and those of them that a correction leaves in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..core.field import SDF, Jet, evaluate
from ..core.lattice import cell_centres

_CELLS = 48
"""Cells per axis of the lattice whose centres are projected on the surface."""
_NEIGHBOURS = 16
"""Scan points whose median error is the prior's error at a surface point."""


class PriorError(NamedTuple):
    """Error of a prior at the points of a scan.

    Attributes:
        points: (N, 3).
        distances: (N,) from each to the prior's surface.
    """

    points: Array
    distances: Array


def surface_points(prior: SDF, constrained: SDF, width: float) -> Array:
    """Points (K, 3) of a prior's surface in the cube, without those where its constraints move it.

    Args:
        prior: in the unit frame, with derivatives.
        constrained: the prior under the constraints of a scan (`ConstrainedPrior`); points at which it is half a width
            or more from zero are left out.
        width: of a cell; |prior| is at most a tenth of it at the points.
    """
    points = cell_centres(_CELLS)
    points = points[evaluate(prior, points).abs() < 2.0 / _CELLS]
    for _ in range(2):
        points = torch.cat([Jet(prior, part).project().detach() for part in points.split(20_000)])
    surface = points[(points.abs() <= 1).all(1) & (evaluate(prior, points).abs() < 0.1 * width)]
    return surface[evaluate(constrained, surface).abs() < 0.5 * width].double().cpu().numpy()


def fixed_surface(surface: Array, error: PriorError, reach: float, width: float) -> Array:
    """Surface points (K, 3) of a prior at which a correction is held to zero.

    A point is free within r = clip(3 e, 2 width, max(reach, 2 width)) of the scan, with e the median error of the prior
    at the nearest scan points, and fixed beyond: where the prior is right at the scan it is right beside it, and where
    it is not its surface must be free to follow the scan.

    Args:
        surface: (N, 3), from `surface_points`.
        error: of the prior at the scan's points.
        reach: the largest r, in the unit frame.
        width: of a cell of the correction.
    """
    distance, nearest = (np.asarray(part) for part in KDTree(error.points).query(surface, _NEIGHBOURS))
    radius = np.clip(3.0 * np.median(error.distances[nearest], 1), 2.0 * width, max(reach, 2.0 * width))
    return surface[distance[:, 0] > radius]
