"""A correction of a prior by descent on terms: B-spline lattices that start at zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from .field import SDF, Jet, evaluate
from .network import FastConfig
from .network.fast import FastField
from .optimize import Adam, Group, Stop, minimize
from .queries import Amounts, Queries
from .regularizers import Objective, Term, preset, terms_of
from .scan import Scan
from .solver import SplineField
from .solver.stack import COARSEST, build_stack

__all__ = ["DescentConfig", "descend"]

_COARSE = 32
"""Lattices of at most so many cells an axis cover the whole cube."""


@dataclass(frozen=True, kw_only=True)
class DescentConfig:
    """How a correction is descended to."""

    steps: int = 300
    """How many; larger fits closer."""
    rate: float = 2e-3
    """Learning rate of the coefficients, unit frame; larger moves farther and noisier."""
    surface: int = 2048
    """Scan points a step; larger gives smoother gradients and slower steps."""
    near: int = 2048
    """Queries near the surface a step."""
    space: int = 1024
    """Points within reach of the scan a step, and as many anywhere that keep the prior."""
    rays: int = 512
    """Points on sensor rays a step, for scans whose sensor's place is known."""
    hold: float = 100.0
    """Weight of the mean square that keeps the prior away from the points, in units of the weights of all terms
    together; larger keeps it better."""

    def __post_init__(self):
        if min(self.steps, self.surface, self.near, self.space, self.rays) < 1:
            raise ValueError("steps, surface, near, space and rays of a descent must be at least 1")
        if not self.rate > 0 or not self.hold >= 0:
            raise ValueError(f"a descent needs rate > 0 and hold >= 0, got {self.rate} and {self.hold}")


@dataclass(frozen=True, eq=False)
class Ground:
    """What a correction stands on.

    Attributes:
        prior: the field that is corrected, unit frame.
        held: what the sum is held to away from the points.
        reach: how far from the points it is free of that.
        resolution: cells an axis of the finest lattice.
    """

    prior: SDF
    held: SDF
    reach: float
    resolution: int


def descend(
    unit: Scan,
    ground: Ground,
    terms: str | Mapping[str, float] | Sequence[Term],
    config: DescentConfig,
    seed: int = 0,
) -> tuple[SplineField, Stop]:
    """The correction that terms ask for near a scan, and that is zero away from it.

    Terms in space are taken within the reach of the points, so that none of them moves the prior elsewhere. Second
    derivatives are those of the correction alone, as in the solve: a decoded field often has none.

    Args:
        unit: the scan in the unit frame, with normals, inside the cube.
        ground: what is corrected.
        terms: a preset's name, weights by term name, or rows.
        config: how.
        seed: of all draws.

    Returns:
        The correction, and why the descent ended.

    Raises:
        ValueError: an unknown preset or term, or a term that needs what the scan does not have.
    """
    objective = Objective(preset(terms) if isinstance(terms, str) else terms_of(terms))
    random = torch.Generator().manual_seed(seed)
    amounts = Amounts(config.surface, config.near, config.space, config.rays, 50, 50_000)
    queries = Queries(unit, objective.needs(), amounts, random)
    places = torch.from_numpy(unit.points).float()
    sizes = [COARSEST * 2**step for step in range(11) if COARSEST * 2**step <= ground.resolution]
    lattices = FastConfig(resolutions=tuple(sizes), banded=2 * _COARSE, depth=0, base=COARSEST)
    network = lattices.build(random, places, lambda at: torch.zeros(len(at)))
    field, keeper = _OnPrior(ground.prior, network), _Keeper(unit, ground, random)
    whole = config.hold * sum(term.weight for term in objective.terms)

    def loss(step: int) -> dict[str, Tensor]:
        now = step / config.steps
        needs = objective.needs(now)
        batch = queries.batch(needs)
        if "space" in needs:
            batch = replace(batch, space=keeper.about(places, config.space))
        return {**objective(field, batch, now), "hold": whole * keeper(network, config.space)}

    moved = [Group(name="lattices", parameters=list(network.tables), rate=config.rate)]
    stop = minimize(loss, Adam(moved, 10.0), progress=lambda step, _: step / config.steps)
    return _as_levels(network, unit), stop


class _Keeper:
    """The mean square by which a correction misses what is held, weighed by the distance from the points."""

    def __init__(self, unit: Scan, ground: Ground, random: torch.Generator):
        self._ground, self._random = ground, random
        cells = 48
        ticks = (torch.arange(cells) + 0.5) * (2 / cells) - 1
        places = torch.cartesian_prod(ticks, ticks, ticks)
        distance = np.asarray(KDTree(unit.points).query(places.numpy())[0])
        share = torch.from_numpy(np.clip(distance / ground.reach - 1, 0, 1) ** 2).float()
        self._places, self._share = places[share > 0], share[share > 0]
        self._targets = evaluate(ground.held, self._places) - evaluate(ground.prior, self._places)

    def about(self, points: Tensor, count: int) -> Tensor:
        """Places (count, 3) within the reach of points, as often near as far from them."""
        rows = torch.randint(len(points), (count,), generator=self._random)
        way = torch.randn(count, 3, generator=self._random)
        way = way / way.norm(dim=1, keepdim=True).clamp_min(1e-12)
        far = self._ground.reach * torch.rand(count, 1, generator=self._random)
        return (points[rows] + far * way).clamp(-1.0, 1.0)

    def __call__(self, network: FastField, count: int) -> Tensor:
        if not len(self._places):
            return torch.zeros(())
        rows = torch.randint(len(self._places), (count,), generator=self._random)
        return (self._share[rows] * (network(self._places[rows]) - self._targets[rows]).square()).mean()


class _OnPrior:
    """A prior that does not move plus lattices that do; derivatives of first order are those of the sum."""

    def __init__(self, prior: SDF, network: FastField):
        self._prior, self._network = prior, network

    def __call__(self, points: Tensor) -> Tensor:
        return self._prior(points) + self._network(points)

    def expand(self, points: Tensor, order: int) -> Any:
        """Value and derivatives on the way forward."""
        found = self._network.expand(points, order)
        found.value = found.value + self._prior(points)
        found.gradient = found.gradient + Jet(self._prior, points.detach()).gradient.detach()
        return found


def _as_levels(network: FastField, unit: Scan) -> SplineField:
    """The lattices of a network without a head as levels of a solve; both are the same B-splines."""
    stack = build_stack(unit.points.astype(np.float32).astype(np.float64), network.config.resolutions[-1], _COARSE, 1)
    tables = [table.detach()[:, 0].double().numpy() for table in network.tables]
    total = tables[0]
    for level, own in zip((*stack.coarse[1:], stack.levels[0]), tables[1:], strict=False):
        total = level.parents @ total + own
    totals = [total]
    for level, own in zip(stack.levels[1:], tables[len(stack.coarse) + 1 :], strict=True):
        total = level.parents @ total
        total[level.own] += own[:-1]
        totals.append(total)
    return SplineField(stack.levels, totals)
