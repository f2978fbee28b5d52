"""Residuals of a field at points: signed distances, unsigned distances and free space, softly truncated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

Kind = Literal["signed", "unsigned", "outside"]
"""`signed`: the field is the target. `unsigned`: its absolute value is (sign-agnostic learning, Atzmon and Lipman
2020). `outside`: it lies between zero and the target."""


class Residuals(NamedTuple):
    """A group of residuals r = tau (tanh(a / tau) - tanh(t / tau)) of field values f, with the truncation tau.

    Signed: a = f and t = target. Unsigned: a = |f| and t = target. Outside: a = f and t = min(max(f, 0), target).

    Attributes:
        points: (S, N, 3), or (1, N, 3) where all shapes share them.
        targets: (S, N) or (1, N).
        kind: of the targets.
        under_weight: unsigned only: weight of a distance below its target; one above it has weight 1.
        prefix: length of the code prefix that is read; None reads all numbers.
        weight: of the group's mean.
    """

    points: Tensor
    targets: Tensor
    kind: Kind = "signed"
    under_weight: float = 1.0
    prefix: int | None = None
    weight: float = 1.0

    def to(self, device: torch.device) -> Residuals:
        """The same group on a device."""
        return self._replace(points=self.points.to(device), targets=self.targets.to(device))

    def residual(self, values: Tensor, truncation: float) -> tuple[Tensor, Tensor]:
        """Residuals r and their derivatives dr / df, both (..., N), of field values (..., N)."""
        unsigned = self.kind == "unsigned"
        soft = torch.tanh((values.abs() if unsigned else values) / truncation)
        slope = 1.0 - soft * soft
        if self.kind == "outside":
            allowed = torch.minimum(values.clamp_min(0.0), self.targets)
            return truncation * (soft - torch.tanh(allowed / truncation)), slope * (values != allowed)
        residual = truncation * (soft - torch.tanh(self.targets / truncation))
        return residual, slope * values.sign() if unsigned else slope

    def weights(self, residual: Tensor) -> Tensor:
        """Weight (..., N) of each absolute residual (..., N)."""
        if self.kind == "unsigned":
            return torch.where(residual < 0, self.under_weight, 1.0)
        return torch.ones_like(residual)

    def loss(self, values: Tensor, truncation: float) -> Tensor:
        """Weighted mean absolute residual (...,) of field values (..., N)."""
        return self.mean(self.residual(values, truncation)[0])

    def mean(self, residual: Tensor) -> Tensor:
        """Weighted mean (...,) of absolute residuals (..., N)."""
        return self.weight * (self.weights(residual) * residual.abs()).mean(-1)

    def select(self, rows: Tensor) -> Residuals:
        """Residuals of shapes `rows` (R,), in that order; a shape may occur several times."""
        points, targets = (part if len(part) == 1 else part[rows] for part in (self.points, self.targets))
        return self._replace(points=points, targets=targets)


def stacked(groups: Sequence[Residuals]) -> Residuals:
    """One group of the first residuals of P groups of one kind, a row each: as many as the smallest of them has.

    Args:
        groups: with points (1, N, 3), N of their own.
    """
    count = min(group.points.shape[1] for group in groups)
    points = torch.cat([group.points[:, :count] for group in groups])
    return groups[0]._replace(points=points, targets=torch.cat([group.targets[:, :count] for group in groups]))


class ResidualSampler(Protocol):
    """A source of random residuals."""

    def sample(self, count: int, generator: torch.Generator) -> list[Residuals]:
        """Groups of at most `count` residuals each, drawn with the generator."""
        ...


class SignedSamples(NamedTuple):
    """Signed distance samples of S shapes that codes are fitted to, in the unit frame.

    Attributes:
        points: (S, N, 3).
        distances: (S, N), signed.
    """

    points: Tensor
    distances: Tensor

    def to(self, device: torch.device) -> SignedSamples:
        """The same samples on a device."""
        return SignedSamples(self.points.to(device), self.distances.to(device))

    def sample(self, count: int, generator: torch.Generator) -> list[Residuals]:
        """One group of at most `count` samples, the same rows of every shape."""
        total = self.points.shape[1]
        rows = torch.randint(total, (min(total, count),), generator=generator).to(self.points.device)
        return [Residuals(self.points[:, rows], self.distances[:, rows])]


def into_cube(points: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest points (..., 3) of the cube [-1, 1]^3 that decoders are defined on, and the distances (...,) to them."""
    inside = points.clamp(-1.0, 1.0)
    return inside, (points - inside).norm(dim=-1)
