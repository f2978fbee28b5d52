"""Spatial derivatives of a network taken on the way forward: one pass for value and gradient, one more for a Laplacian.

Reverse mode takes a Laplacian by three more backward passes, each of which the descent then differentiates again.
Forward mode carries the derivatives along: a dense layer maps them as it maps the values, a pointwise one by the chain
rule, and a single backward pass gives the gradient of everything in the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

Kind = Literal["laplacian", "hessian", "along"]
PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Rows of second derivatives of a Hessian, by axis."""


class First(NamedTuple):
    """Values (N, W) and their derivatives (3, N, W) along x, y and z."""

    value: Tensor
    slope: Tensor


class Second(NamedTuple):
    """Which second derivatives are carried, and along what.

    `laplacian` is one row, the sum along the axes; `hessian` six, by `PAIRS`; `along` one, twice along `direction`
    (N, 3).
    """

    kind: Kind
    direction: Tensor | None = None

    def squared(self, slope: Tensor) -> Tensor:
        """Products of first derivatives (3, N, W) in the rows of this kind, (P, N, W)."""
        if self.kind == "laplacian":
            return slope.square().sum(0, keepdim=True)
        if self.kind == "hessian":
            return torch.stack([slope[i] * slope[j] for i, j in PAIRS])
        assert self.direction is not None
        return (self.direction.T[:, :, None] * slope).sum(0, keepdim=True).square()


class Stage(Protocol):
    """A layer that carries derivatives."""

    def first(self, given: First) -> First:
        """Values and first derivatives behind the layer."""
        ...

    def second(self, rows: Tensor, given: First, which: Second) -> Tensor:
        """Rows of second derivatives (P, N, W) behind the layer, from those before it."""
        ...


class Dense(NamedTuple):
    """A linear layer."""

    weight: Tensor
    bias: Tensor

    def first(self, given: First) -> First:
        return First(
            functional.linear(given.value, self.weight, self.bias), functional.linear(given.slope, self.weight)
        )

    def second(self, rows: Tensor, given: First, which: Second) -> Tensor:
        return functional.linear(rows, self.weight)


class Pointwise(NamedTuple):
    """A function of each number, with its first two derivatives."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    bend: Callable[[Tensor], Tensor]

    def first(self, given: First) -> First:
        return First(self.value(given.value), self.slope(given.value) * given.slope)

    def second(self, rows: Tensor, given: First, which: Second) -> Tensor:
        return self.slope(given.value) * rows + self.bend(given.value) * which.squared(given.slope)


class Beside(NamedTuple):
    """The coordinates put beside the numbers, both divided by the root of two (the skip of DeepSDF and IGR)."""

    points: Tensor

    def first(self, given: First) -> First:
        place = expand_points(self.points)
        joined = (torch.cat(pair, -1) / 2**0.5 for pair in zip(given, place, strict=True))
        return First(*joined)

    def second(self, rows: Tensor, given: First, which: Second) -> Tensor:
        return functional.pad(rows, (0, 3)) / 2**0.5


class Expansion:
    """Value and derivatives of a field at N points; second derivatives are taken when they are first asked for.

    Args:
        start: values and slopes that enter the first stage.
        stages: the layers; the last has one output.
        bends: second derivatives of what enters, (P, N, W); None where they are zero.
    """

    def __init__(self, start: First, stages: Sequence[Stage], bends: Callable[[Second], Tensor] | None = None):
        self._bends, self._passed = bends, []
        for stage in stages:
            self._passed.append((stage, start))
            start = stage.first(start)
        self.value = start.value[:, 0]
        self.gradient = start.slope[:, :, 0].T

    def laplacian(self) -> Tensor:
        """(N,)."""
        return self._second(Second("laplacian"))[0]

    def hessian(self) -> Tensor:
        """(N, 3, 3)."""
        rows = self._second(Second("hessian"))
        order = [PAIRS.index((min(i, j), max(i, j))) for i in range(3) for j in range(3)]
        return rows[order].T.reshape(-1, 3, 3)

    def along(self, direction: Tensor) -> Tensor:
        """Second derivative (N,) along directions (N, 3), times their squared lengths."""
        return self._second(Second("along", direction))[0]

    def _second(self, which: Second) -> Tensor:
        width = self._passed[0][1].value.shape[-1]
        count = 6 if which.kind == "hessian" else 1
        rows = self.value.new_zeros(count, len(self.value), width) if self._bends is None else self._bends(which)
        for stage, given in self._passed:
            rows = stage.second(rows, given, which)
        return rows[:, :, 0]


def expand_points(points: Tensor) -> First:
    """Points (N, 3) as what enters a network: their own derivatives are the unit vectors."""
    unit = torch.eye(3, dtype=points.dtype, device=points.device)
    return First(points, unit[:, None].expand(3, len(points), 3))


def expand(points: Tensor, stages: Sequence[Stage]) -> Expansion:
    """The expansion of a network of points."""
    return Expansion(expand_points(points), stages)
