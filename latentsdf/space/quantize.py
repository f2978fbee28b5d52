"""Numbers kept in eight bits: each row has a scale of its own, codes share a unit a dimension as well."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEVELS = 127
"""Largest magnitude of a quantised number; -128 is not used, so that the grid is symmetric."""


class Rows(NamedTuple):
    """Rows of eight-bit numbers, and what one step of each row is worth.

    Attributes:
        values: (K, ...) int8.
        steps: (K,) float32; the row's numbers are values * step.
    """

    values: Tensor
    steps: Tensor


def quantize_rows(rows: Tensor) -> Rows:
    """The nearest eight-bit rows: round to the grid whose ends are the row's largest magnitude.

    Args:
        rows: (K, ...), finite.

    Returns:
        Values and steps; the error of a number is at most half its row's step.
    """
    flat = rows.detach().float().flatten(1)
    steps = flat.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / LEVELS
    values = (flat / steps[:, None]).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return Rows(values.view(rows.shape), steps)


def restore_rows(rows: Rows) -> Tensor:
    """The numbers (K, ...) float32 that quantised rows stand for."""
    return rows.values.float() * rows.steps.view(-1, *[1] * (rows.values.ndim - 1))


def code_unit(codes: Tensor) -> Tensor:
    """What the numbers of each dimension are divided by before codes are quantised: their root mean square (D,).

    Args:
        codes: (S, D); S may be 0, then the unit is 1.
    """
    if len(codes) == 0:
        return torch.ones(codes.shape[1])
    size = codes.detach().float().square().mean(0).sqrt()
    return size.clamp_min(1e-3 * float(size.max().clamp_min(1e-12)))


def quantize_codes(codes: Tensor, unit: Tensor) -> Rows:
    """Codes (S, D) in eight bits a number, relative to the unit (D,) of their space."""
    return quantize_rows(codes.detach().float().cpu() / unit)


def restore_codes(rows: Rows, unit: Tensor) -> Tensor:
    """The codes (S, D) that `quantize_codes` kept."""
    return restore_rows(rows) * unit
