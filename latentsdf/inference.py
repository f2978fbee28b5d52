"""Codes of unseen shapes, with the decoder frozen: signed samples of a mesh, or the bare points of a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from scipy.spatial import KDTree
from torch import Tensor

from .decoder import Decoder
from .frame import Frame
from .mesh import audit_mesh, load_mesh, repair_mesh
from .optimize import Adam, Group, Step, Stop, minimize
from .sampling import SamplingConfig, draw_samples
from .scan import Scan
from .space import LatentSpace, Shape


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How the code of an unseen shape is found."""

    steps: int = 400
    """Adam steps. Larger fits closer, up to a point, and takes proportionally longer (DeepSDF: 800)."""
    points: int = 2048
    """Samples a step. Larger gives smoother gradients and slower steps (DeepSDF: 8000)."""
    rate: float = 2e-2
    """Learning rate at the start. Larger moves further from the starting code and may overshoot."""
    prior: float = 1e-4
    """Weight of the mean squared code. Larger stays nearer the codes of the space and fits the data less."""
    truncation: float = 0.03
    """Distances are compared within about this. Larger pulls from farther away, smaller cares for the surface."""
    shortage: float = 0.5
    """Scans: weight of a field nearer to zero than the data are. Larger grows no surface where the scan shows none,
    smaller trusts the space in holes."""
    candidates: int = 256
    """Stored codes tried as the start, beside the mean code. Larger starts nearer and costs time."""
    nested: tuple[int, ...] = ()
    """Code lengths that the code is to be readable at too; `encode` takes those of the space. A quarter of the steps
    are theirs."""
    samples: int = 60_000
    """Signed samples taken of a mesh. Larger sees thinner parts and costs preparation time."""
    seed: int = 0
    """Seed of the samples and of the points drawn each step."""

    def __post_init__(self):
        if min(self.steps, self.points, self.samples) < 1 or self.candidates < 0:
            raise ValueError("steps, points and samples must be at least 1, candidates at least 0")
        if not self.rate > 0 or min(self.prior, self.shortage) < 0 or not self.truncation > 0:
            raise ValueError("rate and truncation must be positive, prior and shortage must be at least 0")


class Targets(NamedTuple):
    """What codes are fitted to, in the unit frame; a draw per step is taken from each.

    Attributes:
        points: (S, N, 3) samples with signed distances.
        distances: (S, N); for a scan's own points, zero.
        free: (S, K, 3) or None: points that only bound the field.
        bounds: (S, K) or None: unsigned distance to the data; |field| may not exceed it.
    """

    points: Tensor
    distances: Tensor
    free: Tensor | None = None
    bounds: Tensor | None = None

    def to(self, device: torch.device) -> Targets:
        """The same targets on a device."""
        if self.free is None or self.bounds is None:
            return Targets(self.points.to(device), self.distances.to(device))
        return Targets(*(part.to(device) for part in (self.points, self.distances, self.free, self.bounds)))


class InferredCodes(NamedTuple):
    """Codes found (S, D), the mean truncated error of each at the end (S,), and why the loop ended."""

    codes: Tensor
    errors: Tensor
    stop: Stop


class ScanCode(NamedTuple):
    """The shape found for a scan, and why the fit ended."""

    shape: Shape
    stop: Stop


def infer_codes(
    decoder: Decoder,
    targets: Targets,
    stored: Tensor,
    config: EncodeConfig | None = None,
    on_step: Callable[[Step], bool | None] | None = None,
) -> InferredCodes:
    """Fit codes to targets with the decoder frozen (DeepSDF, section 4: maximum a posteriori by Adam).

    All S shapes are fitted at once. Each starts from whichever of the mean code and some stored codes fits it best.

    Args:
        decoder: of the space.
        targets: what is known of the shapes.
        stored: (K, D) codes of the space; K may be 0.
        config: how.
        on_step: called after every step.

    Returns:
        Codes, errors, and the reason of the end.
    """
    config = config or EncodeConfig()
    random = torch.Generator().manual_seed(config.seed)
    device = next(decoder.parameters()).device
    targets = targets.to(device)
    starts = _starts(decoder, targets, stored.to(device), config, random)
    codes = starts.clone().requires_grad_(True)
    optimizer = Adam([Group(name="codes", parameters=[codes], rate=config.rate)], clip=None)

    def objective(step: int) -> dict[str, Tensor]:
        terms = _terms(decoder, _nested(codes, step, config), _drawn(targets, config, random), config)
        return {name: term.sum() for name, term in terms.items()}

    stop = minimize(
        objective,
        optimizer,
        progress=lambda number, seconds: number / config.steps,
        on_step=on_step,
    )
    codes = codes.detach()
    with torch.no_grad():
        errors = sum(
            term
            for name, term in _terms(decoder, codes, _drawn(targets, config, random), config).items()
            if name != "prior"
        )
    return InferredCodes(codes, torch.as_tensor(errors), stop)


def encode(
    space: LatentSpace,
    mesh: trimesh.Trimesh | str | Path,
    *,
    name: str | None = None,
    config: EncodeConfig | None = None,
    on_step: Callable[[Step], bool | None] | None = None,
) -> Shape:
    """The code of an unseen mesh; the space's decoder does not change, and the shape is not added to it.

    Args:
        space: whose decoder reads the code.
        mesh: a mesh in its own units, or its file.
        name: of the shape; None takes the file's stem, or `shape`.
        config: how.
        on_step: called after every step of the fit.

    Returns:
        The shape, in the mesh's own units.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
    """
    return encode_all(space, [(name or _stem(mesh), mesh)], config=config, on_step=on_step)[0]


def encode_all(
    space: LatentSpace,
    meshes: Sequence[tuple[str, trimesh.Trimesh | str | Path]],
    *,
    config: EncodeConfig | None = None,
    on_step: Callable[[Step], bool | None] | None = None,
) -> list[Shape]:
    """Codes of several unseen meshes, fitted in one batch; see `encode`.

    Args:
        space: whose decoder reads the codes.
        meshes: (name, mesh or file) of each.
        config: how.
        on_step: called after every step of the fit.

    Raises:
        FileNotFoundError, ValueError: a mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C; codes that are only half fitted are not returned.
    """
    config = _for_space(config, space)
    prepared = [_signed_samples(name, mesh, config) for name, mesh in meshes]
    targets = Targets(torch.stack([item[0] for item in prepared]), torch.stack([item[1] for item in prepared]))
    found = infer_codes(space.decoder, targets, space.codes(), config, on_step)
    if found.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return [
        Shape(name, code, frame, space.decoder, {**info, "fit_error": float(error)})
        for (name, _), (_, _, frame, info), code, error in zip(meshes, prepared, found.codes, found.errors, strict=True)
    ]


def encode_scan(
    space: LatentSpace, scan: Scan, *, config: EncodeConfig | None = None, name: str | None = None
) -> ScanCode:
    """The code of a scan by its bare points: zero on them, and off them as far from zero as they are.

    The distance to the scan bounds the size of the field from above; where the scan is complete it is its size
    (sign-agnostic learning, Atzmon and Lipman 2020), so falling short of it costs too, but less.

    The frame is the scan's own bounding sphere, so a partial scan is placed only as well as its extent tells.

    Args:
        space: whose decoder reads the code; inside and outside come from it.
        scan: points in source units.
        config: how.
        name: of the shape; None is the scan's.

    Returns:
        The shape, in the scan's own units, and why the fit ended.
    """
    config = _for_space(config, space)
    frame = scan.frame()
    points = frame.apply(scan.subsampled(config.samples, config.seed).points)
    random = np.random.default_rng(config.seed)
    count = config.samples // 4
    around = points[random.integers(len(points), size=count)] + random.normal(0.0, 0.1, (count, 3))
    free = np.clip(np.concatenate([random.uniform(-1.0, 1.0, (count, 3)), around]), -1.0, 1.0)
    bounds, _ = KDTree(points).query(free)
    targets = Targets(
        _tensor(points)[None],
        torch.zeros(1, len(points)),
        _tensor(free)[None],
        _tensor(np.asarray(bounds))[None],
    )
    found = infer_codes(space.decoder, targets, space.codes(), config)
    info = {"fit_error": float(found.errors[0]), "scan_points": len(scan.points)}
    return ScanCode(Shape(name or scan.name or "scan", found.codes[0], frame, space.decoder, info), found.stop)


def _for_space(config: EncodeConfig | None, space: LatentSpace) -> EncodeConfig:
    config = config or EncodeConfig()
    return config if config.nested else replace(config, nested=space.nested)


def _signed_samples(
    name: str, mesh: trimesh.Trimesh | str | Path, config: EncodeConfig
) -> tuple[Tensor, Tensor, Frame, dict]:
    source = str(mesh) if isinstance(mesh, (str, Path)) else None
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    repaired, flipped = repair_mesh(loaded)
    audit = audit_mesh(repaired, flipped_faces=flipped, seed=config.seed)
    frame = Frame.around(repaired.vertices)
    unit = trimesh.Trimesh(frame.apply(repaired.vertices), repaired.faces, process=False)
    near = int(0.8 * config.samples)
    groups = draw_samples(unit, SamplingConfig(near=near, uniform=config.samples - near, band=0), config.seed)
    points = np.concatenate([groups["near"].points, groups["uniform"].points])
    distances = np.concatenate([groups["near"].distances, groups["uniform"].distances])
    order = np.random.default_rng(config.seed).permutation(len(points))
    return (
        _tensor(points[order]),
        _tensor(distances[order]),
        frame,
        {"source": source, "audit": audit.to_dict()},
    )


def _starts(
    decoder: Decoder, targets: Targets, stored: Tensor, config: EncodeConfig, random: torch.Generator
) -> Tensor:
    shapes = len(targets.points)
    mean = stored.mean(0) if len(stored) else torch.zeros(decoder.code_size, device=targets.points.device)
    if config.candidates == 0 or len(stored) == 0:
        return mean.expand(shapes, -1)
    chosen = torch.randperm(len(stored), generator=random)[: config.candidates].to(stored.device)
    candidates = torch.cat([mean[None], stored[chosen]])
    few = _drawn(targets, config, random, 512)
    errors = []
    with torch.no_grad():
        for candidate in candidates:
            terms = _terms(decoder, candidate.expand(shapes, -1), few, config)
            errors.append(torch.stack([term for name, term in terms.items() if name != "prior"]).sum(0))
    return candidates[torch.stack(errors).argmin(0)]


def _nested(codes: Tensor, step: int, config: EncodeConfig) -> Tensor:
    """The codes, or in every fourth step one of their prefixes, in turn."""
    if not config.nested or step % 4 != 3:
        return codes
    size = config.nested[(step // 4) % len(config.nested)]
    return codes * (torch.arange(codes.shape[1], device=codes.device) < size)


def _drawn(targets: Targets, config: EncodeConfig, random: torch.Generator, count: int | None = None) -> Targets:
    def some(total: int) -> Tensor:
        size = min(total, count or config.points)
        return torch.randint(total, (size,), generator=random).to(targets.points.device)

    rows = some(targets.points.shape[1])
    drawn = Targets(targets.points[:, rows], targets.distances[:, rows])
    if targets.free is None or targets.bounds is None:
        return drawn
    free = some(targets.free.shape[1])
    return drawn._replace(free=targets.free[:, free], bounds=targets.bounds[:, free])


def _terms(decoder: Decoder, codes: Tensor, drawn: Targets, config: EncodeConfig) -> dict[str, Tensor]:
    """Per-shape terms (S,): truncated distance error, excess over the bounds, and the prior."""
    tau = config.truncation
    state = decoder.prepare(codes)
    branch = decoder.branches[-1]
    predicted = decoder.query(state, drawn.points, branch)
    terms = {"distance": tau * (torch.tanh(predicted / tau) - torch.tanh(drawn.distances / tau)).abs().mean(1)}
    if drawn.free is not None and drawn.bounds is not None:
        # Hidden surface may lie nearer than the data, never farther: the two sides of the bound weigh differently.
        excess = torch.tanh(decoder.query(state, drawn.free, branch).abs() / tau) - torch.tanh(drawn.bounds / tau)
        terms["free"] = tau * torch.where(excess > 0, excess, -config.shortage * excess).mean(1)
    terms["prior"] = config.prior * codes.square().mean(1)
    return terms


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _stem(mesh: object) -> str:
    return Path(mesh).stem if isinstance(mesh, (str, Path)) else "shape"
