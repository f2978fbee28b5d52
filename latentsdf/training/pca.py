"""Principal components of a dataset's lattices: the linear baseline, and initial codes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.linear import Linear, LinearConfig, principal_components

RESOLUTION = 32
"""Lattice vertices per axis of initial codes."""
SHAPES = 2048
"""Shapes that principal components are computed from; more are projected on those of evenly spaced ones."""


def fit_linear(dataset: Dataset, config: LinearConfig) -> tuple[Linear, Tensor]:
    """Compute the linear space of a dataset: principal components of its truncated lattices, no descent.

    Args:
        dataset: its lattices are resampled to the config's resolution.
        config: code size and resolution.

    Returns:
        The decoder, and the codes (S, D) of the dataset's shapes.

    Raises:
        ValueError: prepared without lattices.
    """
    decoder = Linear(config).requires_grad_(False).eval()
    mean, basis, codes = _components(dataset, config.resolution, config.code_size)
    with torch.no_grad():
        decoder.mean.copy_(mean)
        decoder.basis.copy_(basis)
    return decoder, codes


def pca_codes(dataset: Dataset, code_size: int) -> Tensor:
    """Principal components of the shapes' lattices, scaled so that the first has unit deviation, (S, D)."""
    _, _, codes = _components(dataset, RESOLUTION, code_size)
    return codes / codes.std(0).max().clamp_min(1e-12)


def _components(dataset: Dataset, resolution: int, code_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, basis and codes as `principal_components`, with no more than the lattices of `SHAPES` shapes in memory."""
    if len(dataset) <= SHAPES:
        return principal_components(dataset.lattices(resolution=resolution), code_size)
    chosen = torch.linspace(0, len(dataset) - 1, SHAPES, dtype=torch.float64).round().long()
    mean, basis, _ = principal_components(dataset.lattices(chosen, resolution), code_size)
    parts = torch.arange(len(dataset)).split(64)
    codes = [(dataset.lattices(part, resolution).flatten(1) - mean) @ basis.T for part in parts]
    return mean, basis, torch.cat(codes)
