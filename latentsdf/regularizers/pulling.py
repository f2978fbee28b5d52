"""Pulling terms: feet of queries on scan points or disks, and level sets tangent to disks.

Every function is pure: values at N queries (or K disks) in, the mean out. The foot of a query q is q - u(q) n(q), with
the field u and its unit gradient n. Cosines with disks are unsigned, because a disk has no side; the sign of the field
must then come from elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm


def pull(foot: Tensor, nearest: Tensor, *, p: int = 2) -> Tensor:
    """Distance of the foot of a query from the scan point nearest to the query.

    Source: Neural-Pull (Ma et al. 2021), equations 1 and 2; the neighbour is that of the query before it is pulled.

    Args:
        foot: (N, 3) feet of the queries (`Jet.project`), in units of length.
        nearest: (N, 3) scan points nearest to the queries.
        p: 2 is the mean square (paper), 1 the mean distance (the PyTorch release).

    Returns:
        Mean of |foot - nearest|^p, a scalar.

    Raises:
        ValueError: p is neither 1 nor 2.
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 (distance) or 2 (squared distance), got {p}")
    offset = foot - nearest
    return vector_norm(offset, dim=-1).mean() if p == 1 else offset.square().sum(-1).mean()


def pull_to_disks(
    foot: Tensor, centers: Tensor, rotations: Tensor, scales: Tensor, *, floor: float = 0.0, normalized: bool = False
) -> Tensor:
    """Negative logarithm of the nearest disk's Gaussian at the foot of a query.

    Source: GS-Pull (Zhang et al. 2024), equation 5, with the covariance of the disk itself; the release overwrites it
    with one constant for all axes. Offsets within a disk cost little, offsets from its plane cost much.

    Args:
        foot: (N, 3) feet of the queries, in units of length.
        centers: (N, 3) of the disk nearest to each query before it is pulled.
        rotations: (N, 3, 3) axes of these disks, as columns.
        scales: (N, 3) their radii along these axes, in units of length; positive.
        floor: lower bound of the radii, in units of length; raise it for splats that are thinner than the noise.
        normalized: True multiplies by the square of each disk's smallest radius, so that the loss is half a squared
            distance from the plane and its weight means the same at any density. False is the paper's.

    Returns:
        Mean of d^T Sigma^-1 d / 2 with d = foot - center and the disk's covariance Sigma, a scalar.

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
    """One minus the unsigned cosine between the field's gradient at the foot of a disk's center and the disk's axis.

    Source: GS-Pull (Zhang et al. 2024), equation 4. With fixed disks it is a loss on the normals of the field; with
    learned disks it also aligns the disks.

    Args:
        foot_gradient: (K, 3) at the feet of the disks' centers.
        disk_normals: (K, 3) the disks' unit axes of smallest radius.

    Returns:
        Mean of 1 - |cos|, a scalar in [0, 1].
    """
    return (1 - torch.cosine_similarity(foot_gradient, disk_normals, dim=-1).abs()).mean()


def disk_orthogonality(gradient: Tensor, disk_normals: Tensor) -> Tensor:
    """One minus the unsigned cosine between the direction a query is pulled in and the axis of its nearest disk.

    Source: GS-Pull (Zhang et al. 2024), equation 6.

    Args:
        gradient: (N, 3) at the queries.
        disk_normals: (N, 3) the unit axis of the disk nearest to each query.

    Returns:
        Mean of 1 - |cos|, a scalar in [0, 1].
    """
    return (1 - torch.cosine_similarity(gradient, disk_normals, dim=-1).abs()).mean()


def disk_thinness(scales: Tensor) -> Tensor:
    """Smallest radius of each disk, for learned radii; it has no effect where they are fixed.

    Source: GS-Pull (Zhang et al. 2024), equation 3.

    Args:
        scales: (K, 3) radii in units of length.

    Returns:
        Mean over the disks of min(s_1, s_2, s_3), a scalar.
    """
    return scales.amin(-1).mean()
