"""Eight-bit quantisation: one step per row, and for codes one unit per dimension as well."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEVELS = 127
"""Largest magnitude of a quantised number; -128 is not used, so that the levels are symmetric."""


class Rows(NamedTuple):
    """Quantised rows: number = value * step of the row.

    Attributes:
        values: (K, ...) int8.
        steps: (K,) float32.
    """

    values: Tensor
    steps: Tensor


def quantize_rows(rows: Tensor) -> Rows:
    """Quantise rows to the nearest level: step = max |row| / 127, value = round(row / step).

    Args:
        rows: (K, ...), finite.

    Returns:
        Values and steps; the error of a number is at most half the step of its row.
    """
    flat = rows.detach().float().flatten(1)
    steps = flat.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / LEVELS
    values = (flat / steps[:, None]).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return Rows(values.view(rows.shape), steps)


def restore_rows(rows: Rows) -> Tensor:
    """Dequantise rows: values * step, (K, ...) float32."""
    return rows.values.float() * rows.steps.view(-1, *[1] * (rows.values.ndim - 1))


def code_unit(codes: Tensor) -> Tensor:
    """Unit of each dimension of codes, (D,): the root mean square, at least a thousandth of the largest one.

    Args:
        codes: (S, D); S may be 0, then the unit is 1.
    """
    if len(codes) == 0:
        return torch.ones(codes.shape[1])
    unit = codes.detach().float().square().mean(0).sqrt()
    return unit.clamp_min(1e-3 * float(unit.max().clamp_min(1e-12)))


def quantize_codes(codes: Tensor, unit: Tensor) -> Rows:
    """Quantise codes (S, D) divided by the unit (D,) of their space."""
    return quantize_rows(codes.detach().float().cpu() / unit)


def restore_codes(rows: Rows, unit: Tensor) -> Tensor:
    """Dequantise codes: values * step * unit, (S, D) float32."""
    return restore_rows(rows) * unit
