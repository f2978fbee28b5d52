"""Where a whole scan lies by its extent alone: scale and place for every rotation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from ..core.frame import UNIT_RADIUS
from ..core.pose import Pose

FARTHEST = 1.5
"""Standard deviations by which noise carries the farthest points of a scan outward (`benchmarks/extent.py`)."""


def filling(points: NDArray[np.float64], noise: float, like: Tensor) -> Callable[[Pose], Pose]:
    """How whole shapes lie in a space: for a rotation, the pose under which they fill the unit sphere (`Frame.around`).

    The middle of the bounding box depends on the axes, so each rotation has a scale and a place of its own.

    Args:
        points: (N, 3) of a whole surface, in the frame that poses start from.
        noise: standard deviation of the points, by a few of which the farthest ones lie too far out.
        like: a tensor of the type and place wanted.
    """
    try:
        hull = ConvexHull(points)
    except QhullError:  # all in one plane; joggled a little they are not
        hull = ConvexHull(points, qhull_options="QJ")
    corners = torch.from_numpy(points[hull.vertices]).to(like)

    def pose_of(pose: Pose) -> Pose:
        turned = corners @ pose.rotation.transpose(1, 2)
        middle = (turned.amin(1) + turned.amax(1)) / 2
        radius = (turned - middle[:, None]).norm(dim=2).amax(1)
        scale = UNIT_RADIUS / (radius - min(FARTHEST * noise, 0.1 * UNIT_RADIUS))
        return Pose(pose.rotation, scale.log(), -scale[:, None] * middle)

    return pose_of
