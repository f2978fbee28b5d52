"""What the field of a code is held against: signed distances, bounds of its size, and places known to be outside."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Kind = Literal["signed", "size", "outside"]
"""`signed`: the field is the target. `size`: its absolute value is. `outside`: it lies between zero and the target."""


class Residuals(NamedTuple):
    """One group of absolute residuals, in a soft-truncated distance: tau * (tanh(a / tau) - tanh(target / tau)).

    Attributes:
        points: (S, N, 3), or (1, N, 3) where all shapes share them.
        targets: (S, N) or (1, N).
        kind: what `a` is, and when it is right.
        shortage: `size` only: weight of a size below its target; one above it weighs 1.
        kept: how many numbers of the code are used; the rest are read as zero.
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
        """The residual of field values (..., N), and its derivative in them."""
        size = values.abs() if self.kind == "size" else values
        soft = torch.tanh(size / truncation)
        slope = 1.0 - soft * soft
        if self.kind == "outside":
            right = torch.minimum(values.clamp_min(0.0), self.targets)
            slope = slope * (values != right)
            return truncation * (soft - torch.tanh(right / truncation)), slope
        residual = truncation * (soft - torch.tanh(self.targets / truncation))
        return residual, slope * values.sign() if self.kind == "size" else slope

    def weights(self, residual: Tensor) -> Tensor:
        """What each absolute residual weighs."""
        if self.kind == "size":
            return torch.where(residual < 0, self.under_weight, 1.0)
        return torch.ones_like(residual)

    def loss(self, values: Tensor, truncation: float) -> Tensor:
        """Weighted mean absolute residual (...,) of field values (..., N)."""
        return self.mean(self.residual(values, truncation)[0])

    def mean(self, residual: Tensor) -> Tensor:
        """Weighted mean (...,) of absolute residuals (..., N)."""
        return self.weight * (self.weights(residual) * residual.abs()).mean(-1)

    def select(self, rows: Tensor) -> Residuals:
        """Those of some of the shapes."""
        points, targets = (part if len(part) == 1 else part[rows] for part in (self.points, self.targets))
        return self._replace(points=points, targets=targets)


def into_cube(points: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest points of the cube that decoders know, and the distances to them."""
    inside = points.clamp(-1.0, 1.0)
    return inside, (points - inside).norm(dim=-1)
