"""Codes of a trained space refitted to its decoder, one Gauss-Newton step each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.linearize import Linearize
from .code_precision import NEAR

SAMPLES = {"near": 6400, "uniform": 1280}
"""Samples a shape. Training has met each of them a few times; fewer fit a code of 256 numbers to the samples alone."""
BATCH = 8
"""Shapes at once."""
MOST_SHAPES = 4096
"""Larger collections keep their codes: a step on each would take longer than it is worth."""
DAMPING = 0.03
"""Damping of a step over the mean diagonal of its Hessian."""


def refitted_codes(
    decoder: Decoder,
    codes: Tensor,
    dataset: Dataset,
    seed: int,
    on_part: Callable[[float], None] = lambda done: None,
    samples: Mapping[str, int] = MappingProxyType(SAMPLES),
) -> Tensor:
    """Take a damped Gauss-Newton step on each code of a trained space (variable projection of its last moment).

    Adam leaves codes a few hundredths away from their optimum, and the rounding of weights moves it. A code whose error
    on the samples does not fall keeps its place.

    Args:
        decoder: with fixed weights.
        codes: (S, D) as trained; a collection of more than `MOST_SHAPES` is returned as it is.
        dataset: of the same shapes.
        seed: of the samples.
        on_part: called with the part that is done, 0 to 1.
        samples: a shape, by group of the dataset.

    Returns:
        (S, D).
    """
    if len(codes) > MOST_SHAPES:
        return codes.detach().clone()
    generator, linearize, parts = torch.Generator().manual_seed(seed), decoder.linearizer(), []
    for rows in torch.arange(len(codes)).split(BATCH):
        points, distances = dataset.sample(rows, samples, generator)
        points, distances = points.to(codes.device), distances.to(codes.device)
        parts.append(_stepped(decoder, linearize, codes[rows.to(codes.device)].detach(), points, distances))
        on_part((int(rows[-1]) + 1) / len(codes))
    return torch.cat(parts)


def _stepped(decoder: Decoder, linearize: Linearize, codes: Tensor, points: Tensor, distances: Tensor) -> Tensor:
    """Codes (S, D) after a step towards distances (S, N) at points (S, N, 3), where it lowers the error."""
    field, wanted = linearize(codes, points), torch.tanh(distances / NEAR)
    squashed = torch.tanh(field.values / NEAR)
    slopes = field.of_codes * (1.0 - squashed.square())[..., None]
    error = NEAR * (wanted - squashed)
    hessian, gradient = slopes.mT @ slopes, slopes.mT @ error[..., None]
    damping = DAMPING * hessian.diagonal(dim1=1, dim2=2).mean(1).clamp_min(torch.finfo(torch.float32).tiny)
    identity = torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)
    factor, failed = torch.linalg.cholesky_ex(hessian + damping[:, None, None] * identity)
    moved = codes + torch.cholesky_solve(gradient, factor)[..., 0]
    moved = torch.where((failed == 0)[:, None] & moved.isfinite().all(1, keepdim=True), moved, codes)
    with torch.no_grad():
        after = NEAR * (wanted - torch.tanh(decoder(moved, points) / NEAR))
    better = after.square().mean(1) < error.square().mean(1)
    return torch.where(better[:, None], moved, codes)
