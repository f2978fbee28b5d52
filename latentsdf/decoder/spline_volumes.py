"""Feature volumes read once continuously differentiably: the trilinear read with its creases rounded off."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ROUNDING = 0.25
"""Width of the rounding in cells, of at most 1. Of the spaces measured the surface then lies .0005 to .0013 (mean, unit
frame) from the trilinear one; .002 to .005 at a width of 1/2, and .008 to .02 at 1, the uniform quadratic B-spline.
Splines that interpolate the vertices are as far off as those, since the heads were trained with the creases
(benchmarks/smooth_reads.py)."""


class SplineVolumes(NamedTuple):
    """Volumes that `read_volumes` reads by quadratic B-splines with knots at half of `ROUNDING` around each vertex.

    On each axis the trilinear weights are averaged over a window w of `ROUNDING` cells: at the position t in
    [-1/2, 1/2] from the nearest vertex, in cells, the next vertex weighs r(t), the one before r(-t), and the nearest
    1 - r(t) - r(-t), with r(t) = max(t, 0) for |t| >= w / 2, else (t + w / 2)^2 / (2 w).

    Attributes:
        values: (S, R, R, R, C) at the vertices, as for `read_volumes`.
    """

    values: Tensor

    def read(self, points: Tensor) -> Tensor:
        """Features (S, N, C) at points (S, N, 3), differentiable to every order; border values continue outside."""
        shapes, side, channels = len(self.values), self.values.shape[1], self.values.shape[-1]
        position = ((points + 1.0) * (0.5 * (side - 1))).clamp(-ROUNDING / 2, side - 1.0 + ROUNDING / 2)
        vertex = position.detach().round()
        offset = position - vertex
        after, before = _ramp(offset), _ramp(-offset)
        weights = torch.stack([before, 1.0 - before - after, after], -1)
        # Beyond the first and the last vertex the field is constant.
        taps = (vertex.long()[..., None] + torch.arange(-1, 2, device=points.device)).clamp(0, side - 1)
        i, j, k = taps.unbind(-2)
        index = ((i[..., :, None, None] * side + j[..., None, :, None]) * side + k[..., None, None, :]).flatten(-3)
        if shapes > 1:
            index = index + torch.arange(shapes, device=points.device)[:, None, None] * side**3
        x, y, z = weights.unbind(-2)
        rows = self.values.reshape(-1, channels)[index].view(*points.shape[:-1], 9, 3, channels)
        rows = (rows * z[..., None, :, None]).sum(-2).view(*points.shape[:-1], 3, 3, channels)
        rows = (rows * y[..., None, :, None]).sum(-2)
        return (rows * x[..., None]).sum(-2)


def _ramp(offset: Tensor) -> Tensor:
    """max(t, 0), rounded off around zero."""
    rounded = (offset + ROUNDING / 2).square() / (2 * ROUNDING)
    return torch.where(offset.abs() < ROUNDING / 2, rounded, offset.clamp_min(0.0))
