"""Precision in which the codes of a trained space are stored."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.linearize import code_hessians
from ..space.code_format import CodeFormat

SHAPES = 64
"""Shapes that slopes and errors are measured on."""
SAMPLES = {"near": 640, "uniform": 128}
"""Samples a shape."""
BATCH = 8
"""Shapes at once."""
NEAR = 0.03
"""Truncation of distances."""
FRACTION = 0.05
"""Change of the field by a step of one number, as a part of the field's own error, below which a finer step does not
pay: it would take bytes for less than a hundredth of the error."""
OWN_HESSIANS = 4096
"""Shapes up to which each is rounded with a Hessian of its own; those of a larger collection share the mean of some."""


class StoredCodes(NamedTuple):
    """Codes as a file holds them.

    Attributes:
        codes: (S, D).
        code_format: of their streams.
    """

    codes: Tensor
    code_format: CodeFormat


def stored_codes(decoder: Decoder, codes: Tensor, dataset: Dataset, size: float, seed: int) -> StoredCodes:
    """Round the codes of a trained space: no longer on average than a size, no finer than pays.

    Steps are inverse to the slope of the field in each number; numbers are rounded in sequence, so that the later ones
    make up for the errors of the earlier ones (`codec.sequential_rounding`).

    Args:
        decoder, codes: as trained, (S, D).
        dataset: of the same shapes.
        size: most bytes a code, in the mean.
        seed: of the samples.
    """
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(codes), generator=generator)[:SHAPES]
    hessians, error = hessians_and_error(decoder, codes, dataset, some, generator)
    mean = hessians.mean(0, keepdim=True)
    slopes = mean[0].diagonal().sqrt()
    code_format = CodeFormat.of(codes, FRACTION * error / slopes.clamp_min(1e-6 * float(slopes.max().clamp_min(1e-12))))
    if sum(map(len, code_format.pack(codes))) > size * len(codes):
        code_format = CodeFormat.of_size(codes, slopes, size)
    if len(codes) > OWN_HESSIANS:
        return StoredCodes(code_format.rounded(codes, mean), code_format)
    parts = []
    for rows in torch.arange(len(codes)).split(BATCH):
        hessians, _ = hessians_and_error(decoder, codes, dataset, rows, generator)
        parts.append(code_format.rounded(codes[rows.to(codes.device)], hessians))
    return StoredCodes(torch.cat(parts), code_format)


def hessians_and_error(
    decoder: Decoder, codes: Tensor, dataset: Dataset, rows: Tensor, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Hessians (K, D, D) of shapes rows (K,), and the mean error of their fields near the surface."""
    linearize, hessians, errors = decoder.linearizer(), [], []
    for part in rows.split(BATCH):
        points, distances = dataset.sample(part, SAMPLES, generator)
        points, of_part = points.to(codes.device), codes[part.to(codes.device)].detach()
        hessians.append(code_hessians(linearize, of_part, points, NEAR).cpu())
        errors.append(field_error(decoder, of_part, points, distances))
    return torch.cat(hessians), sum(errors) / len(errors)


@torch.no_grad()
def field_error(decoder: Decoder, codes: Tensor, points: Tensor, distances: Tensor) -> float:
    """Mean error of truncated fields of codes (S, D) at points (S, N, 3), at least 1e-5 (unit frame)."""
    parts = zip(codes.split(BATCH), points.to(codes.device).split(BATCH), strict=True)
    predicted = torch.cat([decoder(code, at) for code, at in parts]).cpu()
    return max(float((predicted.clamp(-NEAR, NEAR) - distances.clamp(-NEAR, NEAR)).abs().mean()), 1e-5)
