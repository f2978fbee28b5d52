"""Principal components of a dataset's lattices: the linear baseline, and initial codes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.linear import Linear, LinearConfig, principal_components

RESOLUTION = 32
"""Lattice vertices per axis of initial codes."""


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
    mean, basis, codes = principal_components(dataset.lattices(resolution=config.resolution), config.code_size)
    with torch.no_grad():
        decoder.mean.copy_(mean)
        decoder.basis.copy_(basis)
    return decoder, codes


def pca_codes(dataset: Dataset, code_size: int) -> Tensor:
    """Principal components of the shapes' lattices, scaled so that the first has unit deviation, (S, D)."""
    _, _, codes = principal_components(dataset.lattices(resolution=RESOLUTION), code_size)
    return codes / codes.std(0).max().clamp_min(1e-12)
