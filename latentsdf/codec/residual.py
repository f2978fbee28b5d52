"""Residual of a decoded field as the few bytes that a space file stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..core.arrays import Indices
from ..core.field import SDF
from .coefficient_coding import GREATEST, LEVELS, code_coefficients
from .lattice_basis import lattice_cells, sum_levels
from .range_coder import RangeDecoder, RangeEncoder
from .starting_probabilities import STARTING_PROBABILITIES

KIND = 1
"""First byte of the stream of a residual."""
TRUNCATION = 0.05
"""The decoded field is clipped to this distance before a residual is added to it, unit frame."""
STEPS = 64
"""Number of steps, by `step_of`."""


def step_of(number: int) -> float:
    """Step of coefficients, unit frame, of numbers 0 to `STEPS` - 1: from 15/128 down to 8/16,384, eight an octave."""
    return (15 - number % 8) / 2.0 ** (7 + number // 8)


def nearest_step(step: float) -> int:
    """Number of the step nearest to a length of the unit frame."""
    return min(range(STEPS), key=lambda number: abs(step_of(number) - step))


class Coefficients(NamedTuple):
    """Coefficients of a residual.

    Attributes:
        levels: (R, R, R) integers of each lattice, coarse to fine, n = 9, 17, 33, 65.
        step: number of the step, see `step_of`.
    """

    levels: Sequence[Indices]
    step: int


@dataclass(frozen=True, eq=False)
class Residual:
    """A sum of trilinear hats on nested lattices, to be added to a decoded field that is clipped to `TRUNCATION`.

    The integers that the bytes hold are the same on every machine.

    Attributes:
        packed: bytes in the layout of `docs/format.md`, "Residuals".
    """

    packed: bytes
    smooth: ClassVar[bool] = False

    @staticmethod
    def of(coefficients: Coefficients) -> Residual:
        """Pack coefficients; finest lattices of zeros are left out.

        Raises:
            ValueError: no lattice or more than 4, a lattice of another size, a magnitude of 4,096 or more, or a step
                out of range.
        """
        levels = [np.asarray(level, dtype=np.int64) for level in coefficients.levels]
        if not 1 <= len(levels) <= LEVELS or not 0 <= coefficients.step < STEPS:
            raise ValueError(f"a residual has 1 to {LEVELS} lattices, got {len(levels)}, and a step from 0 to {STEPS}")
        for level, size in zip(levels, _sizes(len(levels)), strict=True):
            if level.shape != (size,) * 3 or np.abs(level).max() >= GREATEST:
                raise ValueError(f"a lattice of a residual must hold {size}^3 integers below {GREATEST}")
        while len(levels) > 1 and not levels[-1].any():
            levels.pop()
        encoder = RangeEncoder(STARTING_PROBABILITIES)
        code_coefficients(encoder, _sizes(len(levels)), levels)
        return Residual(bytes([KIND, coefficients.step * LEVELS + len(levels) - 1]) + encoder.finish())

    @property
    def nbytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.packed)

    @cached_property
    def coefficients(self) -> Coefficients:
        """The decoded integers.

        Raises:
            ValueError: the bytes are damaged.
        """
        if len(self.packed) < 2 or self.packed[0] != KIND:
            raise ValueError("the bytes of a residual are damaged: they do not begin as those of a residual")
        step, levels = divmod(self.packed[1], LEVELS)
        decoder = RangeDecoder(self.packed[2:], STARTING_PROBABILITIES)
        coded = code_coefficients(decoder, _sizes(levels + 1))
        decoder.finish()
        return Coefficients(coded, step)

    @cached_property
    def lattice(self) -> Tensor:
        """Values (R, R, R), float64, on the nodes of the finest lattice, between which they are trilinear.

        Raises:
            ValueError: the bytes are damaged.
        """
        levels, step = self.coefficients
        return torch.from_numpy(sum_levels([level.astype(np.float64) * step_of(step) for level in levels]))

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3) of the unit frame, outside the cube those at its nearest point.

        Raises:
            ValueError: the bytes are damaged.
        """
        table = self.lattice.to(points)
        places = points.clamp(-1.0, 1.0).flip(-1)[None, None, None]
        return functional.grid_sample(table[None, None], places, align_corners=True)[0, 0, 0, 0]

    def on(self, prior: SDF) -> SDF:
        """The field of a prior (unit frame) with this residual; far from the surface it is truncated."""
        return RefinedField(prior, self)


class RefinedField:
    """A prior clipped to `TRUNCATION`, plus a residual: a truncated signed distance."""

    smooth: ClassVar[bool] = False

    def __init__(self, prior: SDF, residual: Residual):
        self.prior, self.residual = prior, residual

    def __call__(self, points: Tensor) -> Tensor:
        return self.prior(points).clamp(-TRUNCATION, TRUNCATION) + self.residual(points)


def _sizes(levels: int) -> list[int]:
    return [cells + 1 for cells in lattice_cells(levels)]
