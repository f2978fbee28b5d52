"""Error of a solved field as a function of the weights of its points, with its gradient by the adjoint."""

from __future__ import annotations

import numpy as np
import torch
from reliability_pool import Item
from torch import Tensor

from latentsdf.core.arrays import Array
from latentsdf.scan.scan import Scan
from latentsdf.solver.bending import bending_of
from latentsdf.solver.galerkin import BORDER, NORMAL_WEIGHT, SolveConfig
from latentsdf.solver.levels import build_stack
from latentsdf.solver.linear_system import Misfit, PointEvaluation, System
from latentsdf.solver.oriented_points import checked_cloud
from latentsdf.solver.robust import weight_gradient
from latentsdf.solver.soft_constraints import border_misfit

REACH = 0.05
"""Truncation of distances, and their unit."""
CONFIG = SolveConfig(resolution=32, dense=16)


class Bench:
    """One scan, prepared for solves with any weights.

    Args:
        item: the scan and its truth.
        config: of the solve, without robust rounds.
    """

    def __init__(self, item: Item, config: SolveConfig = CONFIG):
        self.config = config
        self.cloud = checked_cloud(Scan(item.points, item.normals, item.sensor), None, None)
        self.stack = build_stack(self.cloud.points, config.resolution, config.dense)
        self.bendings = [bending_of(level) for level in self.stack.levels]
        self.reading = PointEvaluation(self.stack.levels, self.cloud.points, slopes=True)
        self.border = border_misfit(self.stack, self.cloud.points, BORDER)
        self.targets = np.concatenate([np.zeros(len(self.cloud.points)), self.cloud.normals.T.reshape(-1)])
        self.at_surface = PointEvaluation(self.stack.levels, item.surface, slopes=True)
        self.at_near = PointEvaluation(self.stack.levels, item.near, slopes=False)
        self.directions = torch.from_numpy(item.directions.T.copy())
        self.signed = torch.from_numpy(item.signed).clamp(-REACH, REACH)
        self.coefficients: Array | None = None

    def error(self, weights: Array) -> float:
        """Error of the field for weights (N,), in the order of the scan's points."""
        return float(self._error(self._solve(weights)[1])[0].detach())

    def error_and_gradient(self, weights: Array) -> tuple[float, Array]:
        """Error, and its gradient (N,) in the weights."""
        system, coefficients = self._solve(weights)
        error, surface, near = self._error(coefficients)
        at_surface, at_near = torch.autograd.grad(error, (surface, near))
        vectors = [np.zeros(len(level.nodes)) for level in system.levels]
        self.at_surface.add_transposed(at_surface.numpy(), vectors)
        self.at_near.add_transposed(at_near.numpy(), vectors)
        cotangent = system.restrict(vectors)
        rows = weight_gradient(system, system.misfits[0], coefficients, cotangent, tolerance=1e-2, limit=200)
        count = len(weights)
        gradient = self._scales() @ rows.reshape(4, count)
        result = np.empty(count)
        result[self.cloud.order] = gradient
        return float(error.detach()), result

    def _scales(self) -> Array:
        """Factors (4,) from the weight of a point to those of its rows: value and slopes."""
        width, count = self.stack.levels[-1].width, len(self.cloud.points)
        return np.array([self.config.position / width**2, *[NORMAL_WEIGHT] * 3]) / count

    def _solve(self, weights: Array) -> tuple[System, Array]:
        rows = (self._scales()[:, None] * weights[self.cloud.order]).reshape(-1)
        misfits = [Misfit(self.reading, rows, self.targets), self.border]
        system = System(self.stack, self.bendings, self.config.bending * self.stack.levels[-1].width, misfits)
        self.coefficients = system.solve(system.right_hand_side, self.coefficients, 1e-3, 300)[0]
        return system, self.coefficients

    def _error(self, coefficients: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Mean error in units of `REACH` on and near the surface, plus half of 1 - cosine of the normals."""
        system = System(self.stack, self.bendings, 1.0, [])
        totals = system.totals(coefficients)
        surface = torch.from_numpy(self.at_surface(totals)).requires_grad_()
        near = torch.from_numpy(self.at_near(totals)).requires_grad_()
        value, slope = surface.view(4, -1)[0], surface.view(4, -1)[1:]
        tilt = 1.0 - (slope * self.directions).sum(0) / slope.norm(dim=0).clamp_min(1e-3)
        on_surface = (value.abs() / REACH).clamp_max(1.0).mean()
        off_surface = (near.clamp(-REACH, REACH) - self.signed).abs().mean() / REACH
        return on_surface + off_surface + 0.5 * tilt.mean(), surface, near
