"""MLP with shift modulation: a code shifts every hidden layer (Dupont et al., "From data to functa", 2022)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from .base import activation


class ModulatedMLP(nn.Module):
    """An MLP of point features, h_{l+1} = act(W_l h_l + b_l + S_l code).

    Concatenating the code to the input of a layer, as DeepSDF and Compact-SDF do, is the special case of shifting that
    layer alone; shifts are computed once per shape, so a query does not use the code.

    Args:
        inputs: features per point.
        code_size: D.
        width: units of a hidden layer.
        depth: hidden layers; at depth 3 the layers are inputs-width, width-width, width-width, width-1.
        act: name of the activation.

    Raises:
        ValueError: unknown activation.
    """

    def __init__(self, inputs: int, code_size: int, width: int, depth: int, act: str):
        super().__init__()
        self.width, self.depth = width, depth
        self.act, self._act_inplace = activation(act), activation(act, inplace=True)
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
        """Shifts (S, depth, 1, width) of codes (S, D)."""
        return self.shift(codes).view(len(codes), self.depth, 1, self.width)

    def shifts_to_code(self, gradients: Tensor) -> Tensor:
        """Gradients in the code per point, (S, N, D), of gradients in per-point shifts (S, depth, N, width)."""
        weights = self.shift.weight.view(self.depth, self.width, -1)
        return torch.einsum("slnw,lwd->snd", gradients, weights)

    def forward(self, features: Tensor, shifts: Tensor) -> Tensor:
        """Outputs (S, N) for features (S, N, inputs) and shifts (S, depth, 1, width)."""
        if not torch.is_grad_enabled() and len(features) == 1 and shifts.shape[2] == 1:
            return self._of_one_shape(features[0], shifts[0])[None]
        hidden = features
        for layer, shift in zip(self.layers, shifts.unbind(1), strict=True):
            hidden = self.act(layer(hidden) + shift)
        return self.out(hidden)[..., 0]

    def _of_one_shape(self, features: Tensor, shifts: Tensor) -> Tensor:
        """Outputs (N,) without a graph: shifts (depth, 1, width) join the biases."""
        hidden = features
        for layer, shift in zip(self.layers, shifts, strict=True):
            weight, bias = cast(nn.Linear, layer).weight, cast(nn.Linear, layer).bias
            hidden = self._act_inplace(torch.addmm(bias + shift[0], hidden, weight.t()))
        return hidden.mv(self.out.weight[0]).add_(self.out.bias)


def positional_encoding(points: Tensor, octaves: int) -> Tensor:
    """Coordinates x, and sin(2^k x), cos(2^k x) for k = 0 ... octaves - 1 (Compact-SDF: without a factor pi).

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
