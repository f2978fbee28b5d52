"""Quadratic B-spline lattices: interpolation of features with continuous first derivatives.

A lattice of R cells per axis over [-1, 1]^3 has (R + 2)^3 coefficients c_k; 27 of them have a point in their support.
Value and derivatives at x are the sums sum_k w_k(x) c_k with different weights w, so they are computed together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .forward_derivatives import PAIRS, SecondOrder


class Taps:
    """The 27 coefficients that contribute at each of N points, and the polynomials along each axis that weight them.

    With t in [0, 1] the position in its cell and s = 1 - t, the weights along an axis are (s^2, 1 + 2 s t, t^2) / 2.

    Args:
        points: (N, 3); points outside of [-1, 1]^3 take the value of the nearest point of the cube.
        resolution: R, cells per axis.
    """

    def __init__(self, points: Tensor, resolution: int):
        self.scale: float = resolution / 2
        position = ((points + 1) * self.scale).clamp(0, resolution)
        self.cell: Tensor = position.detach().floor().clamp_(max=resolution - 1)
        t = position - self.cell
        inside = (points.detach().abs() < 1).to(points.dtype) * self.scale
        s = 1 - t
        self.weight: Tensor = torch.stack([s * s, 1 + 2 * s * t, t * t], -1) / 2  # (N, 3 axes, 3 taps)
        self.derivative: Tensor = torch.stack([-s, 1 - 2 * t, t], -1) * inside[..., None]
        self.second_derivative: Tensor = t.new_tensor([1.0, -2.0, 1.0]) * inside.square()[..., None]

    def index(self, resolution: int) -> Tensor:
        """Row (N, 27) of each coefficient in a lattice of (R + 2)^3, x slowest."""
        side = resolution + 2
        cell = self.cell.long()
        base = (cell[:, 0] * side + cell[:, 1]) * side + cell[:, 2]
        steps = torch.arange(3, device=cell.device)
        offsets = (steps[:, None, None] * side + steps[:, None]) * side + steps
        return base[:, None] + offsets.reshape(-1)

    def first(self) -> Tensor:
        """Weights of the value and of the three derivatives, (4, N, 27)."""
        (x, y, z), (dx, dy, dz) = self.weight.unbind(1), self.derivative.unbind(1)
        yz = _outer(y, z)
        return torch.stack([_outer(x, yz), _outer(dx, yz), _outer(x, _outer(dy, z)), _outer(x, _outer(y, dz))])

    def value(self) -> Tensor:
        """Weights of the value alone, (1, N, 27)."""
        x, y, z = self.weight.unbind(1)
        return _outer(x, _outer(y, z))[None]

    def second(self, which: SecondOrder) -> Tensor:
        """Weights of rows of second derivatives, (P, N, 27)."""
        polynomials = (self.weight, self.derivative, self.second_derivative)
        axes = list(zip(*(part.unbind(1) for part in polynomials), strict=True))

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


def support_rows(points: Tensor, resolution: int) -> Tensor:
    """Sorted rows (V,) of all coefficients that contribute at any of the points (N, 3)."""
    return torch.cat([Taps(part, resolution).index(resolution).unique() for part in points.split(20_000)]).unique()


def interpolate(table: Tensor, index: Tensor, weight: Tensor, twice_differentiable: bool) -> Tensor:
    """Weighted sums of coefficients, out[k, n] = sum_j weight[k, n, j] table[index[n, j]].

    Args:
        table: (V, C) coefficients.
        index: (N, 27) rows of the table.
        weight: (K, N, 27), one set for each derivative.
        twice_differentiable: use plain torch, differentiable twice in the weights; several times slower.

    Returns:
        (K, N, C).
    """
    if twice_differentiable or table.device.type != "cpu":
        return torch.einsum("nvc,knv->knc", table[index], weight)
    return _WeightedSums.apply(table, index, weight)


class _WeightedSums(torch.autograd.Function):
    """`interpolate` by sparse matrix products; differentiable once in the table and in the weights."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(table, index, weight)
        sums = _weight_matrix(index, weight, len(table)) @ table.detach().numpy()
        return torch.from_numpy(sums).view(*weight.shape[:2], table.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (gradient,) = gradients
        table, index, weight = ctx.saved_tensors
        of_table = of_weight = None
        if ctx.needs_input_grad[0]:
            flat = gradient.reshape(-1, table.shape[1]).numpy()
            of_table = torch.from_numpy(_weight_matrix(index, weight, len(table)).T @ flat)
        if ctx.needs_input_grad[2]:
            of_weight = torch.einsum("nvc,knc->knv", table[index], gradient)
        return of_table, None, of_weight


def _weight_matrix(index: Tensor, weight: Tensor, columns: int) -> scipy.sparse.csr_matrix:
    """Weights (K, N, 27) as a sparse matrix (K N, V)."""
    rows, taps = weight.shape[0] * weight.shape[1], weight.shape[2]
    indices = np.tile(index.numpy().astype(np.int32).reshape(-1), weight.shape[0])
    ends = np.arange(0, rows * taps + 1, taps, dtype=np.int32)
    matrix = scipy.sparse.csr_matrix((rows, columns), dtype=weight.detach().numpy().dtype)
    matrix.data, matrix.indices, matrix.indptr = weight.detach().numpy().reshape(-1), indices, ends
    return matrix
