"""Descent on regularizer terms near a scan: B-spline lattices added to a prior, and the surface they end in."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.field import SDF, Jet
from ..core.optimize import Adam, Group, Stop, minimize
from ..decoder.base import Conditioned
from ..fitting.fast_field import FastConfig
from ..fitting.scan_batches import BatchSizes, ScanBatches
from ..regularizers.objective import Objective
from ..regularizers.presets import Terms, resolve_terms
from ..scan.scan import Scan
from ..solver.levels import COARSEST
from .corrected_field import CorrectedField, PriorTable

RATE = 2e-3
"""Learning rate of the coefficients, unit frame."""
BATCH = BatchSizes(surface=2048, near=2048, space=1024, rays=512, pool=50_000)
"""Points of each kind per step."""
_SPACE_POOL = 16_384
"""Points in space that steps draw from; the derivatives of the prior there are computed once."""
_PROJECTIONS = 4
"""Projections that bring a point to the surface."""


class Descent(NamedTuple):
    """Result of a descent.

    Attributes:
        scan: its points projected on the surface, with the surface's normals; None if no point has surface near it.
        stop: why the descent ended.
    """

    scan: Scan | None
    stop: Stop


def descend_terms(
    unit: Scan,
    prior: SDF,
    terms: Terms,
    steps: int = 300,
    *,
    resolution: int = 64,
    reach: float = 0.1,
    seed: int = 0,
) -> Descent:
    """Minimise terms of prior + lattices near a scan, and project the scan on the surface.

    Terms in space are evaluated within reach of the points, so that the prior elsewhere has no part in them. The
    lattices are only sound there; the solve that follows (`refine`) keeps the prior elsewhere. Where terms read second
    derivatives, a decoded prior takes part by its C1 form (`Conditioned.smoothed`).

    Args:
        unit: the scan in the unit frame, with normals, inside the cube.
        prior: the field that is corrected, unit frame.
        terms: a preset's name, weights by term name, or terms.
        steps: of Adam; larger fits closer.
        resolution: cells per axis of the finest lattice, 8 times a power of two.
        reach: largest distance from the points at which terms are evaluated, unit frame.
        seed: of all draws.

    Raises:
        ValueError: an unknown preset or term, or a term that needs what the scan or the prior does not have.
    """
    objective = Objective(resolve_terms(terms))
    generator = torch.Generator().manual_seed(seed)
    batches = ScanBatches(unit, objective.needs(), BATCH, generator)
    points = torch.from_numpy(unit.points).float()
    sizes = [COARSEST * 2**level for level in range(11) if COARSEST * 2**level <= resolution]
    lattices = FastConfig(resolutions=tuple(sizes), banded=2 * COARSEST, depth=0, base=COARSEST)
    network = lattices.build(generator, points, lambda queries: torch.zeros(len(queries)))
    second = frozenset().union(*(objective.second_order(step / steps) for step in range(steps)))
    if second and isinstance(prior, Conditioned):
        prior = prior.smoothed()
    pools = batches.pools()
    if "space" in objective.needs():
        pools["space"] = _near_points(points, _SPACE_POOL, reach, generator)
    field = CorrectedField(prior, network, PriorTable(prior, ((pools[at], at in second) for at in pools)))

    def loss(step: int) -> dict[str, Tensor]:
        progress = step / steps
        needs = objective.needs(progress)
        batch = batches.sample(needs, generator)
        if "space" in needs:
            rows = torch.randint(_SPACE_POOL, (BATCH.space,), generator=generator)
            batch = replace(batch, space=pools["space"][rows])
        return objective(field, batch, progress)

    group = Group(name="lattices", parameters=list(network.tables), rate=RATE)
    stop = minimize(loss, Adam([group], 10.0), progress=lambda step, _: step / steps)
    return Descent(_project_scan(unit, field, reach), stop)


def _near_points(points: Tensor, count: int, reach: float, generator: torch.Generator) -> Tensor:
    """Points (count, 3) of the cube at uniform distances up to reach from points (M, 3)."""
    rows = torch.randint(len(points), (count,), generator=generator)
    direction = torch.randn(count, 3, generator=generator)
    distance = reach * torch.rand(count, 1, generator=generator)
    offset = distance * direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (points[rows] + offset).clamp(-1.0, 1.0)


def _project_scan(unit: Scan, field: CorrectedField, reach: float) -> Scan | None:
    """The points of a scan that have surface within reach, projected on it, with its normals; None if none has."""
    source = torch.from_numpy(unit.points).float()
    parts = []
    for points in source.split(20_000):
        for _ in range(_PROJECTIONS):
            points = Jet(field, points).project().detach().clamp(-1.0, 1.0)
        jet = Jet(field, points)
        parts.append((points, jet.normal.detach(), jet.value.detach().abs()))
    feet, normals, error = (torch.cat(part) for part in zip(*parts, strict=True))
    valid = (error < 0.1 * reach) & ((feet - source).norm(dim=1) < reach) & (normals.norm(dim=1) > 0.5)
    if not bool(valid.any()):
        return None
    points, directions = feet[valid].double().numpy(), normals[valid].double().numpy()
    return replace(unit, points=points, normals=directions, sensor=None, colors=None)
