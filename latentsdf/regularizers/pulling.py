"""What pulls a field onto points and disks: foot points on the data, level sets tangent to disks.

Every function is pure: values at N queries (or K disks) in, the mean out. Cosines are taken without sign where disks
are concerned, because a disk has no side; the sign of the field must then come from elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm


def pull(foot: Tensor, nearest: Tensor, *, p: int = 2) -> Tensor:
    """How far the foot of a query is from the scan point nearest to the query.

    Source: Neural-Pull (Ma et al. 2021); the neighbour is that of the query itself, before it is pulled.

    Args:
        foot: (N, 3) queries minus value times unit gradient (`Jet.project`), in units of length.
        nearest: (N, 3) the nearest scan points.
        p: 2 is the mean square (paper), 1 the mean distance (the PyTorch release).

    Returns:
        Mean of |foot - nearest|^p, a scalar.

    Raises:
        ValueError: p is neither 1 nor 2.
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 (distance) or 2 (squared distance), got {p}")
    miss = foot - nearest
    return vector_norm(miss, dim=-1).mean() if p == 1 else miss.square().sum(-1).mean()


def pull_to_disks(
    foot: Tensor,
    centers: Tensor,
    rotations: Tensor,
    scales: Tensor,
    *,
    floor: float = 0.0,
    normalized: bool = False,
) -> Tensor:
    """Minus the logarithm of the nearest disk's Gaussian at the foot of a query.

    Source: GS-Pull (Zhang et al. 2024), equation 5, with the covariance of the disk itself; the release overwrites it
    with one constant for all axes. Misses within a disk are cheap, misses off its plane are dear.

    Args:
        foot: (N, 3) queries minus value times unit gradient, in units of length.
        centers: (N, 3) of the disk nearest to each query before it is pulled.
        rotations: (N, 3, 3) their axes, as columns.
        scales: (N, 3) their radii along these axes, in units of length; positive.
        floor: the least radius that counts, in units of length; raise it for splats that are thinner than the noise.
        normalized: True multiplies by the square of each disk's smallest radius, so that the loss is half a squared
            distance off the plane and its weight means the same at any density. False is the paper's.

    Returns:
        Mean of d^T Sigma^-1 d / 2 with d = foot - center, a scalar.

    Raises:
        ValueError: floor is negative.
    """
    if not floor >= 0:
        raise ValueError(f"the floor of pull_to_disks must not be negative, got {floor}")
    along = (rotations.transpose(-1, -2) @ (foot - centers)[..., None])[..., 0]
    radii = scales.clamp_min(floor)
    if normalized:
        radii = radii / radii.amin(-1, keepdim=True)
    return (along / radii).square().sum(-1).mean() / 2


def disk_tangency(foot_gradient: Tensor, disk_normals: Tensor) -> Tensor:
    """One minus the unsigned cosine between the field's gradient at a pulled disk center and the disk's axis.

    Source: GS-Pull (Zhang et al. 2024), equation 4. With disks that do not move it is a loss on the normals of the
    field; with disks that learn it also straightens the disks.

    Args:
        foot_gradient: (K, 3) at the feet of the disks' centers.
        disk_normals: (K, 3) the disks' unit axes of smallest radius.

    Returns:
        Mean, a scalar in [0, 1].
    """
    return (1 - torch.cosine_similarity(foot_gradient, disk_normals, dim=-1).abs()).mean()


def disk_orthogonality(gradient: Tensor, disk_normals: Tensor) -> Tensor:
    """One minus the unsigned cosine between the direction a query is pulled in and the axis of its nearest disk.

    Source: GS-Pull (Zhang et al. 2024), equation 6.

    Args:
        gradient: (N, 3) at the queries.
        disk_normals: (N, 3) the unit axis of the disk nearest to each query.

    Returns:
        Mean, a scalar in [0, 1].
    """
    return (1 - torch.cosine_similarity(gradient, disk_normals, dim=-1).abs()).mean()


def disk_thinness(scales: Tensor) -> Tensor:
    """The disks' smallest radii, for disks whose radii are learned; it moves nothing where they are fixed.

    Source: GS-Pull (Zhang et al. 2024), equation 3.

    Args:
        scales: (K, 3) radii in units of length.

    Returns:
        Mean of the smallest of the three, a scalar.
    """
    return scales.amin(-1).mean()
