"""Soft constraints of a solve away from the points: a prior, a constrained prior, or the border of the cube."""

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
from .linear_system import Misfit, PointEvaluation


def evaluate_prior(prior: SDF, points: Array) -> Array:
    """Value and slopes of a prior at points (N, 3), as (4 N,) in the order of a `PointEvaluation`.

    Raises:
        ValueError: the prior is not finite there.
    """
    blocks = [Jet(prior, torch.from_numpy(part).float()) for part in np.array_split(points, len(points) // 65536 + 1)]
    values = torch.cat([jet.value.detach() for jet in blocks])
    slopes = torch.cat([jet.gradient.detach() for jet in blocks])
    result = torch.cat([values, slopes.T.reshape(-1)]).cpu().numpy().astype(np.float64)
    if not np.isfinite(result).all():
        raise ValueError("the prior is not finite at the points")
    return result


def border_misfit(stack: Stack, points: Array, weight: float) -> Misfit:
    """Squares that pull the outermost cells of the lattice over the cube to their distance from points (N, 3)."""
    level = stack.levels[0]
    centres = cell_centres(level.cells, dtype=torch.float64).numpy()
    centres = centres[np.abs(centres).max(1) > 1.0 - level.width]
    distance = np.asarray(KDTree(points).query(centres)[0])
    weights = np.where(distance > 3 * level.width, weight / len(centres), 0.0)
    return Misfit(PointEvaluation(stack.levels, centres, slopes=False), weights, distance)


def fixed_misfit(stack: Stack, points: Array, position: float, normal: float, share: float) -> Misfit:
    """Squares that pull value and slopes of a correction to zero at points (K, 3), weighted like those of the scan."""
    count = len(points)
    weights = np.repeat([position * share / stack.levels[-1].width ** 2, normal * share], [count, 3 * count])
    return Misfit(PointEvaluation(stack.levels, points, slopes=True), weights, np.zeros(4 * count))


@dataclass(frozen=True, eq=False)
class Anchors:
    """Centres of cells away from the points, at which a correction is pulled to targets.

    Attributes:
        points: (K, 3).
        weights: (K,) from 0 to 1, rising with the distance from the points.
        targets: (K,) of the correction.
    """

    points: Array
    weights: Array
    targets: Array

    @staticmethod
    def around(level: Level, points: Array, reach: float, prior: SDF, held: SDF | None) -> Anchors:
        """Anchors of a prior: at distance d from points (N, 3), of weight clip(d / reach - 1, 0, 1)^2.

        Raises:
            ValueError: a field is not finite there.
        """
        centres = cell_centres(level.cells, dtype=torch.float64).numpy()
        weights = np.clip(np.asarray(KDTree(points).query(centres)[0]) / reach - 1.0, 0.0, 1.0) ** 2
        centres, weights = centres[weights > 0], weights[weights > 0]
        targets = np.zeros(len(centres))
        if held is not None and len(centres):
            queries = torch.from_numpy(centres).float()
            targets = (evaluate(held, queries) - evaluate(prior, queries)).cpu().numpy().astype(np.float64)
            if not np.isfinite(targets).all():
                raise ValueError("the prior, or what it is held to, is not finite away from the points")
        return Anchors(centres, weights, targets)

    def misfit(self, stack: Stack, firmness: float) -> Misfit:
        """Their squares, weighted for the finest level of a stack."""
        # One cell of empty space counts like the share of the surface that one cell holds, so the anchor is as firm
        # as the points a reach away from them.
        weights = firmness * self.weights * stack.levels[0].width ** 2 / stack.levels[-1].width ** 2
        return Misfit(PointEvaluation(stack.levels, self.points, slopes=False), weights, self.targets)
