"""Stored form of codes: whole multiples of a step for each number, as short as their statistics allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codec.row_streams import ColumnModel, pack_rows, unpack_rows
from ..codec.sequential_rounding import round_sequentially

_GREATEST = 32_767
_BISECTIONS = 24


@dataclass(frozen=True, eq=False)
class CodeFormat:
    """Steps of the numbers of a code, and models of the integers that remain.

    A step that is inverse to the slope of the field in its number makes all numbers cost the field alike when they are
    rounded (reverse water-filling; Hessian-weighted quantisation with a diagonal Hessian).

    Attributes:
        steps: (D,) float32.
        models: one a number.
    """

    steps: Tensor
    models: tuple[ColumnModel, ...]

    @staticmethod
    def of(codes: Tensor, steps: Tensor) -> CodeFormat:
        """The format of given steps (D,), its models those of codes (S, D)."""
        steps = steps.detach().float().cpu()
        numbers = _integers(codes, steps).numpy()
        return CodeFormat(steps, tuple(ColumnModel.of(column) for column in numbers.T))

    @staticmethod
    def of_size(codes: Tensor, slopes: Tensor, size: float) -> CodeFormat:
        """The format in which codes take a size on average, with steps inverse to slopes.

        Args:
            codes: (S, D), at least one.
            slopes: (D,) root mean square of the derivative of the field in each number.
            size: mean bytes a code; where codes cannot be as short, they take as few as they can.

        Raises:
            ValueError: a size that is not positive.
        """
        if not size > 0:
            raise ValueError(f"the size of a code must be positive, got {size}")
        slopes = slopes.detach().float().cpu()
        relative = 1.0 / slopes.clamp_min(1e-6 * float(slopes.max().clamp_min(1e-12)))
        low, high = -40.0, 10.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            lengths = [len(part) for part in CodeFormat.of(codes, relative * 2.0**middle).pack(codes)]
            low, high = (middle, high) if sum(lengths) > size * len(lengths) else (low, middle)
        return CodeFormat.of(codes, relative * 2.0**high)

    def rounded(self, codes: Tensor, hessians: Tensor | None = None) -> Tensor:
        """Codes as they are after storing.

        Args:
            codes: (..., D).
            hessians: of what the rounding is to change little, (S, D, D) or (1, D, D), for codes (S, D): numbers are
                rounded in sequence. None rounds each to the nearest.
        """
        if hessians is None:
            return (_integers(codes, self.steps).float() * self.steps).to(codes)
        whole = round_sequentially(codes.detach().cpu(), self.steps, hessians.cpu())
        return (whole.clamp(-_GREATEST, _GREATEST).float() * self.steps).to(codes)

    def pack(self, codes: Tensor) -> list[bytes]:
        """Byte streams of codes (S, D)."""
        return pack_rows(_integers(codes, self.steps).numpy(), list(self.models))

    def unpack(self, streams: Sequence[bytes]) -> Tensor:
        """Codes (S, D) of streams; ValueError where one is damaged."""
        return torch.from_numpy(unpack_rows(list(streams), list(self.models))).float() * self.steps


def _integers(codes: Tensor, steps: Tensor) -> Tensor:
    return (codes.detach().float().cpu() / steps).round().clamp(-_GREATEST, _GREATEST).long()
