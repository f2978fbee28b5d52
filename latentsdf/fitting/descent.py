"""A scan to a signed distance function without a latent space: one network, one objective, one descent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import torch
import trimesh
from torch import Tensor, nn

from ..core.field import SDF, evaluate
from ..core.frame import Frame
from ..core.framed_field import FramedField
from ..core.lattice import lattice_vertices
from ..core.optimize import Adam, Group, OnStep, Step, Stop, minimize
from ..core.trace import Trace
from ..mesh.isosurface import extract_framed_mesh
from ..regularizers.objective import Objective
from ..regularizers.presets import preset, terms_of
from ..regularizers.term import Term
from ..scan.normals import outward_normals
from ..scan.outliers import remove_outliers, require_solid
from ..scan.scan import Scan
from ..scan.winding import approximate_distance
from .fields import Field
from .networks import NETWORKS, NetworkConfig
from .scan_batches import BatchSizes, ScanBatches

DEFAULT_PRESET = {True: "siren", False: "digs"}
"""The preset that is taken when none is named, for scans with normals and without."""

PAPER_NETWORK: Mapping[str, str] = {
    **dict.fromkeys(("siren", "digs", "steik", "viscoreg", "hotspot"), "sine"),
    "igr": "softplus",
    **dict.fromkeys(("neural-pull", "neural-pull+lsa", "gs-pull"), "relu"),
}
"""The kind of network that each preset's paper uses."""

CLIP = 10.0
"""The largest norm of a step's gradient, as in the code of DiGS and ViscoReg."""

LEAST_POINTS = 32
"""Fewer distinct points than this make no surface."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a scan is fitted."""

    network: str | NetworkConfig = "fast"
    """A name of `NETWORKS`, `paper` for the one of the preset's paper, or a network's own config."""
    start: Literal["rough", "ball"] = "rough"
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
    outliers: float = 3.0
    """Of a scan with strays, points are dropped where the neighbour of rank 8 is farther than this many times the
    usual; 0 keeps them all."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self):
        if isinstance(self.network, str) and self.network not in (*NETWORKS, "paper"):
            raise ValueError(f"unknown network {self.network!r}; known are {', '.join(NETWORKS)} and paper")
        if self.start not in ("rough", "ball"):
            raise ValueError(f"a fit starts 'rough' or as a 'ball', got {self.start!r}")
        if min(self.surface, self.near, self.space, self.rays, self.spread, self.pool, self.points) < 1:
            raise ValueError("surface, near, space, rays, spread, pool and points of a fit must be at least 1")
        if not (0 < self.minutes < math.inf) or (self.steps is not None and self.steps < 1) or not self.outliers >= 0:
            raise ValueError(
                f"a fit needs minutes > 0, steps None or >= 1 and outliers >= 0, got {self.minutes}, {self.steps} and "
                f"{self.outliers}"
            )


@dataclass(frozen=True, eq=False)
class Fitted:
    """A scan explained by a field of its own: an SDF in the scan's own units.

    Attributes:
        sdf: the field in the unit frame.
        frame: the scan's units <-> unit frame.
        stop: why the descent ended.
        trace: rows of progress, seconds, loss and weighted terms by name; some 200 of them, none of a solve.
        steps: how many were taken.
        seconds: for all of it.
        preset: the name of the objective; "" for terms of one's own.
        network: the kind of network; `splines` for a solve.
        notes: what was done to the scan and to the field, one line each.
    """

    sdf: SDF
    frame: Frame
    stop: Stop
    trace: tuple[dict[str, float], ...]
    steps: int
    seconds: float
    preset: str
    network: str
    notes: tuple[str, ...]

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in the scan's units, of points (N, 3) in the scan's units."""
        return FramedField(self.sdf, self.frame)(points)

    def mesh(self, resolution: int = 256) -> trimesh.Trimesh:
        """The surface as a watertight triangle mesh in the scan's units.

        Args:
            resolution: lattice cells per axis; larger is finer, and slower about quadratically.

        Raises:
            ValueError: the field has no surface.
        """
        return extract_framed_mesh(FramedField(self.sdf, self.frame), resolution)


def fit(
    scan: Scan,
    terms: str | Mapping[str, float] | Sequence[Term] | None = None,
    config: FitConfig | None = None,
    *,
    on_step: OnStep | None = None,
) -> Fitted:
    """Fit a field to a scan alone: no latent space, no learned prior.

    Args:
        scan: points in their own units; normals help but are not needed.
        terms: a preset's name, weights by term name, or rows; None takes `DEFAULT_PRESET`. A preset leaves its term on
            normals out where the scan has none.
        config: how.
        on_step: called after every step; returning True ends the fit.

    Returns:
        The field and what is known of the fit. On Ctrl-C it is the field so far, and `stop` says so.

    Raises:
        ValueError: too few distinct points, all of them in one plane or on one line, an unknown preset or term, or a
            term that needs what the scan or the network does not have.

    Example:
        >>> found = fit(Scan.load("scan.ply"), "viscoreg", FitConfig(minutes=5))
        >>> found.mesh(256).export("shape.ply"); print(found.stop.value)
    """
    began = monotonic()
    config = config or FitConfig()
    ready = _prepared(scan, config)
    bare = ready.normals is None
    name = DEFAULT_PRESET[not bare] if terms is None else terms if isinstance(terms, str) else ""
    objective = Objective(preset(name, normals=not bare) if name else terms_of(terms or ()))
    frame = ready.frame()
    unit = ready.transformed(frame)
    random = torch.Generator().manual_seed(config.seed)
    amounts = BatchSizes(config.surface, config.near, config.space, config.rays, config.spread, config.pool)
    queries = ScanBatches(unit, objective.needs(), amounts, random)
    network = _network(config, name)
    field = network.build(random, torch.from_numpy(unit.points).float(), _start(unit, config))
    budget = _Budget(config, on_step)
    stop = minimize(
        lambda step: objective(field, queries.batch(objective.needs(budget.now)), budget.now),
        Adam([Group(name=key, parameters=p, rate=rate) for key, (p, rate) in field.groups().items()], CLIP),
        progress=budget.progress,
        on_step=budget.step,
        start_seconds=monotonic() - began,
    )
    found, notes = _outside_positive(field.requires_grad_(False))
    kind = "" if isinstance(config.network, NetworkConfig) else _network_name(config, name)
    late = () if budget.steps else ("no step was taken: the time was used up before; this is the start alone",)
    notes = (*ready.notes, *notes, *late)
    return Fitted(
        sdf=found,
        frame=frame,
        stop=stop,
        trace=tuple(budget.trace.rows),
        steps=budget.steps,
        seconds=monotonic() - began,
        preset=name,
        network=kind or field.kind,
        notes=notes,
    )


class _Budget:
    """Progress by steps or by time, and the trace of a descent."""

    def __init__(self, config: FitConfig, on_step: OnStep | None):
        self._config, self._on_step = config, on_step
        self.now, self.steps, self.trace = 0.0, 0, Trace()

    def progress(self, number: int, seconds: float) -> float:
        """Fraction of the budget used up; `now` remembers it, cut at 1."""
        steps = self._config.steps
        used = seconds / (60 * self._config.minutes) if steps is None else number / steps
        self.now = min(used, 1.0)
        return used

    def step(self, step: Step) -> bool | None:
        """After every step."""
        self.steps = step.number
        self.trace.add({"progress": step.progress, "seconds": step.seconds, "loss": step.loss, **step.terms})
        return None if self._on_step is None else self._on_step(step)


def _prepared(scan: Scan, config: FitConfig) -> Scan:
    """The scan without repeated points, without strays and no larger than asked, its points sorted.

    Raises:
        ValueError: no surface can be made of it.
    """
    return require_solid(remove_outliers(scan, config.points, config.outliers, LEAST_POINTS, config.seed))


def _network_name(config: FitConfig, preset_name: str) -> str:
    name = str(config.network)
    return PAPER_NETWORK.get(preset_name, "sine") if name == "paper" else name


def _network(config: FitConfig, preset_name: str) -> NetworkConfig:
    if not isinstance(config.network, str):
        return config.network
    return NETWORKS[_network_name(config, preset_name)]


def _start(unit: Scan, config: FitConfig) -> Callable[[Tensor], Tensor] | None:
    if config.start == "ball":
        return None
    normals = outward_normals(unit.points, unit.sensor, seed=config.seed) if unit.normals is None else unit.normals
    return lambda places: torch.from_numpy(approximate_distance(unit.points, normals, places.double().numpy()))


class _Flipped(Field):
    """A field with its sides exchanged."""

    kind = "flipped"

    def __init__(self, field: Field):
        super().__init__()
        self.field, self.smooth = field, field.smooth

    def forward(self, points: Tensor) -> Tensor:
        return -self.field(points)

    def expand(self, points: Tensor, order: int) -> None:
        return None

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return self.field.groups()


def _outside_positive(field: Field) -> tuple[Field, tuple[str, ...]]:
    """The field with the sign that makes the border of the cube outside, and what there is to say about it."""
    border = lattice_vertices(17)
    border = border[border.abs().amax(1) == 1]
    negative = float((evaluate(field, border) < 0).float().mean())
    if negative > 0.5:
        return _Flipped(field), ("the field was negative outside; its sign was changed",)
    if negative > 0:
        return field, (f"the field is negative at {negative:.0%} of the cube's border; the scan may be open there",)
    return field, ()
