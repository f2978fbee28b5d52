"""What holds the field where there are no points: a prior, what is known better than it, or the border of the cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..core.field import SDF, Jet, evaluate
from ..core.lattice import cell_centres
from .bspline import Level
from .levels import Stack
from .linear_system import Misfit, Reading


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
    middles = cell_centres(level.cells, dtype=torch.float64).numpy()
    middles = middles[np.abs(middles).max(1) > 1.0 - level.width]
    distance = np.asarray(KDTree(points).query(middles)[0])
    weights = np.where(distance > 3 * level.width, weight / len(middles), 0.0)
    return Misfit(Reading(stack.levels, middles, slopes=False), weights, distance)


def fixed_squares(stack: Stack, places: Array, position: float, normal: float, share: float) -> Misfit:
    """Squares that hold value and slopes of a correction to zero at places (K, 3), each weighed as a point is."""
    count = len(places)
    weights = np.repeat([position * share / stack.levels[-1].width ** 2, normal * share], [count, 3 * count])
    return Misfit(Reading(stack.levels, places, slopes=True), weights, np.zeros(4 * count))


@dataclass(frozen=True, eq=False)
class Anchors:
    """Where a correction is held: middles of the whole lattice's cells away from the points.

    Attributes:
        places: (K, 3).
        share: (K,) from 0 to 1, rising with the distance from the points.
        targets: (K,) what the correction is held to.
    """

    places: Array
    share: Array
    targets: Array

    @staticmethod
    def of(level: Level, points: Array, reach: float, prior: SDF, held: SDF | None) -> Anchors:
        """Anchors of a prior, farther than `reach` from the points; see `solve`."""
        places = cell_centres(level.cells, dtype=torch.float64).numpy()
        distance = np.asarray(KDTree(points).query(places)[0])
        share = np.clip(distance / reach - 1.0, 0.0, 1.0) ** 2
        kept = share > 0
        places, targets = places[kept], np.zeros(int(kept.sum()))
        if held is not None and len(places):
            at = torch.from_numpy(places).float()
            targets = (evaluate(held, at) - evaluate(prior, at)).cpu().numpy().astype(np.float64)
            if not np.isfinite(targets).all():
                raise ValueError("the prior, or what it is held to, is not finite away from the points")
        return Anchors(places, share[kept], targets)

    def squares(self, stack: Stack, firmness: float) -> Misfit:
        """Their squares, weighed for the finest level of a stack."""
        # One cell of empty space counts like the share of the surface that one cell holds, so the anchor is as firm
        # as the points a reach away from them.
        weights = firmness * self.share * stack.levels[0].width ** 2 / stack.levels[-1].width ** 2
        return Misfit(Reading(stack.levels, self.places, slopes=False), weights, self.targets)
