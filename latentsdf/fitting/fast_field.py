"""The default of a CPU: features on spline lattices, coarse everywhere and fine near the scan, and a small network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..core.lattice import cell_centres
from .fields import Field, softplus
from .forward_derivatives import Dense, Expansion, First, Second, Stage, expand_points
from .spline_taps import Taps, read, tap_cells


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
    base: int = 32
    """Which of the lattices also carries the field of the start, to which the head adds."""
    radius: float = 0.5
    """Radius of the ball that the field starts as where nothing better is known, in the unit frame."""
    rate: float = 2e-3
    """Learning rate of the head."""
    lattice_rate: float = 1e-2
    """Learning rate of the lattices."""

    def __post_init__(self):
        if not self.resolutions or min(self.resolutions) < 1 or min(self.channels, self.width) < 1 or self.depth < 0:
            raise ValueError(f"a fast network needs resolutions, channels and width >= 1 and depth >= 0, got {self}")
        if not min(self.sharpness, self.radius, self.rate, self.lattice_rate) > 0:
            raise ValueError(f"sharpness, radius and rates of a fast network must be positive, got {self}")

        if self.base not in self.resolutions or self.base >= self.banded:
            raise ValueError(f"the base of a fast network must be one of its whole lattices, got {self.base}")

    def build(
        self,
        random: torch.Generator,
        points: Tensor | None = None,
        start: Callable[[Tensor], Tensor] | None = None,
    ) -> FastField:
        """The network at its start.

        Args:
            random: of the first features.
            points: (M, 3) places near which fine coefficients exist; None has them everywhere.
            start: about the field to start as, (N, 3) -> (N,); None is the ball.
        """
        return FastField(self, random, points, start)


class FastField(Field):
    """See `FastConfig`; the field is that of the start plus the head's output, which is zero at the start."""

    kind: ClassVar[str] = "fast"
    base: Tensor

    def __init__(
        self,
        config: FastConfig,
        random: torch.Generator,
        points: Tensor | None,
        start: Callable[[Tensor], Tensor] | None,
    ):
        super().__init__()
        self.config = config
        self.tables = nn.ParameterList()
        features = config.channels if config.depth else 1
        for resolution in config.resolutions:
            count, rows = (resolution + 2) ** 3, None
            if points is not None and resolution >= config.banded:
                cells = tap_cells(points, resolution)
                # One row more stands for all that is outside of the band; it is never moved, by weights of zero.
                rows = torch.full((count,), len(cells), dtype=torch.int32)
                rows[cells] = torch.arange(len(cells), dtype=torch.int32)
                count = len(cells) + 1
            self.register_buffer(f"rows_{resolution}", rows)
            first = torch.randn(count, features, generator=random)
            self.tables.append(nn.Parameter(first * (0.01 if config.depth else 0.0)))
        self.register_buffer("base", _start_values(config, start))
        sizes = [3 + features * len(config.resolutions), *[config.width] * config.depth]
        self._hidden = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.hidden = nn.ModuleList(self._hidden)
        for layer in self._hidden:
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
        rows, base = self._read(self._taps(points), Taps.value, repeatable)
        value = torch.cat([points, rows[0]], -1)
        for layer in self._hidden:
            value = self.activation.value(layer(value))
        return self.out(value)[:, 0] + base[0]

    def expand(self, points: Tensor, order: int) -> Expansion:
        found = self._taps(points)
        rows, base = self._read(found, Taps.first)
        place = expand_points(points)
        start = First(torch.cat([place.value, rows[0]], -1), torch.cat([place.slope, rows[1:]], -1))
        stages: list[Stage] = []
        for layer in self._hidden:
            stages += [Dense(layer.weight, layer.bias), self.activation]
        stages.append(Dense(self.out.weight, self.out.bias))

        def bends(which: Second) -> tuple[Tensor, Tensor]:
            rows, base = self._read(found, lambda taps: taps.second(which))
            return torch.cat([rows.new_zeros(*rows.shape[:2], 3), rows], -1), base

        return _OnBase(start, stages, base, bends)

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        head = [*self.hidden.parameters(), *self.out.parameters()]
        found = {"lattices": (list(self.tables), self.config.lattice_rate)}
        return {**found, "head": (head, self.config.rate)} if self.config.depth else found

    def _taps(self, points: Tensor) -> list[_Found]:
        found = []
        for resolution in self.config.resolutions:
            taps = Taps(points, resolution)
            index, kept = taps.index(resolution), None
            rows = getattr(self, f"rows_{resolution}")
            if rows is not None:
                index = rows[index]
                kept = index + 1 < len(self.tables[len(found)])
            found.append(_Found(taps, index, kept))
        return found

    def _read(
        self, found: list[_Found], weigh: Callable[[Taps], Tensor], repeatable: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Features (K, N, F) and the start's field (K, N), by some rows of weights."""
        parts, base = [], None
        for resolution, table, (taps, index, kept) in zip(self.config.resolutions, self.tables, found, strict=True):
            weight = weigh(taps) if kept is None else weigh(taps) * kept
            whole = torch.cat([table, self.base], -1) if resolution == self.config.base else table
            rows = read(whole, index, weight, repeatable)
            if resolution == self.config.base:
                rows, base = rows[..., :-1], rows[..., -1]
            parts.append(rows)
        assert base is not None
        return torch.cat(parts, -1), base


class _Found(NamedTuple):
    """Where a lattice is read, and which of the taps it holds (None: all)."""

    taps: Taps
    index: Tensor
    kept: Tensor | None


def _start_values(config: FastConfig, start: Callable[[Tensor], Tensor] | None) -> Tensor:
    """The start's field at the places of the coefficients of the base, (V, 1)."""
    centres = cell_centres(config.base, 1)
    values = centres.norm(dim=-1) - config.radius if start is None else start(centres)
    return values.float()[:, None]


class _OnBase(Expansion):
    """An expansion to which that of the start is added."""

    def __init__(
        self,
        start: First,
        stages: list[Stage],
        base: Tensor,
        bends: Callable[[Second], tuple[Tensor, Tensor]],
    ):
        super().__init__(start, stages)
        self._both = bends
        self.value = self.value + base[0]
        self.gradient = self.gradient + base[1:].T

    def _second(self, which: Second) -> Tensor:
        rows, base = self._both(which)
        self._bends = lambda _: rows
        return super()._second(which) + base
