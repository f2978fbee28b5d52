"""The field between two fields at one step of a morph."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from ..core.field import SDF
from .pieces import PieceRepair
from .velocity import read_lattice

TRUNCATION = 0.15
"""Fields are clipped to this distance before they are blended, unit frame."""


def blend(a: Tensor, b: Tensor, t: float, sharpness: float) -> Tensor:
    """Weighted smooth minimum, -log((1 - t) exp(-k a) + t exp(-k b)) / k, of fields clipped to `TRUNCATION`.

    k = 0 is its limit, the linear blend (1 - t) a + t b. At t = 0 it is a, at t = 1 b.

    Args:
        a, b: values of the two fields, of one shape.
        t: weight of b, between 0 and 1.
        sharpness: k.
    """
    a, b = a.clamp(-TRUNCATION, TRUNCATION), b.clamp(-TRUNCATION, TRUNCATION)
    if sharpness == 0 or not 0.0 < t < 1.0:
        return (1.0 - t) * a + t * b
    return -torch.logaddexp(log(1.0 - t) - sharpness * a, log(t) - sharpness * b) / sharpness


@dataclass(frozen=True, eq=False)
class MorphField:
    """f(x) = repair(blend(a(x + u_a(x)), b(x + u_b(x))) - c), in the unit frame, with first derivatives.

    It stands where a `Shape` holds a correction and replaces the decoded field; it has no stored form.

    Attributes:
        ends: the fields a and b.
        warps: displacements (2, 3, R, R, R), u_a and u_b.
        t: weight of b.
        sharpness: of the blend.
        level: c.
        repair: of pieces, or None.
    """

    ends: tuple[SDF, SDF]
    warps: Tensor
    t: float
    sharpness: float
    level: float
    repair: PieceRepair | None
    smooth: ClassVar[bool] = False

    @property
    def packed(self) -> bytes:
        """None: a morph has no stored form.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a morph cannot be stored in a space; encode its mesh, or store without_correction(), its code alone"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its stored form, which it has not; raises ValueError as `packed` does."""
        return len(self.packed)

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3) of the unit frame: near the surface roughly distances."""
        a, b = (end(points + read_lattice(warp, points).T) for end, warp in zip(self.ends, self.warps, strict=True))
        values = blend(a, b, self.t, self.sharpness) - self.level
        return values if self.repair is None else self.repair(values, points)

    def on(self, prior: SDF) -> SDF:
        """The field of a shape with this morph, whatever its decoded field (unit frame)."""
        del prior
        return self
