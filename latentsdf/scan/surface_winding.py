"""Winding numbers of oriented points at the points themselves, as a linear function of the sides of their normals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array, Indices

_POINTS = 4000
"""Points that the winding numbers are sums over, at most."""
_ROWS = 1000
"""Rows of the matrix that are made at a time."""
_PART = 100
"""Rows that a product reads at a time, both ways while they are in the cache."""


@dataclass(frozen=True, eq=False)
class SurfaceWinding:
    """Matrix K with winding numbers w = K s at points, s the sides of their normals: 1/2 each on a closed surface.

    Gauss's formula, as Lin et al. ("Surface reconstruction from point clouds without normals by parametrizing the Gauss
    formula", 2022) solve it for normals: w(x) = sum_j s_j a_j n_j . (p_j - x) / (4 pi max(|p_j - x|, h)^3), with areas
    a_j as in `winding_numbers` and h the median distance of a point to its sixth neighbour.

    Attributes:
        rows: (K,) points that take part, all or a random choice.
        matrix: (K, K) single precision, zero on its diagonal.
        share: K over the number of points.
    """

    rows: Indices
    matrix: Tensor
    share: float

    @staticmethod
    def of(points: Array, directions: Array, distances: Array, seed: int = 0) -> SurfaceWinding:
        """Matrix of some of the points (M, 3) of the cube [-1, 1]^3, with unit directions (M, 3).

        Args:
            points: distinct.
            directions: signs arbitrary.
            distances: (M,) to the sixth neighbour of each.
            seed: of the choice of points, where there are more than 4,000.
        """
        rows = np.sort(np.random.default_rng(seed).permutation(len(points))[:_POINTS])
        share = len(rows) / len(points)
        width = float(np.median(distances)) / math.sqrt(share)
        sources = torch.from_numpy(points[rows]).float()
        areas = np.pi * distances[rows, None] ** 2 / (6 * share)
        elements = torch.from_numpy(directions[rows] * areas).float()
        heights, sizes = (elements * sources).sum(1), sources.square().sum(1)
        matrix = torch.empty(len(rows), len(rows))
        for begin in range(0, len(rows), _ROWS):
            part = sources[begin : begin + _ROWS]
            # |p_j - x|^2, no less than h^2, then to the power of 3/2 in place.
            cubes = torch.addmm(sizes[None], part, sources.T, alpha=-2).add_(part.square().sum(1)[:, None])
            cubes = cubes.clamp_(min=width**2).pow_(1.5).mul_(4 * math.pi)
            torch.addmm(heights[None], part, elements.T, alpha=-1, out=matrix[begin : begin + _ROWS]).div_(cubes)
        matrix.fill_diagonal_(0.0)
        return SurfaceWinding(rows, matrix, share)

    def product(self, signs: Array) -> Array:
        """K^T K s (M,) of signs (M,), zero at points that take no part."""
        result = np.zeros(len(signs))
        sides = torch.from_numpy(signs[self.rows]).float()
        total = torch.zeros_like(sides)
        for part in self.matrix.split(_PART):
            total.addmv_(part.T, part @ sides)
        result[self.rows] = total.numpy()
        return result

    def target(self, count: int) -> Array:
        """K^T 1/2 (M,): the right-hand side of the normal equations for winding numbers of 1/2 at M points."""
        result = np.zeros(count)
        result[self.rows] = 0.5 * self.matrix.sum(0).numpy()
        return result

    def diagonal(self, count: int) -> Array:
        """Diagonal (M,) of the matrix K^T K for M points."""
        result = np.zeros(count)
        result[self.rows] = self.matrix.square().sum(0).numpy()
        return result
