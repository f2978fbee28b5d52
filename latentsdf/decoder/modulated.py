"""A small MLP whose hidden layers are shifted by the code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .base import activation


class ModulatedMLP(nn.Module):
    """An MLP of point features in which every hidden layer gets a shift linear in the code.

    Concatenating the code to the input, as DeepSDF and Compact-SDF do, is the special case of shifting only the
    layers the code is fed to; the shift is computed once per shape, so a query never touches the code.
    (Shift modulation: Dupont et al., "From data to functa", 2022.)

    Args:
        inputs: features a point brings.
        code_size: D.
        width: units of a hidden layer.
        depth: hidden layers; at depth 3 the layers are inputs-width, width-width, width-width, width-1.
        act: name of the activation.
    """

    def __init__(self, inputs: int, code_size: int, width: int, depth: int, act: str):
        super().__init__()
        self.width, self.depth = width, depth
        self.act = activation(act)
        sizes = [inputs] + [width] * depth
        layers = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(width, 1)
        self.shift = nn.Linear(code_size, width * depth, bias=False)
        for layer in layers:
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / layer.in_features))
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.shift.weight, 0.0, 0.5 / math.sqrt(code_size))

    def shifts(self, codes: Tensor) -> Tensor:
        """Codes (S, D) -> shifts (S, depth, 1, width)."""
        return self.shift(codes).view(len(codes), self.depth, 1, self.width)

    def shifts_to_code(self, gradients: Tensor) -> Tensor:
        """Gradients in per-point shifts (S, depth, N, width) -> in the code, per point (S, N, D)."""
        weights = self.shift.weight.view(self.depth, self.width, -1)
        return torch.einsum("slnw,lwd->snd", gradients, weights)

    def forward(self, features: Tensor, shifts: Tensor) -> Tensor:
        """Features (S, N, inputs) and shifts (S, depth, 1, width) -> (S, N)."""
        hidden = features
        for layer, shift in zip(self.layers, shifts.unbind(1), strict=True):
            hidden = self.act(layer(hidden) + shift)
        return self.out(hidden)[..., 0]


def positional_encoding(points: Tensor, octaves: int) -> Tensor:
    """Sines and cosines of the coordinates at 2^0 ... 2^(octaves-1), coordinates kept (Compact-SDF: no factor pi).

    Args:
        points: (..., 3).
        octaves: number of frequencies; 0 keeps the coordinates alone.

    Returns:
        (..., 3 + 6 * octaves).
    """
    if octaves == 0:
        return points
    scaled = points[..., None, :] * (2.0 ** torch.arange(octaves, device=points.device, dtype=points.dtype))[:, None]
    waves = torch.cat([scaled.sin(), scaled.cos()], dim=-1).flatten(-2)
    return torch.cat([points, waves], dim=-1)
