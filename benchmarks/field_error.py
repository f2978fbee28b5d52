"""The error of a solved field as a function of the weights of its points, with its derivative by the adjoint."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from reliability_pool import Item
from torch import Tensor

from latentsdf.scan.scan import Scan
from latentsdf.solver.galerkin import SolveConfig
from latentsdf.solver.levels import build_stack
from latentsdf.solver.linear_system import Misfit, Reading, System
from latentsdf.solver.oriented_points import checked_cloud
from latentsdf.solver.robust import weight_gradient
from latentsdf.solver.soft_constraints import border_squares

Array = NDArray[np.float64]
REACH = 0.05
"""Distances are compared up to this one, which is also their unit."""
CONFIG = SolveConfig(resolution=32, dense=16)


class Bench:
    """One scan, ready to be solved with any weights.

    Args:
        item: the scan and its truth.
        config: how it is solved; robust rounds are not.
    """

    def __init__(self, item: Item, config: SolveConfig = CONFIG):
        self.config = config
        self.cloud = checked_cloud(Scan(item.points, item.normals, item.sensor), None, None, config.neighbours)
        self.stack = build_stack(self.cloud.points, config.resolution, config.dense, config.halo)
        self.bendings = [level.bending() for level in self.stack.levels]
        self.reading = Reading(self.stack.levels, self.cloud.points, slopes=True)
        self.border = border_squares(self.stack, self.cloud.points, config.border)
        self.targets = np.concatenate([np.zeros(len(self.cloud.points)), self.cloud.normals.T.reshape(-1)])
        self.at_surface = Reading(self.stack.levels, item.surface, slopes=True)
        self.at_near = Reading(self.stack.levels, item.near, slopes=False)
        self.directions = torch.from_numpy(item.directions.T.copy())
        self.signed = torch.from_numpy(item.signed).clamp(-REACH, REACH)
        self.found: Array | None = None

    def error(self, weights: Array) -> float:
        """Error with weights (N,), in the order of the scan's points."""
        return float(self._error(self._solved(weights)[1])[0].detach())

    def error_and_gradient(self, weights: Array) -> tuple[float, Array]:
        """The same, and its derivative by each weight, (N,)."""
        system, coefficients = self._solved(weights)
        error, surface, near = self._error(coefficients)
        at_surface, at_near = torch.autograd.grad(error, (surface, near))
        vectors = [np.zeros(len(level.places)) for level in system.levels]
        self.at_surface.add_transposed(at_surface.numpy(), vectors)
        self.at_near.add_transposed(at_near.numpy(), vectors)
        cotangent = system.gathered(vectors)
        rows = weight_gradient(system, system.misfits[0], coefficients, cotangent, tolerance=1e-2, limit=200)
        count = len(weights)
        by_place = self._scales() @ rows.reshape(4, count)
        result = np.empty(count)
        result[self.cloud.order] = by_place
        return float(error.detach()), result

    def _scales(self) -> Array:
        """How much of a point's weight each of its four rows gets."""
        width, count = self.stack.levels[-1].width, len(self.cloud.points)
        return np.array([self.config.position / width**2, *[self.config.normal] * 3]) / count

    def _solved(self, weights: Array) -> tuple[System, Array]:
        rows = (self._scales()[:, None] * weights[self.cloud.order]).reshape(-1)
        misfits = [Misfit(self.reading, rows, self.targets), self.border]
        system = System(self.stack, self.bendings, self.config.bending * self.stack.levels[-1].width, misfits)
        self.found = system.solve(system.right, self.found, 1e-3, 300)[0]
        return system, self.found

    def _error(self, coefficients: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Mean error in units of `REACH` on and near the surface, and half of one less the cosine of the normals."""
        system = System(self.stack, self.bendings, 1.0, [])
        totals = system.totals(coefficients)
        surface = torch.from_numpy(self.at_surface(totals)).requires_grad_()
        near = torch.from_numpy(self.at_near(totals)).requires_grad_()
        value, slope = surface.view(4, -1)[0], surface.view(4, -1)[1:]
        turned = 1.0 - (slope * self.directions).sum(0) / slope.norm(dim=0).clamp_min(1e-3)
        off = (value.abs() / REACH).clamp_max(1.0).mean()
        away = (near.clamp(-REACH, REACH) - self.signed).abs().mean() / REACH
        return off + away + 0.5 * turned.mean(), surface, near
