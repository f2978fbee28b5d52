"""Lattices over the cube [-1, 1]^3: vertices, cell centres and trilinear weights.

A lattice of R vertices an axis is flattened with x slowest: vertex (i, j, k) is row (i * R + j) * R + k.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lattice_vertices(
    resolution: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """Vertices of a lattice whose ends lie on the faces of the cube.

    Args:
        resolution: R, vertices per axis, at least 2.
        dtype, device: of the result.

    Returns:
        (R^3, 3) points in the unit frame, x slowest.

    Raises:
        ValueError: fewer than 2 vertices per axis.
    """
    if resolution < 2:
        raise ValueError(f"a lattice over the cube needs at least 2 vertices per axis, got {resolution}")
    ticks = torch.linspace(-1.0, 1.0, resolution, dtype=dtype, device=device)
    return torch.cartesian_prod(ticks, ticks, ticks)


def cell_centres(
    cells: int, margin: int = 0, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """Centres of the cells of a lattice over the cube.

    Args:
        cells: C, cells per axis of the cube, at least 1.
        margin: layers of cells of the same width that are added around the cube.
        dtype, device: of the result.

    Returns:
        ((C + 2 margin)^3, 3) points in the unit frame, x slowest.

    Raises:
        ValueError: less than one cell per axis, or a negative margin.
    """
    if cells < 1 or margin < 0:
        raise ValueError(f"a lattice over the cube needs cells >= 1 per axis and margin >= 0, got {cells} and {margin}")
    ticks = (torch.arange(-margin, cells + margin, dtype=dtype, device=device) + 0.5) * (2.0 / cells) - 1.0
    return torch.cartesian_prod(ticks, ticks, ticks)


def trilinear_corners(points: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """Lattice rows and weights that interpolate at points: value(x) = sum_k weight_k * table[index_k].

    The weights are differentiable in the points; points outside of the cube take the value of the nearest point of it.

    Args:
        points: (..., 3) in the unit frame.
        resolution: R, vertices per axis.

    Returns:
        Rows (..., 8) of the flattened lattice, and their weights (..., 8), which sum to 1.
    """
    position = (points + 1.0) * (0.5 * (resolution - 1))
    position = position.clamp(0.0, resolution - 1.0)
    cell = position.detach().floor().clamp_(max=resolution - 2)
    high = position - cell
    low = 1.0 - high
    stride = (resolution * resolution, resolution, 1)
    corner = cell.long()
    base = corner[..., 0] * stride[0] + corner[..., 1] * stride[1] + corner[..., 2]
    offsets = torch.tensor(
        [i * stride[0] + j * stride[1] + k for i in (0, 1) for j in (0, 1) for k in (0, 1)],
        device=points.device,
    )
    along_x = torch.stack([low[..., 0], high[..., 0]], -1)
    along_y = torch.stack([low[..., 1], high[..., 1]], -1)
    along_z = torch.stack([low[..., 2], high[..., 2]], -1)
    weight = along_x[..., :, None, None] * along_y[..., None, :, None] * along_z[..., None, None, :]
    return base[..., None] + offsets, weight.flatten(-3)
