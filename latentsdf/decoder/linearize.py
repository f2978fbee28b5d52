"""Fields and their derivatives in the code, for Gauss-Newton steps on codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Query = Callable[[Tensor, Tensor], Tensor]
"""Codes (S, D) and points (S, N, 3) -> signed distances (S, N)."""


class Linearized(NamedTuple):
    """A batch of fields at points and their first derivatives, without a graph.

    Attributes:
        values: (S, N) signed distances.
        of_codes: (S, N, D) derivatives in the code of the shape.
        of_points: (S, N, 3) derivatives in the point.
    """

    values: Tensor
    of_codes: Tensor
    of_points: Tensor


Linearize = Callable[[Tensor, Tensor], Linearized]
"""Codes (S, D) and points (S, N, 3) -> the fields there and their derivatives."""


def linearize_by_copies(query: Query) -> Linearize:
    """Linearise any field with one copy of the code per point, so that one backward pass gives all derivatives.

    Efficient where the work on a code is small (networks shifted by the code); a decoder of volumes has its own
    linearizer.
    """

    def linearize(codes: Tensor, points: Tensor) -> Linearized:
        shapes, count = points.shape[:2]
        copies = codes.detach()[:, None].expand(-1, count, -1).reshape(shapes * count, -1).requires_grad_(True)
        single = points.detach().reshape(shapes * count, 1, 3).requires_grad_(True)
        with torch.enable_grad():
            values = query(copies, single)
            of_codes, of_points = torch.autograd.grad(values.sum(), (copies, single))
        return Linearized(
            values.detach().view(shapes, count), of_codes.view(shapes, count, -1), of_points.view(shapes, count, 3)
        )

    return linearize


def code_hessians(linearize: Linearize, codes: Tensor, points: Tensor, truncation: float) -> Tensor:
    """Gauss-Newton Hessians of the mean squared truncated field in the code, (S, D, D).

    Args:
        linearize: of a decoder.
        codes: (S, D).
        points: (S, N, 3).
        truncation: tau of tau tanh(f / tau), unit frame.
    """
    field = linearize(codes, points)
    slopes = field.of_codes * (1.0 - torch.tanh(field.values / truncation).square())[..., None]
    return slopes.mT @ slopes / points.shape[1]


def vertex_major(basis: Tensor, resolution: int, channels: int) -> Tensor:
    """Reorder a basis of volumes (D, R^3 * C) to one volume of matrices, (R, R, R, C, D)."""
    size = len(basis)
    side = [resolution] * 3
    return basis.detach().view(size, *side, channels).permute(1, 2, 3, 4, 0).contiguous()
