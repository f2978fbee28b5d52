"""A sum of B-spline levels as a signed distance function: value, gradient and Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array
from .bspline import LatticeIndex, Level, axis_weights, cell_key


class SplineField:
    """A piecewise quadratic C1 field over [-1, 1]^3; an SDF that can be differentiated twice in its points.

    Outside the cube the value is that of the nearest point of the cube plus the distance to it. Points of any floating
    type are evaluated in that type.

    Args:
        levels: the stack of lattices, coarsest first.
        totals: total coefficients (E,) of each level; both are attributes too.

    Example:
        >>> field = solve(points, normals).sdf
        >>> field(torch.zeros(1, 3)).shape, field.gradient(torch.zeros(1, 3)).shape
        (torch.Size([1]), torch.Size([1, 3]))
    """

    smooth = True

    def __init__(self, levels: Sequence[Level], totals: Sequence[Array]):
        self.levels: tuple[Level, ...] = tuple(levels)
        self.totals: tuple[Array, ...] = tuple(np.ascontiguousarray(total) for total in totals)
        self._tables = [
            tuple(
                torch.from_numpy(table) for table in (level.cell_index.slots, level.cell_index.rows, level.cell_nodes)
            )
            for level in levels
        ]
        self._cast: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) at points (N, 3)."""
        clamped = points.clamp(-1.0, 1.0)
        value = self._evaluate(clamped, (0, 0, 0))
        outside = (points.detach().abs() > 1.0).any(-1)
        if not bool(outside.any()):
            return value
        away = torch.where(outside[:, None], points - clamped, 1.0).norm(dim=-1)
        return value + torch.where(outside, away, 0.0)

    def evaluate_clamped(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3), outside the cube those of its nearest point."""
        return self._evaluate(points.clamp(-1.0, 1.0), (0, 0, 0))

    def gradient(self, points: Tensor) -> Tensor:
        """Gradients (N, 3) in closed form at points (N, 3) of the cube."""
        return torch.stack([self._evaluate(points, order) for order in ((1, 0, 0), (0, 1, 0), (0, 0, 1))], -1)

    def hessian(self, points: Tensor) -> Tensor:
        """Second derivatives (N, 3, 3) in closed form at points (N, 3) of the cube; they jump between cells."""
        orders = [tuple(int(axis == a) + int(axis == b) for axis in range(3)) for a in range(3) for b in range(3)]
        return torch.stack([self._evaluate(points, order) for order in orders], -1).view(-1, 3, 3)

    def _evaluate(self, points: Tensor, order: Sequence[int]) -> Tensor:
        """Derivative (N,) of the given order along each axis; every point reads the finest level complete there."""
        totals = self._totals_for(points)
        rest = torch.arange(len(points), device=points.device)
        values, rows = [], []
        for number in range(len(self.levels) - 1, -1, -1):
            level, (slots, cell_rows, nodes) = self.levels[number], self._table(number, points.device)
            queries = points if len(rest) == len(points) else points[rest]
            scaled = (queries + 1.0) * (level.cells / 2)
            cell = scaled.detach().floor().long().clamp(0, level.cells - 1)
            padded = cell + LatticeIndex.MARGIN
            slot = slots[cell_key(padded >> 3, level.cell_index.blocks)].long()
            row = cell_rows[slot * 512 + cell_key(padded & 7, 8)].long()
            here = row >= 0
            if not bool(here.all()):
                index = here.nonzero()[:, 0]
                scaled, cell, row, covered = scaled[index], cell[index], row[index], rest[index]
                rest = rest[(~here).nonzero()[:, 0]]
            else:
                covered, rest = rest, rest[:0]
            if len(covered):
                local = scaled - cell
                x, y, z = (torch.stack(axis_weights(local[:, axis], order[axis]), -1) for axis in range(3))
                coefficients = totals[number][nodes[row].long()].view(-1, 9, 3)
                value = (coefficients @ z[:, :, None]).view(-1, 3, 3) @ y[:, :, None]
                value = (value[:, :, 0] * x).sum(-1) / level.width ** sum(order)
                values.append(value)
                rows.append(covered)
            if not len(rest):
                break
        if len(values) == 1:
            return values[0]
        if not values:
            return points.sum(-1)
        return torch.cat(values)[torch.cat(rows).argsort()]

    def _totals_for(self, points: Tensor) -> list[Tensor]:
        key = (points.dtype, points.device)
        if key not in self._cast:
            self._cast[key] = [
                total.to(dtype=points.dtype, device=points.device) for total in map(torch.from_numpy, self.totals)
            ]
        return self._cast[key]

    def _table(self, number: int, device: torch.device) -> tuple[Tensor, ...]:
        if self._tables[number][0].device != device:
            self._tables[number] = tuple(table.to(device) for table in self._tables[number])
        return self._tables[number]
