"""Batches of similarity transforms, Sim(3): the pose of a scan in the unit frame of a shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from .arrays import Array
from .frame import UNIT_RADIUS, Frame

FREEDOMS = 7
"""Degrees of freedom of a similarity transform: a rotation vector, the logarithm of the scale, a translation."""
PoseFreedom = Literal["known", "placed", "upright", "free"]
"""`known`: the frame is kept. `placed`: axes are those of the meshes in the space, scale and translation are estimated.
`upright`: the direction of up is known, the angle about it, scale and translation are estimated. `free`: rotation,
scale and translation are estimated."""


def active_freedoms(pose: PoseFreedom) -> list[bool]:
    """Mask (7,) of the degrees of freedom that are estimated; the first is the angle where up is known."""
    return [pose in ("upright", "free"), pose == "free", pose == "free"] + [pose != "known"] * 4


def check_pose(pose: str) -> None:
    """Refuse a word that is no pose freedom.

    Raises:
        ValueError: it is none.
    """
    if pose not in get_args(PoseFreedom):
        raise ValueError(f"pose must be known, placed, upright or free, got {pose!r}")


class Pose(NamedTuple):
    """S similarity transforms: unit = exp(log_scale) * rotation @ point + shift.

    Rows are taken by `select`: indexing is that of the tuple of the three tensors.

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
        """S = count identities, (S, 3, 3) and so on, with the dtype and device of a tensor."""
        eye = torch.eye(3, dtype=like.dtype, device=like.device)
        return Pose(eye.repeat(count, 1, 1), like.new_zeros(count), like.new_zeros(count, 3))

    @staticmethod
    def from_rotations(rotations: Tensor) -> Pose:
        """Pure rotations (S, 3, 3) about the origin."""
        return Pose(rotations, rotations.new_zeros(len(rotations)), rotations.new_zeros(len(rotations), 3))

    def apply(self, points: Tensor) -> Tensor:
        """Transform points (S, N, 3) or (1, N, 3) -> (S, N, 3)."""
        return self.log_scale.exp()[:, None, None] * (points @ self.rotation.transpose(1, 2)) + self.shift[:, None]

    def retract(self, steps: Tensor) -> Pose:
        """Compose with increments (S, 7) in the target frame (rotation vector, log scale, translation)."""
        turn, growth = rotations(steps[:, :3]), steps[:, 3].exp()[:, None]
        shift = growth * (turn @ self.shift[..., None])[..., 0] + steps[:, 4:]
        return Pose(turn @ self.rotation, self.log_scale + steps[:, 3], shift)

    def select(self, rows: Tensor) -> Pose:
        """The transforms of rows (K,); rows may repeat."""
        return Pose(*(part[rows] for part in self))

    def replaced(self, rows: Tensor, other: Pose) -> Pose:
        """A copy whose rows (K,) are the K transforms of another batch."""
        return Pose(*(own.index_copy(0, rows, others) for own, others in zip(self, other, strict=True)))

    def frame(self, row: int, base: Frame) -> Frame:
        """Source units -> target of one transform, where `base` maps source units to the points that it transforms."""
        left, _, right = np.linalg.svd(self.rotation[row].double().cpu().numpy())
        rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
        scale = math.exp(-float(self.log_scale[row]))
        return Frame(rotation, scale, -scale * (rotation.T @ self.shift[row].double().cpu().numpy())) @ base


def rotations(vectors: Tensor) -> Tensor:
    """Rotation matrices (S, 3, 3) of rotation vectors (S, 3) in radians: exp([v]_x)."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)


def spread_rotations(count: int) -> Tensor:
    """Low-discrepancy rotations (count, 3, 3) over SO(3) (super-Fibonacci spirals: Alexa, CVPR 2022).

    The identity is not among them; 600 leave no rotation farther than about 25 degrees from one of them.
    """
    number = torch.arange(count, dtype=torch.float64) + 0.5
    fraction = number / count
    first, second = 2 * math.pi * number / math.sqrt(2), 2 * math.pi * number / 1.533751168755204288
    inner, outer = fraction.sqrt(), (1 - fraction).sqrt()
    x, y, z, w = inner * first.sin(), inner * first.cos(), outer * second.sin(), outer * second.cos()
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).view(-1, 3, 3).float()


FARTHEST = 1.5
"""Standard deviations of noise by which the farthest points of a scan lie outside (`benchmarks/extent.py`)."""


def bounding_sphere_pose(points: Array, noise: float, like: Tensor) -> Callable[[Pose], Pose]:
    """Normalisation of complete shapes: for a rotation, the pose in which they fill the unit sphere (`Frame.around`).

    The centre of the bounding box depends on the axes, so each rotation has a scale and a translation of its own.

    Args:
        points: (N, 3) of a complete surface, in the frame that poses map from.
        noise: standard deviation of the points; the radius is reduced by `FARTHEST` of it, a tenth at most.
        like: a tensor with the dtype and device of the result.

    Returns:
        A function that keeps the rotations of poses and replaces their scales and translations.
    """
    try:
        hull = ConvexHull(points)
    except QhullError:  # coplanar points: qhull perturbs them
        hull = ConvexHull(points, qhull_options="QJ")
    corners = torch.from_numpy(points[hull.vertices]).to(like)

    def pose_of(pose: Pose) -> Pose:
        rotated = corners @ pose.rotation.transpose(1, 2)
        middle = (rotated.amin(1) + rotated.amax(1)) / 2
        radius = (rotated - middle[:, None]).norm(dim=2).amax(1)
        scale = UNIT_RADIUS / (radius - min(FARTHEST * noise, 0.1 * UNIT_RADIUS))
        return Pose(pose.rotation, scale.log(), -scale[:, None] * middle)

    return pose_of
