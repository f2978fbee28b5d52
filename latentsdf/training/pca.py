"""Principal components of a dataset's lattices: the linear baseline and where codes start from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..dataset.dataset import Dataset
from ..decoder.linear import Linear, LinearConfig, principal_components


def fit_linear(dataset: Dataset, config: LinearConfig) -> tuple[Linear, Tensor]:
    """The linear space of a dataset: principal components of its truncated lattices, no descent.

    Args:
        dataset: its lattices are resampled to the config's resolution.
        config: code size and resolution.

    Returns:
        The decoder, and the codes (S, D) of the dataset's shapes.
    """
    decoder = Linear(config).requires_grad_(False).eval()
    lattices = resampled(dataset, config.resolution)
    mean, basis, codes = principal_components(lattices, config.code_size)
    with torch.no_grad():
        decoder.mean.copy_(mean)
        decoder.basis.copy_(basis)
    return decoder, codes


def resampled(dataset: Dataset, resolution: int) -> Tensor:
    """The dataset's truncated lattices at another resolution, (S, R, R, R)."""
    lattices = dataset.lattices()
    if lattices.shape[-1] == resolution:
        return lattices
    size = (resolution,) * 3
    return functional.interpolate(lattices[:, None], size=size, mode="trilinear", align_corners=True)[:, 0]


def pca_codes(dataset: Dataset, code_size: int) -> Tensor:
    """Principal components of the shapes' 32^3 lattices, the first with unit deviation (S, D)."""
    _, _, codes = principal_components(resampled(dataset, 32), code_size)
    return codes / codes.std(0).max().clamp_min(1e-12)
