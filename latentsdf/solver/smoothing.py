"""Smoothness of a solve for points of some noise."""

from __future__ import annotations

from .galerkin import SolveConfig

STRENGTH = 0.25
"""Bending weight where noise and spacing are as large as a cell. At 5,000 points with noise 0.3 h it gives a weight of
0.1, which of 0.001 to 0.1 has the most consistent normals, at equal F; at 40,000 points, whose noise the cells average
already, a weight of 0.05 would round details."""


def noise_bending(noise: float, spacing: float, width: float) -> float:
    """Weight `SolveConfig.bending` for noisy points, max(b, STRENGTH (noise / h)^2 (spacing / h)^2).

    b is the weight for exact points. The number of points in a cell is proportional to (h / spacing)^2, so the weight
    is proportional to the variance of their mean.

    Args:
        noise: standard deviation of the points across the surface, unit frame.
        spacing: median distance to the sixth neighbour.
        width: h of the finest cells.
    """
    return max(SolveConfig.bending, STRENGTH * (noise * spacing / width**2) ** 2)
