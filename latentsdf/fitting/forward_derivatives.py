"""Spatial derivatives of a network in forward mode: one pass for value and gradient, one more for a Laplacian.

In reverse mode a Laplacian takes three more backward passes, each of which the descent differentiates again. Forward
mode propagates derivatives with the values: a dense layer is linear in them, a pointwise one applies the chain rule,
(g o h)'' = g'(h) h'' + g''(h) h'^2, and one backward pass gives the gradient of everything in the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Pairs of axes of the rows of a Hessian."""


class FirstOrder(NamedTuple):
    """Values (N, W) and their derivatives (3, N, W) along x, y and z."""

    value: Tensor
    gradient: Tensor


class SecondOrder(NamedTuple):
    """Selection of second derivatives.

    `laplacian` is one row, the trace; `hessian` six, by `PAIRS`; `along` one, twice along `direction` (N, 3).
    """

    kind: Literal["laplacian", "hessian", "along"]
    direction: Tensor | None = None

    def products(self, gradient: Tensor) -> Tensor:
        """Products of first derivatives (3, N, W) for each selected row, (P, N, W)."""
        if self.kind == "laplacian":
            return gradient.square().sum(0, keepdim=True)
        if self.kind == "hessian":
            return torch.stack([gradient[i] * gradient[j] for i, j in PAIRS])
        assert self.direction is not None
        return (self.direction.T[:, :, None] * gradient).sum(0, keepdim=True).square()


class Layer(Protocol):
    """A layer that propagates derivatives."""

    def first(self, given: FirstOrder) -> FirstOrder:
        """Values and first derivatives of the output, from those of the input."""
        ...

    def second(self, rows: Tensor, given: FirstOrder, which: SecondOrder) -> Tensor:
        """Rows of second derivatives (P, N, W) of the output, from those of the input."""
        ...


class Dense(NamedTuple):
    """A linear layer W x + b."""

    weight: Tensor
    bias: Tensor

    def first(self, given: FirstOrder) -> FirstOrder:
        value = functional.linear(given.value, self.weight, self.bias)
        return FirstOrder(value, functional.linear(given.gradient, self.weight))

    def second(self, rows: Tensor, given: FirstOrder, which: SecondOrder) -> Tensor:
        return functional.linear(rows, self.weight)


class Pointwise(NamedTuple):
    """A function of each number, with its first two derivatives."""

    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    second_derivative: Callable[[Tensor], Tensor]

    def first(self, given: FirstOrder) -> FirstOrder:
        return FirstOrder(self.value(given.value), self.derivative(given.value) * given.gradient)

    def second(self, rows: Tensor, given: FirstOrder, which: SecondOrder) -> Tensor:
        squares = which.products(given.gradient)
        return self.derivative(given.value) * rows + self.second_derivative(given.value) * squares


class Skip(NamedTuple):
    """Skip connection of the coordinates: (x, points) / sqrt(2), as in IGR."""

    points: Tensor

    def first(self, given: FirstOrder) -> FirstOrder:
        pairs = zip(given, expand_points(self.points), strict=True)
        return FirstOrder(*(torch.cat(pair, -1) / 2**0.5 for pair in pairs))

    def second(self, rows: Tensor, given: FirstOrder, which: SecondOrder) -> Tensor:
        return functional.pad(rows, (0, 3)) / 2**0.5


class Expansion:
    """Value and derivatives of a field at N points; second derivatives are computed at their first use.

    Args:
        inputs: values and first derivatives of the input of the first layer.
        layers: the last has one output.
        second: second derivatives of the input, (P, N, W); None where they are zero.
    """

    def __init__(self, inputs: FirstOrder, layers: Sequence[Layer], second: Callable[[SecondOrder], Any] | None = None):
        self._input_second, self._passes = second, []
        for layer in layers:
            self._passes.append((layer, inputs))
            inputs = layer.first(inputs)
        self.value: Tensor = inputs.value[:, 0]
        self.gradient: Tensor = inputs.gradient[:, :, 0].T

    def laplacian(self) -> Tensor:
        """Trace of the Hessian, (N,)."""
        return self._second(SecondOrder("laplacian"))[0]

    def hessian(self) -> Tensor:
        """Matrix of second derivatives, (N, 3, 3)."""
        rows = self._second(SecondOrder("hessian"))
        order = [PAIRS.index((min(i, j), max(i, j))) for i in range(3) for j in range(3)]
        return rows[order].T.reshape(-1, 3, 3)

    def along(self, direction: Tensor) -> Tensor:
        """Second derivatives d^T H d, (N,), along directions d (N, 3) of any length."""
        return self._second(SecondOrder("along", direction))[0]

    def _second(self, which: SecondOrder) -> Tensor:
        width = self._passes[0][1].value.shape[-1]
        count = 6 if which.kind == "hessian" else 1
        seconds = self._input_second
        rows = self.value.new_zeros(count, len(self.value), width) if seconds is None else seconds(which)
        for layer, given in self._passes:
            rows = layer.second(rows, given, which)
        return rows[:, :, 0]


def expand_points(points: Tensor) -> FirstOrder:
    """Points (N, 3) as the input of a network; their derivatives are the unit vectors."""
    unit = torch.eye(3, dtype=points.dtype, device=points.device)
    return FirstOrder(points, unit[:, None].expand(3, len(points), 3))
