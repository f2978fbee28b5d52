"""A scan to a signed distance function without a latent space: one network, one objective, one descent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from .field import evaluate
from .frame import Frame
from .meshing import extract_mesh
from .network import NETWORKS, Field, NetworkConfig
from .optimize import Adam, Group, Step, Stop, minimize
from .regularizers import PRESETS, Batch, Disks, Objective, Term, preset, ray_points, terms_of
from .scan import Scan
from .sides import outward_normals, rough_distance

__all__ = ["DEFAULT_PRESET", "LEAST_POINTS", "PAPER_NETWORK", "FitConfig", "Fitted", "fit"]

DEFAULT_PRESET = {True: "igr", False: "neural-pull"}
"""The preset that is taken when none is named, for scans with normals and without."""

PAPER_NETWORK: Mapping[str, str] = {
    **dict.fromkeys(("siren", "digs", "steik", "viscoreg", "hotspot"), "sine"),
    "igr": "softplus",
    **dict.fromkeys(("neural-pull", "neural-pull+lsa", "gs-pull"), "relu"),
}
"""The kind of network that each preset's paper uses."""

LEAST_POINTS = 32
"""Fewer distinct points than this make no surface."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a scan is fitted."""

    network: str | NetworkConfig = "fast"
    """A name of `NETWORKS`, `paper` for the one of the preset's paper, or a network's own config."""
    start: str = "rough"
    """`rough`: the fast network starts as rough distances, signed by the winding number of the scan's normals or of
    estimated ones. `ball`: it starts as a ball, as the other networks always do."""
    minutes: float = 2.0
    """Time budget, preparation included. Longer fits closer."""
    steps: int | None = None
    """Take this many steps instead of a time budget; equal seeds then give equal results."""
    surface: int = 2048
    """Scan points a step. Larger gives smoother gradients and slower steps (the papers: 15,000)."""
    near: int = 2048
    """Queries near the surface a step (Neural-Pull: 5000)."""
    space: int = 1024
    """Points uniform in the cube a step (the papers: 15,000)."""
    rays: int = 512
    """Points on sensor rays a step, for scans whose sensor's place is known."""
    spread: int = 50
    """Queries lie about the scan's points within the distance to the neighbour of this rank. Larger looks farther."""
    pool: int = 250_000
    """Queries that are drawn, once, with their nearest scan points. Larger repeats them less and starts later."""
    points: int = 200_000
    """Scan points kept; a larger scan is subsampled."""
    outliers: float = 6.0
    """Points are dropped where the neighbour of rank 8 is farther than this many times the usual; 0 keeps them all."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self):
        if isinstance(self.network, str) and self.network not in (*NETWORKS, "paper"):
            raise ValueError(f"unknown network {self.network!r}; known are {', '.join(NETWORKS)} and paper")
        if min(self.surface, self.near, self.space, self.rays, self.spread, self.pool, self.points) < 1:
            raise ValueError("surface, near, space, rays, spread, pool and points of a fit must be at least 1")
        if not (0 < self.minutes < math.inf) or (self.steps is not None and self.steps < 1) or not self.outliers >= 0:
            raise ValueError(
                f"a fit needs minutes > 0, steps None or >= 1 and outliers >= 0, got {self.minutes}, {self.steps} and "
                f"{self.outliers}"
            )


@dataclass(frozen=True, eq=False)
class Fitted:
    """A scan explained by a field of its own: an SDF in the scan's units.

    Attributes:
        sdf: the field in the unit frame.
        frame: the scan's units <-> unit frame.
        stop: why the descent ended.
        trace: rows of progress, seconds, loss and weighted terms by name, at most some 200.
        steps: how many were taken.
        seconds: for all of it.
        preset: the name of the objective, or "" for terms of one's own.
        notes: what was done to the scan and to the field, one line each.
    """

    sdf: Field
    frame: Frame
    stop: Stop
    trace: tuple[dict[str, float], ...]
    steps: int
    seconds: float
    preset: str
    notes: tuple[str, ...]

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in the scan's units, of points (N, 3) in the scan's units."""
        rotation = torch.as_tensor(self.frame.rotation.copy(), device=points.device)
        center = torch.as_tensor(self.frame.center.copy(), device=points.device)
        unit = (points.double() - center) @ rotation.T / self.frame.scale
        return self.frame.distance_out(self.sdf(unit.float())).to(points.dtype)

    def mesh(self, resolution: int = 256) -> trimesh.Trimesh:
        """The surface as a watertight triangle mesh in the scan's units.

        Raises:
            ValueError: the field has no surface.
        """
        unit = extract_mesh(self.sdf, resolution)
        return trimesh.Trimesh(self.frame.invert(unit.vertices), unit.faces, process=False)


def fit(
    scan: Scan,
    terms: str | Mapping[str, float] | Sequence[Term] | None = None,
    config: FitConfig | None = None,
    *,
    on_step: Callable[[Step], bool | None] | None = None,
) -> Fitted:
    began = monotonic()
    config = config or FitConfig()
    ready = _prepared(scan, config)
    name = DEFAULT_PRESET[ready.normals is not None] if terms is None else terms if isinstance(terms, str) else ""
    rows = preset(name, normals=ready.normals is not None) if name else terms_of(terms)
    objective = Objective(rows)
    frame = ready.frame()
    unit = ready.transformed(frame)
    random = torch.Generator().manual_seed(config.seed)
    field = _network(config, name).build(
        random, torch.from_numpy(unit.points).float(), _start(unit, config)
    )
    source = _Source(unit, objective, config, random)
    optimizer = Adam([Group(name=n, parameters=p, rate=r) for n, (p, r) in field.groups().items()], clip=10.0)
    trace: list[dict[str, float]] = []
    count = [0, 0.0]

    def progress(number: int, seconds: float) -> float:
        return number / config.steps if config.steps else seconds / (60 * config.minutes)

    def told(step: Step) -> bool | None:
        count[0] = step.number
        if not trace or step.progress - trace[-1]["progress"] >= 1 / 200:
            trace.append({"progress": step.progress, "seconds": step.seconds, "loss": step.loss, **step.terms})
        return None if on_step is None else on_step(step)

    latest = [0.0]

    def moment(number: int, seconds: float) -> float:
        latest[0] = min(progress(number, seconds), 1.0)
        return latest[0]

    stop = minimize(
        lambda step: objective(field, source.batch(latest[0]), latest[0]),
        optimizer,
        progress=moment,
        on_step=told,
        start_seconds=monotonic() - began,
    )
    return Fitted(field, frame, stop, tuple(trace), int(count[0]), monotonic() - began, name, ready.notes)


def _prepared(scan, config):
    return scan.subsampled(config.points, config.seed)


def _network(config: FitConfig, name: str) -> NetworkConfig:
    if not isinstance(config.network, str):
        return config.network
    return NETWORKS[PAPER_NETWORK.get(name, "sine") if config.network == "paper" else config.network]


def _start(unit: Scan, config: FitConfig) -> Callable[[Tensor], Tensor] | None:
    if config.start == "ball":
        return None
    normals = outward_normals(unit.points, seed=config.seed) if unit.normals is None else unit.normals
    return lambda places: torch.from_numpy(rough_distance(unit.points, normals, places.double().numpy()))


class _Source:
    def __init__(self, unit: Scan, objective: Objective, config: FitConfig, random: torch.Generator):
        self._config, self._random, self._objective = config, random, objective
        self._points = torch.from_numpy(unit.points).float()
        self._normals = None if unit.normals is None else torch.from_numpy(unit.normals).float()
        self._sensor = None if unit.sensor is None else torch.from_numpy(unit.sensor).float()
        needs = objective.needs()
        if needs & {"near", "disks"}:
            tree = KDTree(unit.points)
            rank = min(config.spread, len(unit) - 1)
            spread = np.asarray(tree.query(unit.points, [rank + 1])[0])[:, 0]
            rng = np.random.default_rng(config.seed)
            about = rng.permutation(np.resize(np.arange(len(unit)), config.pool))
            near = unit.points[about] + spread[about, None] * rng.normal(size=(config.pool, 3))
            self._nearest = torch.from_numpy(np.asarray(tree.query(near)[1]))
            self._near = torch.from_numpy(near).float()
        if "disks" in needs:
            self._disks = Disks.of_scan(unit).to(torch.float32)

    def batch(self, progress):
        needs, config, random = self._objective.needs(progress), self._config, self._random
        found: dict[str, Any] = {}
        if needs & {"surface", "normals"}:
            rows = torch.randint(len(self._points), (config.surface,), generator=random)
            found["surface"] = self._points[rows]
            if "normals" in needs and self._normals is not None:
                found["normals"] = self._normals[rows]
        if needs & {"near", "disks"}:
            rows = torch.randint(len(self._near), (config.near,), generator=random)
            found["near"] = self._near[rows]
            found["nearest"] = self._points[self._nearest[rows]]
            if "disks" in needs:
                found["disks"] = self._disks[self._nearest[rows]]
                found["near_disk"] = torch.arange(config.near)
        if "space" in needs:
            found["space"] = torch.rand(config.space, 3, generator=random) * 2 - 1
        return Batch(**found)
