"""The level of a decoded field whose surface encloses what the true one encloses, thin walls among it."""

from __future__ import annotations

import torch
from torch import Tensor

from .shape import Shape

GREATEST, STEP = 0.006, 0.0005
"""Largest level that is tried, and the step between levels, unit frame."""
GAIN = 0.03
"""Least that a level must gain over level 0. Shapes that lose nothing keep their surface where it is closest."""
REACH, NEAR = 0.005, 0.05
"""Distance from which on a sample outside counts in full, and samples farther off count for nothing."""


def suited_level(values: Tensor, distances: Tensor) -> float:
    """The level c that keeps most of the inside, and adds little that lies clearly outside.

    A decoder loses a wall that is thinner than its errors: the field near it is right to a few thousandths and positive
    everywhere. The level minimises the share of inside samples with f > c, plus
    the mean over outside samples at distances d of min(d / `REACH`, 1) where f < c; it is 0 unless that gains `GAIN`.

    Args:
        values: decoded field (N,) at samples near the surface.
        distances: (N,), true.

    Returns:
        From 0 to `GREATEST`; 0 where there is no sample inside or none outside.
    """
    kept = distances.abs() < NEAR
    values, distances = values[kept], distances[kept]
    inside = distances < 0
    if not inside.any() or inside.all():
        return 0.0
    levels = torch.arange(round(GREATEST / STEP) + 1, dtype=values.dtype, device=values.device) * STEP
    lost = (values[inside, None] > levels).to(values.dtype).mean(0)
    weights = (distances[~inside] / REACH).clamp_max(1.0)
    added = (weights[:, None] * (values[~inside, None] < levels)).mean(0)
    cost = lost + added
    best = int(cost.argmin())
    return float(levels[best]) if float(cost[0] - cost[best]) >= GAIN else 0.0


def with_level(shape: Shape, points: Tensor, distances: Tensor) -> Shape:
    """A shape of the code alone at its suited level.

    Args:
        shape: one with a correction is returned as it is.
        points: (N, 3) near its surface, unit frame of the shape.
        distances: (N,), true signed distances there.

    Returns:
        The shape, with an `Adjustment` as its correction unless level 0 suits it.
    """
    if shape.correction is not None:
        return shape
    with torch.no_grad():
        level = suited_level(shape.sdf(points.to(shape.code)), distances.to(shape.code))
    return shape.at_level(level)
