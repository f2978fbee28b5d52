"""What the rays of a sensor say: the way from the sensor to a scanned point is free."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm


class RayPoints(NamedTuple):
    """Points (R, 3) between sensor and surface, and the distance (R,) of each to the scan point that ends its ray."""

    points: Tensor
    depth: Tensor


def free_space(value: Tensor, depth: Tensor, *, slack: float = 0.0) -> Tensor:
    """How far the field breaks what a ray shows: outside all along, and no farther from the surface than its end.

    Source: this library's; visibility gives the lower bound, and every scan point bounds a distance from above.

    Args:
        value: (R,) signed distances at points on rays.
        depth: (R,) distances of these points to the scan points that end the rays, in units of length.
        slack: by how much either bound may be broken for nothing, in units of length; about the noise of the scan.

    Returns:
        Mean of max(0, -value - slack) + max(0, value - depth - slack), a scalar in units of length.

    Raises:
        ValueError: slack is negative.
    """
    if not slack >= 0:
        raise ValueError(f"the slack of free_space must not be negative, got {slack}")
    return ((-value - slack).clamp_min(0) + (value - depth - slack).clamp_min(0)).mean()


def ray_points(
    points: Tensor, sensor: Tensor, *, count: int, reach: float = 0.5, random: torch.Generator | None = None
) -> RayPoints:
    """Draw points on the rays from a sensor to scan points, near their ends.

    Args:
        points: (M, 3) scan points.
        sensor: (3,) where they were seen from, or (M, 3) where each was, in the same frame.
        count: how many points (R).
        reach: the farthest from a scan point that is drawn, in units of length; keep it within the working cube.
        random: the generator; None is torch's own.

    Returns:
        Points uniform along the last `reach` of rays drawn at random, and their distances to the scan points.

    Raises:
        ValueError: no scan point, a count below 1, or a reach that is not positive.
    """
    if not len(points) or count < 1 or not reach > 0:
        raise ValueError(f"rays need scan points, count >= 1 and reach > 0, got {len(points)}, {count} and {reach}")
    chosen = torch.randint(len(points), (count,), generator=random, device=points.device)
    ends = points[chosen]
    back = (sensor if sensor.ndim == 1 else sensor[chosen]) - ends
    length = vector_norm(back, dim=-1)
    part = torch.rand(count, generator=random, device=points.device, dtype=points.dtype)
    depth = part * length.clamp_max(reach)
    direction = back / length.clamp_min(torch.finfo(points.dtype).tiny)[:, None]
    return RayPoints(ends + depth[:, None] * direction, depth)
