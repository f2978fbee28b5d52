"""Free space along sensor rays: the segment from the sensor to a scan point lies outside."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm


class RayPoints(NamedTuple):
    """Points (R, 3) between sensor and surface, and their distances (R,) to the ends of their rays, the scan points."""

    points: Tensor
    depth: Tensor


def free_space(value: Tensor, depth: Tensor, *, slack: float = 0.0) -> Tensor:
    """Violation of the bounds 0 <= u <= depth along sensor rays.

    Source: this library's; visibility gives the lower bound, and every scan point bounds a distance from above.

    Args:
        value: (R,) signed distances at points on rays.
        depth: (R,) distances of these points to the scan points that end the rays, in units of length.
        slack: tolerance of either bound, in units of length; about the noise of the scan.

    Returns:
        Mean of max(0, -value - slack) + max(0, value - depth - slack), a scalar in units of length.

    Raises:
        ValueError: slack is negative.
    """
    if not slack >= 0:
        raise ValueError(f"the slack of free_space must not be negative, got {slack}")
    return ((-value - slack).clamp_min(0) + (value - depth - slack).clamp_min(0)).mean()


def ray_points(
    points: Tensor, sensor: Tensor, *, count: int, reach: float = 0.5, generator: torch.Generator | None = None
) -> RayPoints:
    """Sample points on the rays from a sensor to scan points, near the scan points.

    Args:
        points: (M, 3) scan points.
        sensor: (3,) position of the sensor, or (M, 3) one for each point, in the same frame.
        count: number of points (R).
        reach: largest distance from a scan point, in units of length; keep the points within the working cube.
        generator: of the sampling; None is torch's own.

    Returns:
        Points uniform along the last `reach` of rays sampled at random, and their distances to the scan points.

    Raises:
        ValueError: no scan point, a count below 1, or a reach that is not positive.
    """
    if not len(points) or count < 1 or not reach > 0:
        raise ValueError(f"rays need scan points, count >= 1 and reach > 0, got {len(points)}, {count} and {reach}")
    rows = torch.randint(len(points), (count,), generator=generator, device=points.device)
    ends = points[rows]
    to_sensor = (sensor if sensor.ndim == 1 else sensor[rows]) - ends
    length = vector_norm(to_sensor, dim=-1)
    fraction = torch.rand(count, generator=generator, device=points.device, dtype=points.dtype)
    depth = fraction * length.clamp_max(reach)
    direction = to_sensor / length.clamp_min(torch.finfo(points.dtype).tiny)[:, None]
    return RayPoints(ends + depth[:, None] * direction, depth)
