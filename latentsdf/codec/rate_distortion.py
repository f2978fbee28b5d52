"""Coefficients of a residual that minimise distortion + lambda * bits over signed samples.

The distortion is the weighted squared error of the field truncated at `TRUNCATION` tau, one-sided where the target lies
beyond: sum_i w_i (f_i - clip(f_i, l_i, h_i))^2 with [l, h] = [t, t] for |t| < tau, [tau, inf) and (-inf, -tau] else.
Samples far from the surface are needed, or the descent invents surfaces where there are none.

Coordinate descent (Shoham and Gersho 1988 in this use): hats of one lattice whose nodes have the same parities do not
overlap, so an eighth of a lattice is chosen at once, each among a few integers, at its exact distortion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from .lattice_basis import hat_taps, lattice_cells
from .rate_model import RateModel, Surroundings
from .residual import TRUNCATION, Coefficients, step_of
from .starting_probabilities import STARTING_PROBABILITIES

Floats = NDArray[np.float32]


class RatePoint(NamedTuple):
    """One trade of distortion for bits.

    Attributes:
        weight: lambda, in squared units of the unit frame for each sample of weight 1 and bit, times the samples.
        step: number of the step of the coefficients, see `step_of`.
    """

    weight: float
    step: int


class RateSamples:
    """Signed samples that a residual is fitted to.

    Args:
        points: (N, 3) in the cube, unit frame: near the surface and all over the cube.
        distances: (N,) signed.
        prior: (N,) decoded field there.
    """

    def __init__(self, points: Array, distances: Array, prior: Array):
        tau = TRUNCATION
        self.points: Array = np.asarray(points, dtype=np.float64)
        self.prior = np.clip(prior, -tau, tau).astype(np.float32)
        self.low = np.where(distances <= -tau, -np.inf, np.minimum(distances, tau)).astype(np.float32)
        self.high = np.where(distances >= tau, np.inf, np.maximum(distances, -tau)).astype(np.float32)


class _Group(NamedTuple):
    """Hats of a lattice with nodes of one parity: rows of nodes (N,), weights (N,), their squares (N,)."""

    nodes: Indices
    weights: Floats
    squares: Floats


class RateDescent:
    """Coordinate descent over the coefficients of all lattices, from zero.

    Args:
        samples: that are fitted.
        levels: number of lattices.

    Attributes:
        samples: that are fitted.

    Example:
        >>> descent = RateDescent(samples, levels=3)
        >>> residual = Residual.of(descent.solve(RatePoint(1e-3, 20)))
    """

    def __init__(self, samples: RateSamples, levels: int):
        self.samples = samples
        self._groups: list[list[_Group]] = []
        self._levels: list[Indices] = []
        for cells in lattice_cells(levels):
            taps = hat_taps(samples.points, cells)
            self._groups.append([_Group(n, w, w * w) for n, w in zip(taps.nodes, taps.weights, strict=True)])
            self._levels.append(np.zeros((cells + 1,) * 3, dtype=np.int64))
        self._rates = RateModel(STARTING_PROBABILITIES)
        self._step: float | None = None
        self._field = samples.prior.copy()

    def restart(self, coefficients: Coefficients) -> None:
        """Go on from earlier coefficients of this descent."""
        self._levels = [level.copy() for level in coefficients.levels]
        self._step = step_of(coefficients.step)
        self._field = self._evaluate(self._step)

    def solve(self, point: RatePoint, levels: int | None = None, sweeps: int = 3) -> Coefficients:
        """Coefficients at a trade of distortion for bits, from those of the call before.

        Args:
            point: weights from large to small, call after call, come closer than one call at the last.
            levels: so many lattices change, from the coarsest; None is all.
            sweeps: over them, coarse to fine.
        """
        step = step_of(point.step)
        if self._step is not None and self._step != step:
            self._levels = [np.rint(level * (self._step / step)).astype(np.int64) for level in self._levels]
            self._field = self._evaluate(step)
        self._step = step
        for _ in range(sweeps):
            for level, groups in enumerate(self._groups[:levels]):
                around = self._rates.surroundings(self._levels, level)
                for group in groups:
                    self._improve(around, group, point.weight, step)
        return Coefficients([level.copy() for level in self._levels], point.step)

    @property
    def distortion(self) -> float:
        """Squared error over the samples."""
        error = self._field - np.clip(self._field, self.samples.low, self.samples.high)
        return float((error * error).sum())

    def _evaluate(self, step: float) -> Floats:
        """The field at the samples."""
        field = self.samples.prior.copy()
        for groups, level in zip(self._groups, self._levels, strict=True):
            if level.any():
                values = level.ravel().astype(np.float32) * np.float32(step)
                for group in groups:
                    field += values[group.nodes] * group.weights
        return field

    def _improve(self, around: Surroundings, group: _Group, weight: float, step: float) -> None:
        """Choose the coefficients of a group of nodes at once."""
        values = self._levels[around.level].ravel()
        count = len(values)
        error = self._field - np.clip(self._field, self.samples.low, self.samples.high)
        slope = np.bincount(group.nodes, group.weights * error, count)
        curvature = np.maximum(np.bincount(group.nodes, group.squares * (error != 0), count), 1e-9)
        # A change of a coefficient gains at most slope^2 / curvature, which must pay for the least of bits.
        nodes = np.flatnonzero((slope != 0) & ((slope * slope > weight * curvature) | (values != 0)))
        if not len(nodes):
            return
        now = values[nodes]
        moves = np.clip(np.rint(slope[nodes] / (curvature[nodes] * -step)), -_LONGEST_MOVE, _LONGEST_MOVE)
        best = self._best(around, group, nodes, now, _candidates(now, now + moves.astype(np.int64)), (weight, step))
        values[nodes] = best

    def _best(
        self,
        around: Surroundings,
        group: _Group,
        nodes: Indices,
        now: Indices,
        candidates: Iterator[Indices],
        settings: tuple[float, float],
    ) -> Indices:
        """The best candidates (K,) of nodes (K,); the field follows."""
        weight, step = settings
        position = np.full(self._levels[around.level].size, -1, dtype=np.int64)
        position[nodes] = np.arange(len(nodes))
        place = position[group.nodes]
        rows = np.flatnonzero(place >= 0)
        place, weights, field = place[rows], group.weights[rows], self._field[rows]
        low, high = self.samples.low[rows], self.samples.high[rows]
        price = self._rates.prices(self._levels[around.level], around, nodes)
        best, least, chosen = now.copy(), np.full(len(nodes), np.inf), field
        for candidate in candidates:
            moved = field + weights * ((candidate - now) * step).astype(np.float32)[place]
            error = moved - np.clip(moved, low, high)
            cost = np.bincount(place, error * error, len(nodes)) + weight * price(candidate)
            better = cost < least
            best[better], least[better] = candidate[better], cost[better]
            chosen = np.where(better[place], moved, chosen)
        self._field[rows] = chosen
        return best


_LONGEST_MOVE = 6
"""Most steps that a coefficient moves at once."""


def _candidates(now: Indices, ideal: Indices) -> Iterator[Indices]:
    yield now
    yield ideal
    yield ideal - np.sign(ideal)
    yield np.zeros_like(now)
    yield now + np.sign(ideal - now)
