"""Stored form of a decoder's large tensors: whole multiples of a step for each row and column, as streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codec.table_stream import pack_table, unpack_table

GREATEST = 32_767
"""Largest magnitude of a rounded weight."""
SMALL = 4096
"""Tensors of fewer numbers, and vectors, stay in half precision where the others are rounded."""
_HALF = (1.0, 1.4142135623730951)


@dataclass(frozen=True, eq=False)
class WeightSteps:
    """Steps of a tensor (K, ...) seen as a table (K, F): step[k, f] = rows[k] 2^(columns[f] / 2).

    Attributes:
        rows: (K,) float32, positive.
        columns: (F,) int8.
    """

    rows: Tensor
    columns: Tensor

    def integers(self, weights: Tensor) -> Tensor:
        """Weights (K, ...) in steps, rounded, (K, F) int64."""
        table = weights.detach().float().cpu().flatten(1)
        return (table / self.table()).round().clamp(-GREATEST, GREATEST).long()

    def restored(self, integers: Tensor, shape: torch.Size) -> Tensor:
        """Weights (K, ...) of a shape, from integers (K, F)."""
        return (integers.float() * self.table()).view(shape)

    def rounded(self, weights: Tensor) -> Tensor:
        """Weights (K, ...) as they are after storing, on their own device."""
        table = self.table()
        whole = (weights.detach().float().cpu().flatten(1) / table).round_().clamp_(-GREATEST, GREATEST)
        return whole.mul_(table).view(weights.shape).to(weights)

    def pack(self, weights: Tensor) -> bytes:
        """The stream of weights (K, ...)."""
        return pack_table(self.integers(weights).numpy())

    def unpack(self, stream: bytes, shape: torch.Size) -> Tensor:
        """Weights (K, ...) of a shape, from their stream.

        Raises:
            ValueError: the stream is damaged.
        """
        integers = unpack_table(stream, (len(self.rows), len(self.columns)))
        return self.restored(torch.from_numpy(integers), shape)

    def table(self) -> Tensor:
        """All steps, (K, F) float32."""
        halves = self.columns.double()
        whole = (halves / 2).floor()
        powers = torch.tensor(_HALF, dtype=torch.float64)[(halves - 2 * whole).long()] * torch.exp2(whole)
        return self.rows[:, None] * powers.float()


WeightFormat = Mapping[str, WeightSteps]
"""Steps by the names of the tensors that are stored as streams."""


def is_large(weights: Tensor) -> bool:
    """Whether a tensor (...) is rounded, instead of being stored in half precision."""
    return weights.ndim > 1 and weights.numel() >= SMALL
