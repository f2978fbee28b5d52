"""Fit of a scan without a latent space by descent on an objective of terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import torch
from torch import Tensor, nn

from ..core.field import SDF, evaluate
from ..core.lattice import lattice_vertices
from ..core.optimize import Adam, Group, OnStep, Step, minimize
from ..core.trace import Trace
from ..regularizers.objective import Objective
from ..regularizers.presets import Terms, resolve_terms
from ..scan.outliers import remove_outliers, require_solid
from ..scan.scan import Scan
from ..scan.winding import approximate_distance
from .fields import Field
from .fitted_field import MINIMUM_POINTS, FitMethod, Fitted
from .networks import NETWORKS, NetworkConfig
from .scan_batches import BatchSizes, ScanBatches

DEFAULT_PRESET = {True: "siren", False: "digs"}
"""Default preset of scans with normals (True) and without (False)."""
PAPER_NETWORK: Mapping[str, str] = {
    **dict.fromkeys(("siren", "digs", "steik", "viscoreg", "hotspot"), "sine"),
    "igr": "softplus",
    **dict.fromkeys(("neural-pull", "neural-pull+lsa", "gs-pull"), "relu"),
}
"""The kind of network in each preset's paper."""
CLIP = 10.0
"""Largest norm of the gradient of a step, as in the code of DiGS and ViscoReg."""
POOL = 250_000
"""Queries near the surface that are sampled once, with their nearest scan points: 122 batches of the default size.
Larger repeats them less and delays the first step."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of a fit by descent.

    Raises:
        ValueError: an unknown network or initial field, or a number out of its range.
    """

    network: str | NetworkConfig = "fast"
    """A name of `NETWORKS`, `paper` for the one of the preset's paper, or a network's own config."""
    start: Literal["rough", "ball"] = "rough"
    """Initial field of the fast network. `rough`: approximate distances, signed by the winding number of the scan's
    normals or of estimated ones. `ball`: a ball, as always for the other networks."""
    minutes: float = 2.0
    """Time budget, preparation included. Longer fits closer."""
    steps: int | None = None
    """Number of steps instead of a time budget; equal seeds then give equal results."""
    surface: int = 2048
    """Scan points a step. Larger gives smoother gradients and slower steps (the papers: 15,000)."""
    near: int = 2048
    """Queries near the surface a step (Neural-Pull: 5000)."""
    space: int = 1024
    """Points uniform in the cube a step (the papers: 15,000)."""
    rays: int = 512
    """Points on sensor rays a step, for scans with a known sensor."""
    points: int = 200_000
    """Upper bound of the scan points; a larger scan is subsampled."""
    outliers: float = 3.0
    """In a scan with outliers, points are dropped where the neighbour of rank 8 is farther than this many times the
    median; 0 keeps them all."""
    seed: int = 0
    """Seed of all sampling and of the network."""

    def __post_init__(self) -> None:
        if isinstance(self.network, str) and self.network not in (*NETWORKS, "paper"):
            raise ValueError(f"unknown network {self.network!r}; known are {', '.join(NETWORKS)} and paper")
        if self.start not in ("rough", "ball"):
            raise ValueError(f"a fit starts 'rough' or as a 'ball', got {self.start!r}")
        if min(self.surface, self.near, self.space, self.rays, self.points) < 1:
            raise ValueError("surface, near, space, rays and points of a fit must be at least 1")
        if not (0 < self.minutes < math.inf) or (self.steps is not None and self.steps < 1) or not self.outliers >= 0:
            raise ValueError(f"a fit needs minutes > 0, steps None or >= 1 and outliers >= 0, got {self}")


def fit(
    scan: Scan, terms: Terms | None = None, config: FitConfig | None = None, *, on_step: OnStep | None = None
) -> Fitted:
    """Fit a field to a scan alone by descent: no latent space, no learned prior.

    Args:
        scan: points in their own units; normals help but are not needed.
        terms: a preset's name, weights by term name, or rows; None takes `DEFAULT_PRESET`. A preset leaves its term on
            normals out where the scan has none.
        config: network, budget, batch sizes and seed; None takes the defaults.
        on_step: called after every step; returning True ends the fit.

    Returns:
        The field and facts of the fit. On Ctrl-C it is the field of the last step, and `stop` says so.

    Raises:
        ValueError: too few distinct points, all of them in one plane or on one line, an unknown preset or term, or a
            term that needs what the scan or the network does not have.

    Example:
        >>> result = fit(Scan.load("scan.ply"), "viscoreg", FitConfig(minutes=5))
        >>> result.mesh(256).export("shape.ply"); print(result.stop.value)
    """
    began = monotonic()
    config = config or FitConfig()
    solid = _prepare_scan(scan, config)
    oriented = solid.normals is not None
    name = DEFAULT_PRESET[oriented] if terms is None else terms if isinstance(terms, str) else ""
    objective = Objective(resolve_terms(name or terms or (), normals=oriented))
    frame = solid.frame()
    unit = solid.transformed(frame)
    generator = torch.Generator().manual_seed(config.seed)
    sizes = BatchSizes(config.surface, config.near, config.space, config.rays, POOL)
    batches = ScanBatches(unit, objective.needs(), sizes, generator)
    kind, network = _network(config, name)
    field = network.build(generator, torch.from_numpy(unit.points).float(), _initial_field(unit, config))
    budget = _Budget(config, on_step)
    stop = minimize(
        lambda step: objective(field, batches.sample(objective.needs(budget.now), generator), budget.now),
        Adam([Group(name=key, parameters=p, rate=rate) for key, (p, rate) in field.groups().items()], CLIP),
        progress=budget.progress,
        on_step=budget.step,
        start_seconds=monotonic() - began,
    )
    sdf, notes = _orient_field(field.requires_grad_(False))
    idle = () if budget.steps else ("no step was taken: the preparation used the time up; this is the initial field",)
    return Fitted(
        sdf=sdf,
        frame=frame,
        stop=stop,
        trace=tuple(budget.trace.rows),
        steps=budget.steps,
        seconds=monotonic() - began,
        preset=name,
        network=kind or field.kind,
        notes=(*solid.notes, *notes, *idle),
        method=FitMethod.DESCENT,
    )


class _Budget:
    """Progress by steps or by time, and the trace of a descent."""

    def __init__(self, config: FitConfig, on_step: OnStep | None):
        self._config, self._on_step = config, on_step
        self.now, self.steps, self.trace = 0.0, 0, Trace()

    def progress(self, number: int, seconds: float) -> float:
        """Fraction of the budget that is used up; `now` holds it, at most 1."""
        steps = self._config.steps
        used = seconds / (60 * self._config.minutes) if steps is None else number / steps
        self.now = min(used, 1.0)
        return used

    def step(self, step: Step) -> bool | None:
        """Record a step and pass it on."""
        self.steps = step.number
        self.trace.add({"progress": step.progress, "seconds": step.seconds, "loss": step.loss, **step.terms})
        return None if self._on_step is None else self._on_step(step)


def _prepare_scan(scan: Scan, config: FitConfig) -> Scan:
    """The scan with distinct, sorted points, without outliers and no larger than `config.points`.

    Raises:
        ValueError: its points bound no solid.
    """
    return require_solid(remove_outliers(scan, config.points, config.outliers, MINIMUM_POINTS, config.seed))


def _network(config: FitConfig, preset_name: str) -> tuple[str, NetworkConfig]:
    """Name ("" for a config of one's own) and config of the network."""
    if not isinstance(config.network, str):
        return "", config.network
    name = PAPER_NETWORK.get(preset_name, "sine") if config.network == "paper" else config.network
    return name, NETWORKS[name]


def _initial_field(unit: Scan, config: FitConfig) -> SDF | None:
    """Approximate signed distance to the scan, or None for a ball."""
    if config.start == "ball":
        return None
    normals = unit.with_normals(config.seed).normals
    assert normals is not None
    data = (unit.tree, unit.neighbour_distances)
    return lambda points: torch.from_numpy(approximate_distance(unit.points, normals, points.double().numpy(), *data))


class _NegatedField(Field):
    """A field with the opposite sign."""

    kind = "negated"

    def __init__(self, field: Field):
        super().__init__()
        self.field, self.smooth = field, field.smooth

    def forward(self, points: Tensor) -> Tensor:
        return -self.field(points)

    def expand(self, points: Tensor, order: int) -> None:
        return None

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return self.field.groups()


def _orient_field(field: Field) -> tuple[Field, tuple[str, ...]]:
    """The field with the sign that is positive on most of the border of the cube, and notes about it."""
    border = lattice_vertices(17)
    border = border[border.abs().amax(1) == 1]
    negative = float((evaluate(field, border) < 0).float().mean())
    if negative > 0.5:
        return _NegatedField(field), ("the field was negative outside; its sign was changed",)
    if negative > 0:
        return field, (f"the field is negative at {negative:.0%} of the cube's border; the scan may be open there",)
    return field, ()
