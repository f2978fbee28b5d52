"""Batches of similarity transforms that a fit moves: where a scan lies in the unit frame of a shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from .frame import UNIT_RADIUS, Frame

FREEDOMS = 7
"""Numbers a similarity moves by: a rotation vector, the logarithm of the scale, a translation."""
PoseFreedom = Literal["known", "placed", "free"]
"""`known`: the frame is not touched. `placed`: axes as those of the meshes in the space, scale and place are found.
`free`: the rotation too."""


def active_freedoms(pose: PoseFreedom) -> list[bool]:
    """Which of the numbers of a pose may move."""
    return [pose == "free"] * 3 + [pose != "known"] * 4


class Pose(NamedTuple):
    """S similarity transforms: unit = exp(log_scale) * rotation @ point + shift.

    Attributes:
        rotation: (S, 3, 3), proper.
        log_scale: (S,).
        shift: (S, 3).
    """

    rotation: Tensor
    log_scale: Tensor
    shift: Tensor

    @staticmethod
    def identity(count: int, like: Tensor) -> Pose:
        """Transforms that change nothing, in the type and place of a tensor."""
        eye = torch.eye(3, dtype=like.dtype, device=like.device)
        return Pose(eye.repeat(count, 1, 1), like.new_zeros(count), like.new_zeros(count, 3))

    @staticmethod
    def from_rotations(rotations: Tensor) -> Pose:
        """Rotations (S, 3, 3) about the origin."""
        return Pose(rotations, rotations.new_zeros(len(rotations)), rotations.new_zeros(len(rotations), 3))

    def apply(self, points: Tensor) -> Tensor:
        """Points (S, N, 3) or (1, N, 3) -> (S, N, 3)."""
        return self.log_scale.exp()[:, None, None] * (points @ self.rotation.transpose(1, 2)) + self.shift[:, None]

    def retract(self, steps: Tensor) -> Pose:
        """After small motions (S, 7) about the origin of the target: rotation vector, log scale, translation."""
        turn, growth = rotations(steps[:, :3]), steps[:, 3].exp()[:, None]
        shift = growth * (turn @ self.shift[..., None])[..., 0] + steps[:, 4:]
        return Pose(turn @ self.rotation, self.log_scale + steps[:, 3], shift)

    def select(self, rows: Tensor) -> Pose:
        """Some of them, or each several times."""
        return Pose(*(part[rows] for part in self))

    def replaced(self, rows: Tensor, other: Pose) -> Pose:
        """These, with some taken from others, as many as there are rows."""
        return Pose(*(own.index_copy(0, rows, others) for own, others in zip(self, other, strict=True)))

    def frame(self, row: int, base: Frame) -> Frame:
        """The frame that maps what `base` maps to the points on to the target of one transform."""
        left, _, right = np.linalg.svd(self.rotation[row].double().cpu().numpy())
        rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        scale = math.exp(-float(self.log_scale[row]))
        return Frame(rotation, scale, -scale * (rotation.T @ self.shift[row].double().cpu().numpy())) @ base


def rotations(vectors: Tensor) -> Tensor:
    """Rotation vectors (S, 3), in radians, to matrices (S, 3, 3)."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)


def spread_rotations(count: int) -> Tensor:
    """Rotations (count, 3, 3) spread evenly over all there are (super-Fibonacci spirals: Alexa, CVPR 2022).

    The first is near none in particular; 600 leave no rotation farther than about 25 degrees from one of them.
    """
    number = torch.arange(count, dtype=torch.float64) + 0.5
    share = number / count
    first, second = 2 * math.pi * number / math.sqrt(2), 2 * math.pi * number / 1.533751168755204288
    inner, outer = share.sqrt(), (1 - share).sqrt()
    x, y, z, w = inner * first.sin(), inner * first.cos(), outer * second.sin(), outer * second.cos()
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).view(-1, 3, 3).float()


FARTHEST = 1.5
"""Standard deviations by which noise carries the farthest points of a scan outward (`benchmarks/extent.py`)."""


def bounding_sphere_pose(points: NDArray[np.float64], noise: float, like: Tensor) -> Callable[[Pose], Pose]:
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
