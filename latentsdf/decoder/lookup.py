"""Trilinear reads of feature volumes: the one place where a lattice is gathered from."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..core.lattice import trilinear_corners


def read_volumes(volumes: Tensor, points: Tensor, repeatable: bool | None = None) -> Tensor:
    """Read feature volumes over [-1, 1]^3 at points, trilinearly, border values continued outside.

    By default one weighted `embedding_bag` (channels-last gathers: several times faster on a CPU than `grid_sample`),
    which can be differentiated once; or a plain gather, whose derivatives exist to every order.

    Args:
        volumes: (S, R, R, R, C), the vertex (i, j, k) at -1 + 2 (i, j, k) / (R - 1), first index along x.
        points: (S, N, 3).
        repeatable: whether derivatives of derivatives will be asked for; None: where points require a gradient.

    Returns:
        (S, N, C).
    """
    shapes, resolution, channels = volumes.shape[0], volumes.shape[1], volumes.shape[-1]
    index, weight = trilinear_corners(points, resolution)
    if shapes > 1:
        index = index + torch.arange(shapes, device=points.device)[:, None, None] * resolution**3
    table = volumes.reshape(-1, channels)
    if not (points.requires_grad if repeatable is None else repeatable):
        flat = _WeightedRows.apply(table, index.view(-1, 8), weight.view(-1, 8).to(table.dtype))
        return flat.view(*points.shape[:-1], channels)
    return (table[index] * weight[..., None]).sum(-2)


def read_contracted(table: Tensor, points: Tensor, channels: Tensor) -> Tensor:
    """Read a volume of matrices at points and multiply each by a row of its own, without a matrix for each point.

    Args:
        table: (R, R, R, C, D), over [-1, 1]^3 as for `read_volumes`.
        points: (N, 3).
        channels: (N, C), what each point's matrix is multiplied by from the left.

    Returns:
        (N, D).
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

    The gradient of the table is a sparse matrix product on a CPU: some twenty times faster than that of
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
            of_table = _scattered(gradient, index, weight, len(table))
        if ctx.needs_input_grad[2]:
            found = table.index_select(0, index.reshape(-1)).view(*index.shape, -1)
            of_weight = (found * gradient[:, None]).sum(-1)
        return of_table, None, of_weight


def _scattered(values: Tensor, index: Tensor, weight: Tensor, rows: int) -> Tensor:
    """Add weight * values to the rows that index names: (N, C) -> (rows, C)."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        out = values.new_zeros(rows, values.shape[1])
        return out.index_add_(0, index.flatten(), (weight[..., None] * values[:, None]).flatten(0, 1))
    ends = np.arange(0, index.numel() + 1, index.shape[1])
    parts = (weight.contiguous().view(-1).numpy(), index.contiguous().view(-1).numpy(), ends)
    matrix = scipy.sparse.csr_matrix(parts, shape=(len(index), rows))
    return torch.from_numpy(matrix.T @ values.contiguous().numpy())
