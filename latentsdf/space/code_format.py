"""Stored form of codes: whole multiples of a step for each number, as short as their statistics allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..codec.row_streams import ColumnModel, pack_rows, unpack_rows
from ..codec.sequential_rounding import round_sequentially
from ..core.arrays import Indices

SHIFTS = 6
"""A code may be rounded to 2^0 ... 2^(SHIFTS - 1) times the steps of its format, and takes fewer bytes."""
_GREATEST = 32_767
_BISECTIONS = 20


@dataclass(frozen=True, eq=False)
class CodeFormat:
    """Steps of the numbers of a code, and models of the integers that remain.

    A step that is inverse to the slope of the field in its number makes all numbers cost the field alike when they are
    rounded (reverse water-filling; Hessian-weighted quantisation with a diagonal Hessian). The stream of a code begins
    with the power of two that divides all of its integers, which coarser rounding leaves.

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
            size: mean bytes a code; where codes cannot be as short or as long, they come as near as they can.

        Raises:
            ValueError: a size that is not positive.
        """
        if not size > 0:
            raise ValueError(f"the size of a code must be positive, got {size}")
        slopes = slopes.detach().float().cpu()
        relative = 1.0 / slopes.clamp_min(1e-6 * float(slopes.max().clamp_min(1e-12)))
        # Finer steps than these would need more than 16 bits for the largest number.
        finest = float((codes.detach().float().cpu().abs() / relative).max()) / _GREATEST
        low, high = math.log2(max(finest, 2.0**-40)), 10.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            lengths = [len(part) for part in CodeFormat.of(codes, relative * 2.0**middle).pack(codes)]
            low, high = (middle, high) if sum(lengths) > size * len(lengths) else (low, middle)
        return CodeFormat.of(codes, relative * 2.0**high)

    def rounded(self, codes: Tensor, hessians: Tensor | None = None, shift: int = 0) -> Tensor:
        """Codes as they are after storing.

        Args:
            codes: (..., D).
            hessians: of what the rounding is to change little, (S, D, D) or (1, D, D), for codes (S, D): numbers are
                rounded in sequence. None rounds each to the nearest.
            shift: round to 2^shift times the steps, 0 to `SHIFTS` - 1.

        Raises:
            ValueError: a shift out of range.
        """
        if not 0 <= shift < SHIFTS:
            raise ValueError(f"the shift of a code must lie from 0 to {SHIFTS - 1}, got {shift}")
        steps = self.steps * 2.0**shift
        if hessians is None:
            return (_integers(codes, steps).float() * steps).to(codes)
        whole = round_sequentially(codes.detach().cpu(), steps, hessians.cpu())
        limit = _GREATEST >> shift
        return (whole.clamp(-limit, limit).float() * steps).to(codes)

    def pack(self, codes: Tensor) -> list[bytes]:
        """Byte streams of codes (S, D), rounded to the nearest steps where they are not yet."""
        rows = _integers(codes, self.steps).numpy()
        shifts = _common_shifts(rows)
        streams = [b""] * len(rows)
        for shift in np.unique(shifts):
            at = np.flatnonzero(shifts == shift)
            packed = pack_rows(rows[at] >> shift, self._shifted(int(shift)))
            for row, stream in zip(at.tolist(), packed, strict=True):
                streams[row] = bytes([shift]) + stream
        return streams

    def unpack(self, streams: Sequence[bytes]) -> Tensor:
        """Codes (S, D) of streams.

        Raises:
            ValueError: a stream is damaged.
        """
        shifts = np.array([stream[0] if stream else SHIFTS for stream in streams], dtype=np.int64)
        if (shifts >= SHIFTS).any():
            raise ValueError(f"the stream of row {int(np.argmax(shifts >= SHIFTS))} is damaged: it begins otherwise")
        rows = np.zeros((len(streams), len(self.models)), dtype=np.int64)
        for shift in np.unique(shifts):
            at = np.flatnonzero(shifts == shift)
            rows[at] = unpack_rows([streams[row][1:] for row in at.tolist()], self._shifted(int(shift))) << shift
        return torch.from_numpy(rows).float() * self.steps

    def _shifted(self, shift: int) -> list[ColumnModel]:
        """Models of the integers over 2^shift."""
        return [ColumnModel(max(0, model.eighths - 8 * shift), (model.limit >> shift) + 1) for model in self.models]


def code_bytes(code: Tensor, form: CodeFormat | None) -> int:
    """Bytes that a code (D,) takes in its file; four a number where codes are not streams."""
    return 4 * len(code) if form is None else len(form.pack(code[None])[0])


def _integers(codes: Tensor, steps: Tensor) -> Tensor:
    return (codes.detach().float().cpu() / steps).round().clamp(-_GREATEST, _GREATEST).long()


def _common_shifts(rows: Indices) -> Indices:
    """The largest shift (S,), below `SHIFTS`, of which all integers of a row (S, D) are multiples."""
    shared = np.bitwise_or.reduce(np.abs(rows), axis=1)
    lowest = np.where(shared == 0, 1 << SHIFTS, shared & -shared)
    return np.minimum(np.log2(lowest).astype(np.int64), SHIFTS - 1)
