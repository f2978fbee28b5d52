"""Fitting codes to targets with the decoder frozen: what is fitted to, where a fit starts, and two ways down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .decoder import Decoder
from .optimize import Adam, Group, Step, Stop, minimize
from .second_order import Residuals, levenberg


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How the code of an unseen shape is found."""

    method: Literal["second-order", "adam"] = "second-order"
    """`second-order`: damped Gauss-Newton steps. `adam`: DeepSDF's way, many more and cheaper steps."""
    steps: int | None = None
    """Steps; None takes 24 of second order, 400 of Adam (DeepSDF: 800). Larger fits closer, up to a point."""
    points: int = 2048
    """Samples a step (second order: from a quarter to twice as many). Larger is smoother and slower (DeepSDF: 8000)."""
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
        if self.method not in ("second-order", "adam"):
            raise ValueError(f"method must be second-order or adam, got {self.method!r}")
        if min(self.count, self.points, self.samples) < 1 or self.candidates < 0:
            raise ValueError("steps, points and samples must be at least 1, candidates at least 0")
        if not self.rate > 0 or min(self.prior, self.shortage) < 0 or not self.truncation > 0:
            raise ValueError("rate and truncation must be positive, prior and shortage must be at least 0")

    @property
    def count(self) -> int:
        """Steps of the fit."""
        return self.steps if self.steps is not None else {"second-order": 24, "adam": 400}[self.method]


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


def infer_codes(
    decoder: Decoder,
    targets: Targets,
    stored: Tensor,
    config: EncodeConfig | None = None,
    on_step: Callable[[Step], bool | None] | None = None,
) -> InferredCodes:
    """Fit codes to targets with the decoder frozen (maximum a posteriori: DeepSDF, section 4), all shapes at once.

    Each shape starts from whichever of the mean code and some stored codes fits it best.

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
    fit = _by_second_order if config.method == "second-order" else _by_adam
    codes, stop = fit(decoder, targets, starts, config, on_step)
    with torch.no_grad():
        errors = sum(
            term
            for name, term in _terms(decoder, codes, _drawn(targets, config, random), config).items()
            if name != "prior"
        )
    return InferredCodes(codes, torch.as_tensor(errors), stop)


_WIDE = 0.2
"""Truncation that second-order fits begin with."""
_FINAL = 16
"""Candidates for the start that are looked at more closely."""
OnStep = Callable[[Step], bool | None] | None


def _by_adam(
    decoder: Decoder, targets: Targets, starts: Tensor, config: EncodeConfig, on_step: OnStep
) -> tuple[Tensor, Stop]:
    random = torch.Generator().manual_seed(config.seed + 1)
    codes = starts.clone().requires_grad_(True)
    optimizer = Adam([Group(name="codes", parameters=[codes], rate=config.rate)], clip=None)

    def objective(step: int) -> dict[str, Tensor]:
        terms = _terms(decoder, _nested(codes, step, config), _drawn(targets, config, random), config)
        return {name: term.sum() for name, term in terms.items()}

    stop = minimize(
        objective,
        optimizer,
        progress=lambda number, seconds: number / config.count,
        on_step=on_step,
    )
    return codes.detach(), stop


def _by_second_order(
    decoder: Decoder, targets: Targets, starts: Tensor, config: EncodeConfig, on_step: OnStep
) -> tuple[Tensor, Stop]:
    """Two iterations a stage, each stage on fresh points: few and looked at from afar first, many and close last.

    Fresh points and a narrowing truncation do for these steps what noise does for Adam: with all points held fixed, or
    with the last truncation from the start, the error of held-out shapes is 3 to 5 % higher.
    """
    random = torch.Generator().manual_seed(config.seed + 1)
    stages = [len(part) for part in torch.arange(config.count).tensor_split(-(-config.count // 2))]
    wide = max(_WIDE, config.truncation)

    def draw(stage: int) -> tuple[float, list[Residuals]]:
        done = stage / max(1, len(stages) - 1)
        reach = min(1.0, 1.5 * done) if len(stages) > 1 else 1.0
        drawn = _drawn(targets, config, random, max(1, round(config.points * 8.0**done / 4.0)))
        groups = [Residuals(drawn.points, drawn.distances)]
        if drawn.free is not None and drawn.bounds is not None:
            groups.append(Residuals(drawn.free, drawn.bounds, bounds=True, shortage=config.shortage))
        some = max(1, drawn.points.shape[1] // 4)
        shorter = [
            Residuals(drawn.points[:, :some], drawn.distances[:, :some], kept=size, weight=0.25 / len(config.nested))
            for size in config.nested
        ]
        return wide * (config.truncation / wide) ** reach, groups + shorter

    prior = config.prior / decoder.code_size
    return levenberg(decoder, draw, starts, stages, prior, on_step)


def _starts(
    decoder: Decoder, targets: Targets, stored: Tensor, config: EncodeConfig, random: torch.Generator
) -> Tensor:
    shapes = len(targets.points)
    mean = stored.mean(0) if len(stored) else torch.zeros(decoder.code_size, device=targets.points.device)
    if config.candidates == 0 or len(stored) == 0:
        return mean.expand(shapes, -1)
    chosen = torch.randperm(len(stored), generator=random)[: config.candidates].to(stored.device)
    candidates = torch.cat([mean[None], stored[chosen]])
    errors = _tried(decoder, candidates[:, None].expand(-1, shapes, -1), _drawn(targets, config, random, 128), config)
    best = candidates[errors.topk(min(_FINAL, len(candidates)), dim=0, largest=False).indices]
    errors = _tried(decoder, best, _drawn(targets, config, random, 1024), config)
    return best[errors.argmin(0), torch.arange(shapes, device=best.device)]


def _tried(decoder: Decoder, candidates: Tensor, drawn: Targets, config: EncodeConfig) -> Tensor:
    """Errors (K, S) of candidates (K, S, D)."""
    errors = []
    with torch.no_grad():
        for codes in candidates:
            terms = _terms(decoder, codes, drawn, config)
            errors.append(torch.stack([term for name, term in terms.items() if name != "prior"]).sum(0))
    return torch.stack(errors)


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
