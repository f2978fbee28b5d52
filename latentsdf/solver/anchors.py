"""What holds the field where there are no points: a prior, or the border of the cube."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree

from latentsdf.field import SDF, Jet

from .bspline import Array
from .stack import Stack
from .system import Misfit, Reading


def prior_at(prior: SDF, points: Array) -> Array:
    """Value and slopes of the prior at the points, (4 N,), in the order of a `Reading`."""
    blocks = [Jet(prior, torch.from_numpy(part).float()) for part in np.array_split(points, len(points) // 65536 + 1)]
    values = torch.cat([jet.value.detach() for jet in blocks])
    slopes = torch.cat([jet.gradient.detach() for jet in blocks])
    result = torch.cat([values, slopes.T.reshape(-1)]).cpu().numpy().astype(np.float64)
    if not np.isfinite(result).all():
        raise ValueError("the prior is not finite at the points")
    return result


def border_squares(stack: Stack, points: Array, weight: float) -> Misfit:
    """Squares that pull the outermost cells of the whole lattice to their distance from the points."""
    level = stack.levels[0]
    cells = np.stack(np.unravel_index(np.arange(level.cells**3), (level.cells,) * 3), 1)
    middles = (cells[((cells == 0) | (cells == level.cells - 1)).any(1)] + 0.5) * level.width - 1.0
    middles = np.asarray(middles, dtype=np.float64)
    distance = np.asarray(KDTree(points).query(middles)[0])
    weights = np.where(distance > 3 * level.width, weight / len(middles), 0.0)
    return Misfit(Reading(stack.levels, middles, slopes=False), weights, distance)


def anchor_squares(stack: Stack, points: Array, firmness: float, reach: float) -> Misfit:
    """Squares that hold the correction to zero at the middles of the whole lattice's cells, away from the points."""
    level = stack.levels[0]
    middles = (np.stack(np.unravel_index(np.arange(level.cells**3), (level.cells,) * 3), 1) + 0.5) * level.width - 1.0
    middles = np.asarray(middles, dtype=np.float64)
    distance = np.asarray(KDTree(points).query(middles)[0])
    ramp = np.clip(distance / reach - 1.0, 0.0, 1.0) ** 2
    kept = ramp > 0
    # One cell of empty space counts like the share of the surface that one cell holds, so the anchor is as firm
    # as the points a reach away from them.
    weights = firmness * ramp[kept] * level.width**2 / stack.levels[-1].width ** 2
    return Misfit(Reading(stack.levels, middles[kept], slopes=False), weights, np.zeros(len(weights)))
