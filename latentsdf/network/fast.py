"""The default of a CPU: features on spline lattices, coarse everywhere and fine near the scan, and a small network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .base import Field, softplus
from .forward import Dense, Expansion, First, Second, Stage, expand_points
from .spline import Taps, read, tap_cells

__all__ = ["FastConfig", "FastField"]


@dataclass(frozen=True, kw_only=True)
class FastConfig:
    """Lattices and a head (this library's; lattices of features after Compact-SDF and instant-NGP)."""

    resolutions: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    """Cells an axis of each lattice. Larger holds finer detail, and more of the noise."""
    banded: int = 64
    """From this resolution on, coefficients exist near the scan only. Larger takes more memory."""
    channels: int = 4
    """Features a lattice. Larger holds more and is slower."""
    width: int = 32
    """Units a hidden layer of the head."""
    depth: int = 1
    """Hidden layers of the head; 0 adds the lattices up, which makes the field linear in every number."""
    sharpness: float = 10.0
    """Of the softplus of the head. Larger is nearer to ReLU."""
    radius: float = 0.5
    """Radius of the ball that the field starts as, in the unit frame."""
    rate: float = 2e-3
    """Learning rate of the head."""
    lattice_rate: float = 1e-2
    """Learning rate of the lattices."""

    def __post_init__(self):
        if not self.resolutions or min(self.resolutions) < 1 or min(self.channels, self.width) < 1 or self.depth < 0:
            raise ValueError(f"a fast network needs resolutions, channels and width >= 1 and depth >= 0, got {self}")
        if not min(self.sharpness, self.radius, self.rate, self.lattice_rate) > 0:
            raise ValueError(f"sharpness, radius and rates of a fast network must be positive, got {self}")

    def build(self, random: torch.Generator, points: Tensor | None = None) -> FastField:
        """The network at its start.

        Args:
            random: of the first features.
            points: (M, 3) places near which fine coefficients exist; None has them everywhere.
        """
        return FastField(self, random, points)


class FastField(Field):
    """See `FastConfig`; the field is that of the ball plus the head's output, which starts at zero."""

    kind: ClassVar[str] = "fast"

    def __init__(self, config: FastConfig, random: torch.Generator, points: Tensor | None):
        super().__init__()
        self.config = config
        self.tables = nn.ParameterList()
        features = config.channels if config.depth else 1
        for resolution in config.resolutions:
            count, rows = (resolution + 2) ** 3, None
            if points is not None and resolution >= config.banded:
                cells = tap_cells(points, resolution)
                # The last row of a lattice in a band stands for all that is outside, and stays zero.
                rows = torch.full((count,), len(cells), dtype=torch.int32)
                rows[cells] = torch.arange(len(cells), dtype=torch.int32)
                count = len(cells) + 1
            start = torch.randn(count, features, generator=random) * (0.01 if config.depth else 0.0)
            if rows is not None:
                start[-1] = 0
            self.register_buffer(f"rows_{resolution}", rows)
            self.tables.append(nn.Parameter(start))
        sizes = [3 + features * len(config.resolutions), *[config.width] * config.depth]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        for layer in self.hidden:
            layer.weight.data = torch.randn(layer.weight.shape, generator=random) * math.sqrt(2 / layer.in_features)
            layer.bias.data.zero_()
        self.out = nn.Linear(sizes[-1], 1)
        self.out.weight.data.zero_()
        self.out.bias.data.zero_()
        if not config.depth:
            self.out.weight.data[:, 3:] = 1.0
            self.out.requires_grad_(False)
        self.activation = softplus(config.sharpness)

    def forward(self, points: Tensor) -> Tensor:
        repeatable = points.requires_grad and torch.is_grad_enabled()
        features = [points]
        for table, (taps, index, kept) in zip(self.tables, self._taps(points), strict=True):
            features.append(read(table, index, _masked(taps.value(), kept), repeatable)[0])
        value = torch.cat(features, -1)
        for layer in self.hidden:
            value = self.activation.value(layer(value))
        return self.out(value)[:, 0] + _ball(points, self.config.radius)

    def expand(self, points: Tensor, order: int) -> Expansion:
        found = self._taps(points)
        parts = [expand_points(points)]
        for table, (taps, index, kept) in zip(self.tables, found, strict=True):
            rows = read(table, index, _masked(taps.first(), kept), False)
            parts.append(First(rows[0], rows[1:]))
        start = First(torch.cat([part.value for part in parts], -1), torch.cat([part.slope for part in parts], -1))

        def bends(which: Second) -> Tensor:
            rows = [
                read(table, index, _masked(taps.second(which), kept), False)
                for table, (taps, index, kept) in zip(self.tables, found, strict=True)
            ]
            return torch.cat([rows[0].new_zeros(*rows[0].shape[:2], 3), *rows], -1)

        stages: list[Stage] = []
        for layer in self.hidden:
            stages += [Dense(layer.weight, layer.bias), self.activation]
        return _AroundBall(points, self.config.radius, start, [*stages, Dense(self.out.weight, self.out.bias)], bends)

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        head = [parameter for parameter in (*self.hidden.parameters(), *self.out.parameters())]
        found = {"lattices": (list(self.tables), self.config.lattice_rate)}
        return {**found, "head": (head, self.config.rate)} if self.config.depth else found

    def _taps(self, points: Tensor) -> list[tuple[Taps, Tensor, Tensor | None]]:
        found = []
        for resolution in self.config.resolutions:
            taps = Taps(points, resolution)
            index, kept = taps.index(resolution), None
            rows = getattr(self, f"rows_{resolution}")
            if rows is not None:
                index = rows[index]
                kept = index < int(rows.max())
            found.append((taps, index, kept))
        return found


def _masked(weight: Tensor, kept: Tensor | None) -> Tensor:
    return weight if kept is None else weight * kept


SOFTENING = 0.2
"""How round the tip of the ball's field is at its center, in units of length."""


def _ball(points: Tensor, radius: float) -> Tensor:
    """About the distance to a ball, smooth at its center too."""
    return (points.square().sum(-1) + SOFTENING**2).sqrt() - math.hypot(radius, SOFTENING)


class _AroundBall(Expansion):
    """An expansion to which that of the ball is added."""

    def __init__(self, points: Tensor, radius: float, *rest):
        super().__init__(*rest)
        self._points = points
        self._length = (points.square().sum(-1) + SOFTENING**2).sqrt()
        self.value = self.value + self._length - math.hypot(radius, SOFTENING)
        self.gradient = self.gradient + points / self._length[:, None]

    def _second(self, which: Second) -> Tensor:
        rows = super()._second(which)
        unit = self._points / self._length[:, None]
        eye = torch.eye(3, dtype=unit.dtype, device=unit.device)
        matrix = (eye - unit[:, :, None] * unit[:, None]) / self._length[:, None, None]
        if which.kind == "laplacian":
            return rows + matrix.diagonal(dim1=1, dim2=2).sum(-1)
        if which.kind == "hessian":
            upper = torch.triu_indices(3, 3)
            return rows + matrix[:, upper[0], upper[1]].T
        assert which.direction is not None
        return rows + torch.einsum("ni,nij,nj->n", which.direction, matrix, which.direction)
