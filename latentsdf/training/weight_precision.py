"""Precision in which the weights of a trained decoder are stored."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..space.weight_format import GREATEST, WeightFormat, WeightSteps, is_large
from .code_precision import NEAR, field_error

RISE = 0.05
"""Rise of the field's own error by the rounding of weights; refitted codes take it back."""
SHAPES = 512
"""Most shapes that slopes are measured on."""
JUDGED = 64
"""Shapes that the error is measured on."""
SAMPLES = {"near": 640, "uniform": 128}
"""Samples a shape."""
BATCH = 16
"""Shapes of one backward pass."""
PROBES = 2
"""Backward passes of each batch."""
_LEAST_COLUMN, _LEAST_ROW = 0.02, 1e-6
"""Least squared slope of a column over the mean one, and of a row over the greatest."""
_FINEST, _COARSEST, _BISECTIONS = -26.0, -2.0, 9


class StoredWeights(NamedTuple):
    """A decoder as a file holds it.

    Attributes:
        decoder: with rounded weights.
        steps: of its large tensors, by name.
    """

    decoder: Decoder
    steps: WeightFormat


def stored_weights(decoder: Decoder, codes: Tensor, dataset: Dataset, seed: int) -> StoredWeights:
    """Round the weights of a trained decoder, no finer than pays.

    The step of a weight is inverse to the root mean square of the field's derivative in it, seen as a product of a
    number for its row and one for its column: all weights then cost the field alike (reverse water-filling). The common
    factor is the largest at which the error of the field near the surface rises by no more than `RISE`.

    Args:
        decoder, codes: as trained, (S, D).
        dataset: of the same shapes.
        seed: of the samples.
    """
    weights = dict(decoder.named_parameters())
    if not any(map(is_large, weights.values())):
        return StoredWeights(copy.deepcopy(decoder), {})
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(codes), generator=generator)
    slopes = _squared_slopes(decoder, codes, dataset, order[:SHAPES], generator)
    relative = {name: _relative_steps(weights[name], found) for name, found in slopes.items()}
    judged = order[:JUDGED]
    points, distances = dataset.sample(judged, SAMPLES, generator)
    own = codes[judged.to(codes.device)].detach()
    rounded = copy.deepcopy(decoder)
    places = dict(rounded.named_parameters())

    def at(exponent: float) -> dict[str, WeightSteps]:
        steps = {name: found.times(2.0**exponent) for name, found in relative.items()}
        for name, step in steps.items():
            places[name].data = step.rounded(weights[name].detach())
        return steps

    allowed = (1.0 + RISE) * field_error(decoder, own, points, distances)
    low, high = _FINEST, _COARSEST
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        at(middle)
        fits = field_error(rounded, own, points, distances) <= allowed
        low, high = (middle, high) if fits else (low, middle)
    return StoredWeights(rounded, at(low))


def _squared_slopes(
    decoder: Decoder, codes: Tensor, dataset: Dataset, rows: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Mean squared derivative (K, F) of the truncated field in each large weight, by name.

    The sum of squares over samples is the mean square of the derivative of their sum with random signs (Hutchinson).
    """
    trained = {name: weights for name, weights in decoder.named_parameters() if is_large(weights)}
    flags = {name: weights.requires_grad for name, weights in trained.items()}
    sums = {name: torch.zeros_like(weights).flatten(1) for name, weights in trained.items()}
    count = 0
    for weights in trained.values():
        weights.requires_grad_(True)
    for part in rows.split(BATCH):
        points, _ = dataset.sample(part, SAMPLES, generator)
        own, points = codes[part.to(codes.device)].detach(), points.to(codes.device)
        for _ in range(PROBES):
            signs = 2.0 * torch.randint(0, 2, points.shape[:2], generator=generator).to(codes) - 1.0
            with torch.enable_grad():
                field = decoder(own, points)
                total = (signs * NEAR * torch.tanh(field / NEAR)).sum()
                found = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
            for name, gradient in zip(trained, found, strict=True):
                if gradient is not None:
                    sums[name] += gradient.flatten(1).square()
            count += signs.numel()
    for name, weights in trained.items():
        weights.requires_grad_(flags[name])
    return {name: total / count for name, total in sums.items()}


class _RelativeSteps(NamedTuple):
    """Steps of a tensor up to a common factor, and the least that its largest numbers need."""

    rows: Tensor
    columns: Tensor
    least_rows: Tensor

    def times(self, factor: float) -> WeightSteps:
        """The steps for a factor: a change of the field, unit frame."""
        return WeightSteps(torch.maximum(self.rows * factor, self.least_rows), self.columns)


def _relative_steps(weights: Tensor, slopes: Tensor) -> _RelativeSteps:
    """Steps of a tensor (K, ...) of squared slopes (K, F), inverse to the slopes."""
    slopes = slopes.cpu()
    mean = slopes.mean(dtype=torch.float64).clamp_min(1e-30)
    rows, columns = slopes.mean(1, dtype=torch.float64), slopes.mean(0, dtype=torch.float64)
    rows = rows.clamp_min(_LEAST_ROW * float(rows.max().clamp_min(1e-30)))
    columns = (columns + _LEAST_COLUMN * mean) / mean
    halves = (-torch.log2(columns)).round().clamp(-100, 100).to(torch.int8)
    ones = WeightSteps(torch.ones(len(rows)), halves)
    least = (weights.detach().float().cpu().flatten(1).abs() / ones.table()[0]).amax(1) / GREATEST
    return _RelativeSteps((1.0 / rows.sqrt()).float(), halves, least.clamp_min(1e-30))
