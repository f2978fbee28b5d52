"""Default field on a CPU: features on spline lattices, the finer ones near the scan only, and a small network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..core.field import SDF
from ..core.lattice import cell_centres
from .fields import INITIAL_RADIUS, Field, softplus
from .forward_derivatives import Dense, Expansion, FirstOrder, Layer, SecondOrder, expand_points
from .spline_taps import Taps, interpolate, support_rows

SHARPNESS = 10.0
"""Of the softplus of the head. Larger is nearer to ReLU."""
RATE, LATTICE_RATE = 2e-3, 1e-2
"""Learning rates of the head and of the lattices, whose coefficients each receive gradients from few points."""


@dataclass(frozen=True, kw_only=True)
class FastConfig:
    """Lattices and a head (this library's; lattices of features after Compact-SDF and instant-NGP).

    Raises:
        ValueError: a number out of its range.
    """

    resolutions: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    """Cells per axis of each lattice. Larger represents finer detail, and more of the noise."""
    banded: int = 64
    """From this resolution on, coefficients exist only near the scan. Larger takes more memory."""
    channels: int = 4
    """Features of a lattice. Larger represents more and is slower."""
    width: int = 32
    """Units of a hidden layer of the head."""
    depth: int = 1
    """Hidden layers of the head; 0 adds the lattices up, which makes the field linear in every parameter."""
    base: int = 32
    """Resolution of the lattice that also holds the initial field, to which the head adds."""

    def __post_init__(self) -> None:
        if not self.resolutions or min(self.resolutions) < 1 or min(self.channels, self.width) < 1 or self.depth < 0:
            raise ValueError(f"a fast network needs resolutions, channels and width >= 1 and depth >= 0, got {self}")
        if self.base not in self.resolutions or self.base >= self.banded:
            raise ValueError(f"the base of a fast network must be one of its whole lattices, got {self.base}")

    def build(self, generator: torch.Generator, points: Tensor | None = None, initial: SDF | None = None) -> FastField:
        """Initialise the network.

        Args:
            generator: of the first features.
            points: (M, 3) points near which fine coefficients exist, unit frame; None has them everywhere.
            initial: the initial field; None is a ball.
        """
        return FastField(self, generator, points, initial)


class FastField(Field):
    """u(x) = b(x) + h(x, features(x)): initial field b on the base lattice, head h that is initially zero."""

    kind: ClassVar[str] = "fast"
    base: Tensor

    def __init__(self, config: FastConfig, generator: torch.Generator, points: Tensor | None, initial: SDF | None):
        super().__init__()
        self.config = config
        self.tables = nn.ParameterList()
        features = config.channels if config.depth else 1
        for resolution in config.resolutions:
            count, rows = (resolution + 2) ** 3, None
            if points is not None and resolution >= config.banded:
                support = support_rows(points, resolution)
                # One more row stands for all coefficients outside of the band; weights of zero keep it constant.
                rows = torch.full((count,), len(support), dtype=torch.int32)
                rows[support] = torch.arange(len(support), dtype=torch.int32)
                count = len(support) + 1
            self.register_buffer(f"rows_{resolution}", rows)
            first = torch.randn(count, features, generator=generator)
            self.tables.append(nn.Parameter(first * (0.01 if config.depth else 0.0)))
        self.register_buffer("base", _base_coefficients(config, initial))
        sizes = [3 + features * len(config.resolutions), *[config.width] * config.depth]
        self._hidden = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.hidden = nn.ModuleList(self._hidden)
        for layer in self._hidden:
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * math.sqrt(2 / layer.in_features)
            layer.bias.data.zero_()
        self.out = nn.Linear(sizes[-1], 1)
        self.out.weight.data.zero_()
        self.out.bias.data.zero_()
        if not config.depth:
            self.out.weight.data[:, 3:] = 1.0
            self.out.requires_grad_(False)
        self.activation = softplus(SHARPNESS)

    def forward(self, points: Tensor) -> Tensor:
        twice_differentiable = points.requires_grad and torch.is_grad_enabled()
        rows, base = self._interpolate(self._supports(points), Taps.value, twice_differentiable)
        value = torch.cat([points, rows[0]], -1)
        for layer in self._hidden:
            value = self.activation.value(layer(value))
        return self.out(value)[:, 0] + base[0]

    def expand(self, points: Tensor, order: int) -> Expansion:
        supports = self._supports(points)
        rows, base = self._interpolate(supports, Taps.first)
        coordinates = expand_points(points)
        inputs = FirstOrder(*(torch.cat(pair, -1) for pair in zip(coordinates, (rows[0], rows[1:]), strict=True)))
        layers: list[Layer] = []
        for layer in self._hidden:
            layers += [Dense(layer.weight, layer.bias), self.activation]
        layers.append(Dense(self.out.weight, self.out.bias))

        def second(which: SecondOrder) -> tuple[Tensor, Tensor]:
            rows, base = self._interpolate(supports, lambda taps: taps.second(which))
            return torch.cat([rows.new_zeros(*rows.shape[:2], 3), rows], -1), base

        return _BaseExpansion(inputs, layers, base, second)

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        groups = {"lattices": (list(self.tables), LATTICE_RATE)}
        head = [*self.hidden.parameters(), *self.out.parameters()]
        return {**groups, "head": (head, RATE)} if self.config.depth else groups

    def _supports(self, points: Tensor) -> list[_Support]:
        supports = []
        for resolution, table in zip(self.config.resolutions, self.tables, strict=True):
            taps = Taps(points, resolution)
            index, banded = taps.index(resolution), None
            rows = getattr(self, f"rows_{resolution}")
            if rows is not None:
                index = rows[index]
                banded = index + 1 < len(table)
            supports.append(_Support(taps, index, banded))
        return supports

    def _interpolate(
        self, supports: list[_Support], weights: Callable[[Taps], Tensor], twice_differentiable: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Features (K, N, F) and the initial field (K, N), for K rows of weights."""
        parts, base = [], None
        for resolution, table, support in zip(self.config.resolutions, self.tables, supports, strict=True):
            taps, index, banded = support
            weight = weights(taps) if banded is None else weights(taps) * banded
            whole = torch.cat([table, self.base], -1) if resolution == self.config.base else table
            rows = interpolate(whole, index, weight, twice_differentiable)
            if resolution == self.config.base:
                rows, base = rows[..., :-1], rows[..., -1]
            parts.append(rows)
        assert base is not None
        return torch.cat(parts, -1), base


class _Support(NamedTuple):
    """Taps of a lattice at N points, their rows (N, 27) in its table, and which of them it holds (None: all)."""

    taps: Taps
    index: Tensor
    banded: Tensor | None


def _base_coefficients(config: FastConfig, initial: SDF | None) -> Tensor:
    """Coefficients (V, 1) of the base lattice: the initial field at the centre of each spline."""
    centres = cell_centres(config.base, 1)
    values = centres.norm(dim=-1) - INITIAL_RADIUS if initial is None else initial(centres)
    return values.float()[:, None]


class _BaseExpansion(Expansion):
    """Expansion of the head plus that of the initial field."""

    def __init__(self, inputs: FirstOrder, layers: list[Layer], base: Tensor, second: Callable[[SecondOrder], Any]):
        super().__init__(inputs, layers)
        self._both = second
        self.value = self.value + base[0]
        self.gradient = self.gradient + base[1:].T

    def _second(self, which: SecondOrder) -> Tensor:
        rows, base = self._both(which)
        self._input_second = lambda _: rows
        return super()._second(which) + base
