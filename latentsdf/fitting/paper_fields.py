"""The papers' networks: sine layers with a multi-frequency start, softplus or ReLU layers that start as a ball."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .fields import RELU, LayeredField, sine, softplus
from .forward_derivatives import Pointwise


@dataclass(frozen=True, kw_only=True)
class SineConfig:
    """Sine layers (SIREN) started as a ball, with low and high frequencies (MFGI of DiGS; ViscoReg's network)."""

    width: int = 128
    """Units a layer; 128 for ViscoReg's SRB runs, 256 for DiGS. Larger is more able and slower, quadratically."""
    depth: int = 5
    """Layers from hidden to hidden; at 5 there are six sine layers."""
    frequency: float = 30.0
    """Factor inside of every sine. Larger is rougher."""
    radius: float = 0.5
    """Radius of the ball that the field starts as, about, in the unit frame."""
    rate: float = 1e-4
    """Learning rate (5e-5 for DiGS and ViscoReg's ShapeNet runs)."""

    def __post_init__(self):
        if self.width < 8 or self.depth < 2 or not (self.frequency > 0 and self.radius > 0):
            raise ValueError(
                f"a sine network needs width >= 8, depth >= 2 and a positive frequency and radius, got {self}"
            )

    def build(self, random: torch.Generator, points: Tensor | None = None, start: Any = None) -> SineField:
        """The network at its start, which is the ball whatever is known of the scan."""
        return SineField(self, random)


class SineField(LayeredField):
    """See `SineConfig`."""

    kind: ClassVar[str] = "sine"

    def __init__(self, config: SineConfig, random: torch.Generator):
        super().__init__()
        self.config, self.rate = config, config.rate
        self.activation = sine(config.frequency)
        sizes = [3, *[config.width] * (config.depth + 1), 1]
        layers = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        shift = _multi_frequency_start(layers, config, random)
        self.layers = nn.ModuleList(layers)
        self.output = _rooted(shift)

    def extra_repr(self) -> str:
        return str(self.config)


def _multi_frequency_start(layers: list[nn.Linear], config: SineConfig, random: torch.Generator) -> float:
    """Set every weight; returns the root that the raw output takes at the radius of the ball.

    The layer before the last makes 1 - cos of low waves, about squares of coordinates, and the last sums them up.
    """

    def uniform(rows: int, columns: int, limit: float) -> Tensor:
        return (2 * torch.rand(rows, columns, generator=random) - 1) * limit

    width, slow = config.width, config.width // 4
    weights = [layer.weight.data for layer in layers]
    for layer in layers:
        layer.bias.data = uniform(1, layer.out_features, 1 / (1000 * layer.out_features))[0] / config.frequency
    first = math.sqrt(3 / 3)
    weights[0][:slow] = uniform(slow, 3, first) / config.frequency
    weights[0][slow:] = uniform(width - slow, 3, first)
    usual = math.sqrt(3 / width)
    weights[1][:] = uniform(width, width, usual * 5e-4)
    weights[1][:slow, :slow] = uniform(slow, slow, usual) / config.frequency
    for weight in weights[2:-2]:
        weight[:] = uniform(width, width, usual) / config.frequency
    noise = torch.randn(width, width, generator=random)
    weights[-2][:] = (0.5 * math.pi * torch.eye(width) + 1e-3 * noise) / config.frequency
    layers[-2].bias.data[:] = (0.5 * math.pi + 1e-3 * torch.randn(width, generator=random)) / config.frequency
    weights[-1][:] = -1 + 1e-5 * torch.randn(1, width, generator=random)
    layers[-1].bias.data[:] = width
    return _root_at(layers, config, random)


def _root_at(layers: list[nn.Linear], config: SineConfig, random: torch.Generator) -> float:
    with torch.no_grad():
        value = _on_ball(config.radius, random)
        for layer in layers[:-1]:
            value = torch.sin(config.frequency * layer(value))
        return float(layers[-1](value).clamp_min(0).sqrt().median())


def _on_ball(radius: float, random: torch.Generator) -> Tensor:
    points = torch.randn(1000, 3, generator=random)
    return radius * points / points.norm(dim=-1, keepdim=True)


def _rooted(shift: float) -> Pointwise:
    """The signed root of the raw output, less what it is on the ball, times 0.1."""
    least = 1e-8

    def size(x: Tensor) -> Tensor:
        return (x.abs() + least).sqrt()

    return Pointwise(
        lambda x: 0.1 * (x.sign() * size(x) - shift),
        lambda x: 0.05 / size(x),
        lambda x: -0.025 * x.sign() / size(x) ** 3,
    )


@dataclass(frozen=True, kw_only=True)
class BallConfig:
    """Layers that start as the distance to a ball (the geometric initialisation of SAL and IGR)."""

    width: int = 256
    """Units a layer; 512 for IGR, 256 for Neural-Pull. Larger is more able and slower, quadratically."""
    depth: int = 8
    """Hidden layers."""
    activation: str = "softplus"
    """`softplus`, or `relu`, which has no second derivatives."""
    sharpness: float = 100.0
    """Of softplus."""
    skip: int | None = 4
    """The hidden layer that the coordinates enter once more; None has no such layer."""
    radius: float = 0.5
    """Radius of the ball, in the unit frame."""
    rate: float = 5e-4
    """Learning rate (1e-3 for Neural-Pull)."""

    def __post_init__(self):
        if self.activation not in ("softplus", "relu"):
            raise ValueError(f"the activation of this network is 'softplus' or 'relu', got {self.activation!r}")
        if self.width < 8 or self.depth < 1 or not (self.sharpness > 0 and self.radius > 0):
            raise ValueError(
                f"this network needs width >= 8, depth >= 1 and a positive sharpness and radius, got {self}"
            )
        if self.skip is not None and not 1 <= self.skip < self.depth:
            raise ValueError(f"the skip must enter a hidden layer from 1 to {self.depth - 1}, got {self.skip}")

    def build(self, random: torch.Generator, points: Tensor | None = None, start: Any = None) -> BallField:
        """The network at its start, which is the ball whatever is known of the scan."""
        return BallField(self, random)


class BallField(LayeredField):
    """See `BallConfig`."""

    kind: ClassVar[str] = "ball"

    def __init__(self, config: BallConfig, random: torch.Generator):
        super().__init__()
        self.config, self.skip, self.rate = config, config.skip, config.rate
        self.smooth = config.activation != "relu"
        self.activation = RELU if config.activation == "relu" else softplus(config.sharpness)
        ends = [config.width - 3 if layer + 1 == config.skip else config.width for layer in range(config.depth)]
        starts = [3, *[config.width] * config.depth]
        layers = [nn.Linear(a, b) for a, b in zip(starts, [*ends, 1], strict=True)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            spread = math.sqrt(2 / layer.out_features)
            layer.weight.data = torch.randn(layer.weight.shape, generator=random) * spread
            layer.bias.data.zero_()
        if config.skip is not None:
            layers[config.skip].weight.data[:, -3:] = 0
        last = layers[-1]
        mean = math.sqrt(math.pi / last.in_features)
        last.weight.data = mean + 1e-4 * torch.randn(last.weight.shape, generator=random)
        last.bias.data[:] = -config.radius
        # The mean over random networks is the ball; this one is scaled to its size.
        with torch.no_grad():
            last.weight *= config.radius / (self(_on_ball(config.radius, random)) + config.radius).mean()

    def extra_repr(self) -> str:
        return str(self.config)
