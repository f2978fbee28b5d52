"""Fields with parameters, and layered networks whose spatial derivatives are computed in forward mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .forward_derivatives import Dense, Expansion, Layer, Pointwise, Skip, expand_points

INITIAL_RADIUS = 0.5
"""Radius of the ball that networks are initialised as, in the unit frame, where scans have the radius 1/1.03."""
RELU = Pointwise(functional.relu, lambda x: (x > 0).to(x.dtype), torch.zeros_like)


def softplus(sharpness: float) -> Pointwise:
    """Softplus log(1 + exp(sharpness x)) / sharpness; larger is nearer to ReLU."""

    def second_derivative(x: Tensor) -> Tensor:
        slope = torch.sigmoid(sharpness * x)
        return sharpness * slope * (1 - slope)

    return Pointwise(
        lambda x: functional.softplus(x, beta=sharpness),
        lambda x: torch.sigmoid(sharpness * x),
        second_derivative,
    )


def sine(frequency: float) -> Pointwise:
    """Sine activation sin(frequency x) (SIREN)."""
    return Pointwise(
        lambda x: torch.sin(frequency * x),
        lambda x: frequency * torch.cos(frequency * x),
        lambda x: -(frequency**2) * torch.sin(frequency * x),
    )


class Field(nn.Module, ABC):
    """An SDF with parameters: points (N, 3) -> distances (N,), differentiable as often as torch can.

    Attributes:
        kind: its name in reports.
        smooth: whether it has second derivatives; `Jet` refuses to take them otherwise.
    """

    kind: ClassVar[str]
    smooth: bool = True

    @abstractmethod
    def forward(self, points: Tensor) -> Tensor:
        """Signed distances (N,) at points (N, 3)."""

    @abstractmethod
    def expand(self, points: Tensor, order: int) -> Expansion | None:
        """Value and derivatives at points (N, 3) in forward mode; None where reverse mode is cheaper for that order.

        Points that carry a graph keep it.
        """

    @abstractmethod
    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """Parameters by name, each group with its learning rate."""


class LayeredField(Field):
    """Dense layers with one activation, an optional skip connection and an optional function of the output.

    A subclass sets the attributes.
    """

    config: Any
    layers: nn.ModuleList
    activation: Pointwise
    rate: float
    skip: int | None = None
    output: Pointwise | None = None

    def sequence(self, points: Tensor) -> list[Layer]:
        """The layers in forward mode; points (N, 3) enter the skip connection."""
        layers: list[Layer] = []
        for number, dense in enumerate(self.layers):
            layers += [Skip(points)] if number == self.skip else []
            assert isinstance(dense, nn.Linear)
            layers.append(Dense(dense.weight, dense.bias))
            layers += [self.activation] if number + 1 < len(self.layers) else []
        return layers if self.output is None else [*layers, self.output]

    def forward(self, points: Tensor) -> Tensor:
        value = points
        for layer in self.sequence(points):
            match layer:
                case Dense(weight, bias):
                    value = functional.linear(value, weight, bias)
                case Pointwise():
                    value = layer.value(value)
                case _:
                    value = torch.cat([value, points], -1) / 2**0.5
        return value[:, 0]

    def expand(self, points: Tensor, order: int) -> Expansion | None:
        # A gradient alone costs half as much in reverse mode.
        return Expansion(expand_points(points), self.sequence(points)) if order > 1 else None

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return {"network": (list(self.parameters()), self.rate)}

    def extra_repr(self) -> str:
        return str(self.config)
