"""Trilinear interpolation of feature volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..core.lattice import trilinear_corners
from .spline_volumes import SplineVolumes


def read_volumes(volumes: Tensor | SplineVolumes, points: Tensor, repeatable: bool | None = None) -> Tensor:
    """Interpolate feature volumes over [-1, 1]^3 at points, with border values continued outside.

    f(x) = sum_k w_k(x) volume[i_k(x)] over the 8 corners of the cell. By default one weighted `embedding_bag` (several
    times faster on a CPU than `grid_sample`), differentiable once; or a plain gather, differentiable to every order.

    Args:
        volumes: (S, R, R, R, C), the vertex (i, j, k) at -1 + 2 (i, j, k) / (R - 1), first index along x; or splines,
            which are read as such.
        points: (S, N, 3).
        repeatable: whether the result is differentiated more than once; None: if the points require a gradient.

    Returns:
        Features, (S, N, C).
    """
    if isinstance(volumes, SplineVolumes):
        return volumes.read(points)
    if not torch.is_grad_enabled():
        return _read_plainly(volumes, points)
    shapes, resolution, channels = volumes.shape[0], volumes.shape[1], volumes.shape[-1]
    index, weight = trilinear_corners(points, resolution)
    if shapes > 1:
        index = index + torch.arange(shapes, device=points.device)[:, None, None] * resolution**3
    table = volumes.reshape(-1, channels)
    if not (points.requires_grad if repeatable is None else repeatable):
        flat = _WeightedRows.apply(table, index.view(-1, 8), weight.view(-1, 8).to(table.dtype))
        return flat.view(*points.shape[:-1], channels)
    return (table[index] * weight[..., None]).sum(-2)


def _read_plainly(volumes: Tensor, points: Tensor) -> Tensor:
    """The same read without a graph, by vectors along the points: x and y weigh rows of two vertices, z mixes these."""
    shapes, resolution, channels = volumes.shape[0], volumes.shape[1], volumes.shape[-1]
    position = points.reshape(-1, 3).t().contiguous() + 1.0
    position = position.mul_(0.5 * (resolution - 1)).clamp_(0.0, resolution - 1.0)
    cell = position.floor().clamp_(max=resolution - 2)
    high = position.sub_(cell)
    x, y = torch.stack([1.0 - high[:2], high[:2]]).unbind(1)
    weight = (x[:, None] * y).view(4, -1).t().contiguous().to(volumes.dtype)
    i, j, k = cell.to(torch.int32 if volumes[..., 0].numel() < 2**31 else torch.int64)
    first = i.mul_(resolution).add_(j).mul_(resolution).add_(k)
    if shapes > 1:
        of_shape = resolution**3 * torch.arange(shapes, dtype=first.dtype, device=first.device)
        first = (first.view(shapes, -1) + of_shape[:, None]).flatten()
    steps = resolution * torch.tensor([0, 1, resolution, resolution + 1], dtype=first.dtype, device=first.device)
    index = first[:, None] + steps
    table = volumes.reshape(-1, channels).contiguous()
    pairs = table.as_strided((len(table) - 1, 2 * channels), (channels, 1))
    pairs = pairs if table.device.type == "cpu" else pairs.contiguous()
    ends = functional.embedding_bag(index, pairs, per_sample_weights=weight, mode="sum")
    flat = torch.lerp(ends[:, :channels], ends[:, channels:], high[2][:, None].to(ends.dtype))
    return flat.view(*points.shape[:-1], channels)


def read_contracted(table: Tensor, points: Tensor, channels: Tensor) -> Tensor:
    """Products c_n^T M(x_n) of rows and an interpolated volume of matrices, without a matrix per point.

    Args:
        table: (R, R, R, C, D), over [-1, 1]^3 as for `read_volumes`.
        points: (N, 3).
        channels: (N, C) rows c_n.

    Returns:
        Products, (N, D).
    """
    resolution, size = table.shape[0], table.shape[-2]
    index, weight = trilinear_corners(points, resolution)
    index = index[:, :, None] * size + torch.arange(size, device=points.device)
    weight = weight[:, :, None] * channels[:, None]
    rows = table.reshape(-1, table.shape[-1])
    return functional.embedding_bag(
        index.flatten(1), rows, per_sample_weights=weight.flatten(1).to(rows.dtype), mode="sum"
    )


class _WeightedRows(torch.autograd.Function):
    """Weighted sums of table rows, (V, C), (N, K), (N, K) -> (N, C), differentiable once.

    The gradient of the table is a sparse matrix product on a CPU: about twenty times faster than that of
    `embedding_bag`, which sorts the indices (benchmarks/lookup.py).
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(table, index, weight)
        return functional.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (gradient,) = gradients
        table, index, weight = ctx.saved_tensors
        of_table = of_weight = None
        if ctx.needs_input_grad[0]:
            of_table = _scatter_rows(gradient, index, weight, len(table))
        if ctx.needs_input_grad[2]:
            rows = table.index_select(0, index.reshape(-1)).view(*index.shape, -1)
            of_weight = (rows * gradient[:, None]).sum(-1)
        return of_table, None, of_weight


def _scatter_rows(values: Tensor, index: Tensor, weight: Tensor, rows: int) -> Tensor:
    """Scatter-add weight * values (N, C) to rows of a table by index, (rows, C)."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        out = values.new_zeros(rows, values.shape[1])
        return out.index_add_(0, index.flatten(), (weight[..., None] * values[:, None]).flatten(0, 1))
    ends = np.arange(0, index.numel() + 1, index.shape[1])
    parts = (weight.contiguous().view(-1).numpy(), index.contiguous().view(-1).numpy(), ends)
    matrix = scipy.sparse.csr_matrix(parts, shape=(len(index), rows))
    return torch.from_numpy(matrix.T @ values.contiguous().numpy())
