"""What every network of one shape is: a field that can be asked for its derivatives on the way forward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .forward_derivatives import Beside, Dense, Expansion, Pointwise, Stage, expand

RELU = Pointwise(functional.relu, lambda x: (x > 0).to(x.dtype), torch.zeros_like)


def softplus(sharpness: float) -> Pointwise:
    """The logarithm of 1 + exp, as sharp as asked."""

    def bend(x: Tensor) -> Tensor:
        slope = torch.sigmoid(sharpness * x)
        return sharpness * slope * (1 - slope)

    return Pointwise(
        lambda x: functional.softplus(x, beta=sharpness),
        lambda x: torch.sigmoid(sharpness * x),
        bend,
    )


def sine(frequency: float) -> Pointwise:
    """A sine."""
    return Pointwise(
        lambda x: torch.sin(frequency * x),
        lambda x: frequency * torch.cos(frequency * x),
        lambda x: -(frequency**2) * torch.sin(frequency * x),
    )


class Field(nn.Module, ABC):
    """An SDF with parameters: points (N, 3) -> distances (N,), differentiable as often as torch can.

    Attributes:
        kind: its name on the command line.
        smooth: whether it has second derivatives; `Jet` refuses to take them otherwise.
    """

    kind: ClassVar[str]
    smooth: bool = True

    @abstractmethod
    def forward(self, points: Tensor) -> Tensor:
        """Signed distances (N,)."""

    @abstractmethod
    def expand(self, points: Tensor, order: int) -> Expansion | None:
        """Value and derivatives on the way forward; None where reverse mode is cheaper for that order.

        Points that carry a graph keep it.
        """

    @abstractmethod
    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """Parameters by name, each with its learning rate."""


class LayeredField(Field):
    """Dense layers with one activation, a skip or none, and a function of the output or none.

    A subclass fills `layers` and sets the rest.
    """

    layers: nn.ModuleList
    activation: Pointwise
    rate: float
    skip: int | None = None
    output: Pointwise | None = None

    def stages(self, points: Tensor) -> list[Stage]:
        """The layers as what carries derivatives; `points` (N, 3) go into the skip."""
        found: list[Stage] = []
        for number, layer in enumerate(self.layers):
            found += [Beside(points)] if number == self.skip else []
            assert isinstance(layer, nn.Linear)
            found.append(Dense(layer.weight, layer.bias))
            found += [self.activation] if number + 1 < len(self.layers) else []
        return found if self.output is None else [*found, self.output]

    def forward(self, points: Tensor) -> Tensor:
        value = points
        for stage in self.stages(points):
            match stage:
                case Dense(weight, bias):
                    value = functional.linear(value, weight, bias)
                case Pointwise():
                    value = stage.value(value)
                case _:
                    value = torch.cat([value, points], -1) / 2**0.5
        return value[:, 0]

    def expand(self, points: Tensor, order: int) -> Expansion | None:
        # A gradient alone is half as dear backwards.
        return expand(points, self.stages(points)) if order > 1 else None

    def groups(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return {"network": (list(self.parameters()), self.rate)}
