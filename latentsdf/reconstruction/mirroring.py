"""Completion of a scan of one sensor by mirror images, in planes of symmetry of a prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.field import SDF
from ..scan.scan import Scan
from ..scan.symmetry import OrientedPoints, mirror_images, symmetry_planes
from ..solver.soft_constraints import evaluate_prior
from .prior_surface import surface_points

LEAST_POINTS = 32
"""Fewer points tell no plane of symmetry."""
_SYMMETRY_WIDTH = 0.02
"""Width, unit frame, of the prior's surface in the search for planes of symmetry."""
_CORRECT = 0.01
"""Error of the prior at a point, unit frame, below which it needs no mirror image on the other side."""


def mirrored_points(inliers: Scan, prior: SDF, constrained: SDF) -> OrientedPoints:
    """Mirror images of the points at which a prior is wrong, in its planes of symmetry.

    Args:
        inliers: N points with normals and the sensor, (3,) or (N, 3), in the unit frame.
        prior: in the same frame.
        constrained: the prior under the constraints of the scan.
    """
    scan, sensor = _with_normals(inliers), inliers.sensor
    assert sensor is not None
    surface = surface_points(prior, constrained, _SYMMETRY_WIDTH)
    if min(len(surface), len(inliers)) < LEAST_POINTS:
        return scan.select(np.arange(0))
    gradient = evaluate_prior(prior, surface).reshape(4, -1)[1:].T
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    prior_points = OrientedPoints(surface, gradient / np.maximum(length, np.finfo(np.float64).tiny))
    wrong = np.abs(evaluate_prior(prior, scan.points)[: len(scan.points)]) > _CORRECT
    return mirror_images(scan, wrong, sensor, symmetry_planes(prior_points, scan, sensor))


def _with_normals(scan: Scan) -> OrientedPoints:
    assert scan.normals is not None
    return OrientedPoints(scan.points, scan.normals)


def with_points(scan: Scan, more: OrientedPoints) -> Scan:
    """A scan with normals and more points, without its sensor."""
    points, normals = (np.concatenate(parts) for parts in zip(_with_normals(scan), more, strict=True))
    return replace(scan, points=points, normals=normals, sensor=None, colors=None)
