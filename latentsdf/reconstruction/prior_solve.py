"""Solves for a scan and a prior: a correction of the prior, or a field of the points and of parts of its surface."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..core.arrays import Array
from ..core.field import SDF
from ..scan.scan import Scan
from ..scan.symmetry import OrientedPoints
from ..solver.galerkin import SolveConfig, solve
from ..solver.soft_constraints import evaluate_prior
from ..solver.spline_field import SplineField
from .prior_surface import PriorError, fixed_surface, surface_points

_LARGEST_REACH = 0.1
"""Distance from the points, unit frame, from which on the prior counts however far it is off."""


class UnseenSurface(NamedTuple):
    """Surface of a prior away from a scan.

    Attributes:
        points: (K, 3) on it.
        share: of the whole surface.
        reach: distance from the scan's points within which the prior does not count.
    """

    points: Array
    share: float
    reach: float


def unseen_surface(scan: Scan, prior: SDF, constrained: SDF, settings: SolveConfig) -> UnseenSurface:
    """Surface of a prior that a scan did not see; the reach grows with the prior's error at the points, to at most 0.1.

    Args:
        scan: in the unit frame.
        prior: in the same frame.
        constrained: the prior under the constraints of the scan.
        settings: of the solve.
    """
    values = evaluate_prior(prior, scan.points)[: len(scan)]
    error = PriorError(scan.points, np.abs(values))
    largest = max(settings.reach, _LARGEST_REACH)
    reach = float(np.clip(np.quantile(error.distances, 0.9), settings.reach, largest))
    width = 2.0 / settings.resolution
    surface = surface_points(prior, constrained, width)
    points = fixed_surface(surface, error, reach, width)
    return UnseenSurface(points, len(points) / max(len(surface), 1), reach)


def solve_correction(
    scan: Scan, prior: SDF, constrained: SDF, unseen: UnseenSurface, settings: SolveConfig
) -> SplineField:
    """Correction of a prior by one linear solve, zero at its unseen surface.

    Args:
        scan: with normals, in the unit frame.
        prior: that is corrected.
        constrained: that it is held to away from the points.
        unseen: where the correction is zero.
        settings: of the solve.
    """
    settings = replace(settings, reach=unseen.reach)
    return solve(scan, config=settings, prior=prior, held=constrained, fixed=unseen.points).correction


def solve_alone(scan: Scan, prior: SDF, surface: Array, weights: Array, settings: SolveConfig) -> SplineField:
    """Field of the points of a scan and of the points of a prior's surface that are trusted.

    Args:
        scan: in the unit frame, with normals unless it is alone.
        prior: whose gradients are the normals of its surface.
        surface: (K, 3), none for a field of the scan alone.
        weights: (K,) of the surface's points, not negative; a point of the scan has 1.
        settings: of the solve.
    """
    rows = np.flatnonzero(weights > 0)
    if not len(rows):
        return solve(scan, config=settings).correction
    assert scan.normals is not None
    gradient = evaluate_prior(prior, surface[rows]).reshape(4, -1)[1:].T
    more = OrientedPoints(surface[rows], gradient)
    points, normals = (np.concatenate(parts) for parts in zip((scan.points, scan.normals), more, strict=True))
    # The energy divides by the number of points: one of the scan weighs as much as it would alone.
    share = np.concatenate([np.ones(len(scan)), weights[rows]]) * (len(points) / len(scan))
    return solve(points, normals, settings, weights=share).correction
