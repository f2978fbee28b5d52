"""Where terms want the surface of a prior at the points of a scan: a descent on B-spline lattices from zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.field import SDF, Jet
from ..core.optimize import Adam, Group, Stop, minimize
from ..fitting.fast_field import FastConfig, FastField
from ..fitting.scan_batches import BatchSizes, ScanBatches
from ..regularizers.objective import Objective
from ..regularizers.presets import Terms, resolve_terms
from ..scan.scan import Scan
from ..solver.levels import COARSEST

_MOVES = 4
"""Steps along the normal that bring a point to the surface."""


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
    """Points within reach of the scan a step."""
    rays: int = 512
    """Points on sensor rays a step, for scans whose sensor's place is known."""

    def __post_init__(self):
        if min(self.steps, self.surface, self.near, self.space, self.rays) < 1:
            raise ValueError("steps, surface, near, space and rays of a descent must be at least 1")
        if not self.rate > 0:
            raise ValueError(f"the rate of a descent must be positive, got {self.rate}")


class Descent(NamedTuple):
    """What a descent found: the scan moved onto the surface, with the surface's normals, and why it ended."""

    scan: Scan
    stop: Stop


def descend_terms(
    unit: Scan,
    prior: SDF,
    terms: Terms,
    config: DescentConfig | None = None,
    *,
    resolution: int = 64,
    reach: float = 0.1,
    seed: int = 0,
) -> Descent:
    """Move the surface of a prior as terms ask for, near a scan, and say where it then lies.

    Terms in space are taken within reach of the points, so that what they ask of the prior elsewhere has no part in it.
    The lattices are only sound near the points; what keeps the prior away from them is the solve that follows
    (`tighten`). Second derivatives are those of the correction alone, as in the solve: a decoded field often has none.

    Args:
        unit: the scan in the unit frame, with normals, inside the cube.
        prior: the field that is corrected, unit frame.
        terms: a preset's name, weights by term name, or rows.
        config: how.
        resolution: cells an axis of the finest lattice, 8 times a power of two.
        reach: how far from the points terms are taken, unit frame.
        seed: of all draws.

    Raises:
        ValueError: an unknown preset or term, or a term that needs what the scan does not have.
    """
    config = config or DescentConfig()
    objective = Objective(resolve_terms(terms))
    random = torch.Generator().manual_seed(seed)
    amounts = BatchSizes(config.surface, config.near, config.space, config.rays, 50_000)
    queries = ScanBatches(unit, objective.needs(), amounts, random)
    places = torch.from_numpy(unit.points).float()
    sizes = [COARSEST * 2**step for step in range(11) if COARSEST * 2**step <= resolution]
    lattices = FastConfig(resolutions=tuple(sizes), banded=2 * COARSEST, depth=0, base=COARSEST)
    network = lattices.build(random, places, lambda at: torch.zeros(len(at)))
    field = _OnPrior(prior, network)

    def loss(step: int) -> dict[str, Tensor]:
        now = step / config.steps
        needs = objective.needs(now)
        batch = queries.sample(needs, random)
        if "space" in needs:
            batch = replace(batch, space=_about(places, config.space, reach, random))
        return objective(field, batch, now)

    moved = [Group(name="lattices", parameters=list(network.tables), rate=config.rate)]
    stop = minimize(loss, Adam(moved, 10.0), progress=lambda step, _: step / config.steps)
    return Descent(_on_surface(unit, field, reach), stop)


def _about(points: Tensor, count: int, reach: float, random: torch.Generator) -> Tensor:
    """Places (count, 3) of the cube within reach of points (M, 3), as often near as far from them."""
    rows = torch.randint(len(points), (count,), generator=random)
    way = torch.randn(count, 3, generator=random)
    far = reach * torch.rand(count, 1, generator=random)
    return (points[rows] + far * way / way.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(-1.0, 1.0)


def _on_surface(unit: Scan, field: _OnPrior, reach: float) -> Scan:
    """The points of a scan that find the surface within reach, moved onto it, with its normals."""
    start = torch.from_numpy(unit.points).float()
    parts = []
    for places in start.split(20_000):
        for _ in range(_MOVES):
            places = Jet(field, places).project().detach().clamp(-1.0, 1.0)
        jet = Jet(field, places)
        parts.append((places, jet.normal.detach(), jet.value.detach().abs()))
    feet, normals, missed = (torch.cat(part) for part in zip(*parts, strict=True))
    found = (missed < 0.1 * reach) & ((feet - start).norm(dim=1) < reach) & (normals.norm(dim=1) > 0.5)
    return replace(unit, points=feet[found].double().numpy(), normals=normals[found].double().numpy(), sensor=None)


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
