"""Networks of the papers: sine layers with multi-frequency initialisation, and softplus or ReLU layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .fields import INITIAL_RADIUS, RELU, LayeredField, sine, softplus
from .forward_derivatives import Pointwise

FREQUENCY = 30.0
"""Factor inside of every sine (SIREN's)."""
SINE_RATE, BALL_RATE = 1e-4, 5e-4
"""Learning rates of the SRB runs of DiGS and ViscoReg (ShapeNet: 5e-5), and of IGR (Neural-Pull: 1e-3)."""


@dataclass(frozen=True, kw_only=True)
class SineConfig:
    """Sine layers (SIREN) initialised as a ball, with low and high frequencies (MFGI of DiGS; ViscoReg's network).

    Raises:
        ValueError: a number out of its range.
    """

    width: int = 128
    """Units of a layer; 128 for ViscoReg's SRB runs, 256 for DiGS. Larger represents more; cost is quadratic."""
    depth: int = 5
    """Layers from hidden to hidden; 5 makes six sine layers."""

    def __post_init__(self) -> None:
        if self.width < 8 or self.depth < 2:
            raise ValueError(f"a sine network needs width >= 8 and depth >= 2, got {self}")

    def build(self, generator: torch.Generator, points: Tensor | None = None, initial: Any = None) -> SineField:
        """Initialise the network; it is a ball, whatever the points (M, 3) of the scan."""
        return SineField(self, generator)


class SineField(LayeredField):
    """SIREN with its initialisation of DiGS; see `SineConfig`."""

    kind: ClassVar[str] = "sine"

    def __init__(self, config: SineConfig, generator: torch.Generator):
        super().__init__()
        self.config, self.rate = config, SINE_RATE
        self.activation = sine(FREQUENCY)
        sizes = [3, *[config.width] * (config.depth + 1), 1]
        layers = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        shift = _initialise_multi_frequency(layers, config.width, generator)
        self.layers = nn.ModuleList(layers)
        self.output = _signed_root(shift)


def _initialise_multi_frequency(layers: list[nn.Linear], width: int, generator: torch.Generator) -> float:
    """Set every weight (MFGI of DiGS) and return the root of the raw output at the radius of the ball.

    The layer before the last computes 1 - cos of low frequencies, about squares of coordinates, and the last their sum.
    """

    def uniform(rows: int, columns: int, limit: float) -> Tensor:
        return (2 * torch.rand(rows, columns, generator=generator) - 1) * limit

    low = width // 4
    weights = [layer.weight.data for layer in layers]
    for layer in layers:
        layer.bias.data = uniform(1, layer.out_features, 1 / (1000 * layer.out_features))[0] / FREQUENCY
    weights[0][:low] = uniform(low, 3, 1.0) / FREQUENCY
    weights[0][low:] = uniform(width - low, 3, 1.0)
    limit = math.sqrt(3 / width)
    weights[1][:] = uniform(width, width, limit * 5e-4)
    weights[1][:low, :low] = uniform(low, low, limit) / FREQUENCY
    for weight in weights[2:-2]:
        weight[:] = uniform(width, width, limit) / FREQUENCY
    noise = torch.randn(width, width, generator=generator)
    weights[-2][:] = (0.5 * math.pi * torch.eye(width) + 1e-3 * noise) / FREQUENCY
    layers[-2].bias.data[:] = (0.5 * math.pi + 1e-3 * torch.randn(width, generator=generator)) / FREQUENCY
    weights[-1][:] = -1 + 1e-5 * torch.randn(1, width, generator=generator)
    layers[-1].bias.data[:] = width
    with torch.no_grad():
        value = _sphere_points(generator)
        for layer in layers[:-1]:
            value = torch.sin(FREQUENCY * layer(value))
        return float(layers[-1](value).clamp_min(0).sqrt().median())


def _sphere_points(generator: torch.Generator) -> Tensor:
    """1000 points of the initial ball's surface."""
    points = torch.randn(1000, 3, generator=generator)
    return INITIAL_RADIUS * points / points.norm(dim=-1, keepdim=True)


def _signed_root(shift: float) -> Pointwise:
    """0.1 (sign(x) sqrt(|x| + 1e-8) - shift) of the raw output x; shift makes it zero on the ball."""

    def root(x: Tensor) -> Tensor:
        return (x.abs() + 1e-8).sqrt()

    return Pointwise(
        lambda x: 0.1 * (x.sign() * root(x) - shift),
        lambda x: 0.05 / root(x),
        lambda x: -0.025 * x.sign() / root(x) ** 3,
    )


@dataclass(frozen=True, kw_only=True)
class BallConfig:
    """Layers initialised as the distance to a ball (the geometric initialisation of SAL and IGR).

    Raises:
        ValueError: an unknown activation, or a number out of its range.
    """

    width: int = 256
    """Units of a layer; 512 for IGR, 256 for Neural-Pull. Larger represents more; cost is quadratic."""
    depth: int = 8
    """Hidden layers."""
    activation: str = "softplus"
    """`softplus`, or `relu`, which has no second derivatives."""
    sharpness: float = 100.0
    """Of softplus."""
    skip: int | None = 4
    """The hidden layer with a skip connection from the coordinates, or None."""

    def __post_init__(self) -> None:
        if self.activation not in ("softplus", "relu"):
            raise ValueError(f"the activation of this network is 'softplus' or 'relu', got {self.activation!r}")
        if self.width < 8 or self.depth < 1 or not self.sharpness > 0:
            raise ValueError(f"this network needs width >= 8, depth >= 1 and a positive sharpness, got {self}")
        if self.skip is not None and not 1 <= self.skip < self.depth:
            raise ValueError(f"the skip must enter a hidden layer from 1 to {self.depth - 1}, got {self.skip}")

    def build(self, generator: torch.Generator, points: Tensor | None = None, initial: Any = None) -> BallField:
        """Initialise the network; it is a ball, whatever the points (M, 3) of the scan."""
        return BallField(self, generator)


class BallField(LayeredField):
    """Softplus or ReLU network; see `BallConfig`."""

    kind: ClassVar[str] = "ball"

    def __init__(self, config: BallConfig, generator: torch.Generator):
        super().__init__()
        self.config, self.skip, self.rate = config, config.skip, BALL_RATE
        self.smooth = config.activation != "relu"
        self.activation = RELU if config.activation == "relu" else softplus(config.sharpness)
        outputs = [config.width - 3 if layer + 1 == config.skip else config.width for layer in range(config.depth)]
        inputs = [3, *[config.width] * config.depth]
        layers = [nn.Linear(a, b) for a, b in zip(inputs, [*outputs, 1], strict=True)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            deviation = math.sqrt(2 / layer.out_features)
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * deviation
            layer.bias.data.zero_()
        if config.skip is not None:
            layers[config.skip].weight.data[:, -3:] = 0
        last = layers[-1]
        mean = math.sqrt(math.pi / last.in_features)
        last.weight.data = mean + 1e-4 * torch.randn(last.weight.shape, generator=generator)
        last.bias.data[:] = -INITIAL_RADIUS
        # The mean over random networks is the ball; this network is scaled to its radius.
        with torch.no_grad():
            last.weight *= INITIAL_RADIUS / (self(_sphere_points(generator)) + INITIAL_RADIUS).mean()
