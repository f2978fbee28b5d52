"""Quadratic B-splines on lattices: reads of features whose first derivatives are continuous.

A lattice of R cells an axis over [-1, 1]^3 has (R + 2)^3 coefficients; 27 of them count at a point. Values and
derivatives are the same sums with other weights, so they are read together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .forward_derivatives import PAIRS, Second


class Taps:
    """The 27 coefficients that count at each of N points, and the polynomials in each axis that weigh them.

    Args:
        points: (N, 3); outside of [-1, 1]^3 the nearest place of the cube counts.
        resolution: R.
    """

    def __init__(self, points: Tensor, resolution: int):
        self.scale = resolution / 2
        position = ((points + 1) * self.scale).clamp(0, resolution)
        self.cell = position.detach().floor().clamp_(max=resolution - 1)
        t = position - self.cell
        inside = (points.detach().abs() < 1).to(points.dtype) * self.scale
        s = 1 - t
        self.weight = torch.stack([s * s, 1 + 2 * s * t, t * t], -1) / 2  # (N, 3 axes, 3 taps)
        self.slope = torch.stack([-s, 1 - 2 * t, t], -1) * inside[..., None]
        self.bend = t.new_tensor([1.0, -2.0, 1.0]) * inside.square()[..., None]

    def index(self, resolution: int) -> Tensor:
        """(N, 27) place of each coefficient in a lattice of (R + 2)^3, first axis along x."""
        side = resolution + 2
        cell = self.cell.long()
        base = (cell[:, 0] * side + cell[:, 1]) * side + cell[:, 2]
        reach = torch.arange(3, device=cell.device)
        offsets = (reach[:, None, None] * side + reach[:, None]) * side + reach
        return base[:, None] + offsets.reshape(-1)

    def first(self) -> Tensor:
        """Weights of the value and of the three derivatives, (4, N, 27)."""
        (x, y, z), (dx, dy, dz) = self.weight.unbind(1), self.slope.unbind(1)
        yz = _outer(y, z)
        return torch.stack([_outer(x, yz), _outer(dx, yz), _outer(x, _outer(dy, z)), _outer(x, _outer(y, dz))])

    def value(self) -> Tensor:
        """Weights of the value alone, (1, N, 27)."""
        x, y, z = self.weight.unbind(1)
        return _outer(x, _outer(y, z))[None]

    def second(self, which: Second) -> Tensor:
        """Weights of rows of second derivatives, (P, N, 27)."""
        axes = list(zip(self.weight.unbind(1), self.slope.unbind(1), self.bend.unbind(1), strict=True))

        def pair(i: int, j: int) -> Tensor:
            x, y, z = (axes[axis][(axis == i) + (axis == j)] for axis in range(3))
            return _outer(x, _outer(y, z))

        if which.kind == "laplacian":
            return (pair(0, 0) + pair(1, 1) + pair(2, 2))[None]
        rows = torch.stack([pair(i, j) for i, j in PAIRS])
        if which.kind == "hessian":
            return rows
        assert which.direction is not None
        factors = [which.direction[:, i] * which.direction[:, j] * (1 + (i != j)) for i, j in PAIRS]
        return (torch.stack(factors)[..., None] * rows).sum(0, keepdim=True)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return (left[:, :, None] * right[:, None]).flatten(1)


def tap_cells(points: Tensor, resolution: int) -> Tensor:
    """Sorted places of all coefficients that count at any of the points, (V,)."""
    return torch.cat([Taps(part, resolution).index(resolution).unique() for part in points.split(20_000)]).unique()


def read(table: Tensor, index: Tensor, weight: Tensor, repeatable: bool) -> Tensor:
    """Weighted sums of coefficients.

    Args:
        table: (V, C).
        index: (N, 27).
        weight: (K, N, 27).
        repeatable: derivatives of derivatives in the points will be asked for: plain torch, several times slower.

    Returns:
        (K, N, C).
    """
    if repeatable or table.device.type != "cpu":
        return torch.einsum("nvc,knv->knc", table[index], weight)
    return _Sums.apply(table, index, weight)


class _Sums(torch.autograd.Function):
    """As `read`, by sparse matrix products; differentiable once in the table and in the weights."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(table, index, weight)
        found = _matrix(index, weight, len(table)) @ table.detach().numpy()
        return torch.from_numpy(found).view(*weight.shape[:2], table.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (gradient,) = gradients
        table, index, weight = ctx.saved_tensors
        of_table = of_weight = None
        if ctx.needs_input_grad[0]:
            flat = gradient.reshape(-1, table.shape[1]).numpy()
            of_table = torch.from_numpy(_matrix(index, weight, len(table)).T @ flat)
        if ctx.needs_input_grad[2]:
            of_weight = torch.einsum("nvc,knc->knv", table[index], gradient)
        return of_table, None, of_weight


def _matrix(index: Tensor, weight: Tensor, columns: int) -> scipy.sparse.csr_matrix:
    rows, taps = weight.shape[0] * weight.shape[1], weight.shape[2]
    places = np.tile(index.numpy().astype(np.int32).reshape(-1), weight.shape[0])
    ends = np.arange(0, rows * taps + 1, taps, dtype=np.int32)
    matrix = scipy.sparse.csr_matrix((rows, columns), dtype=weight.detach().numpy().dtype)
    matrix.data, matrix.indices, matrix.indptr = weight.detach().numpy().reshape(-1), places, ends
    return matrix
