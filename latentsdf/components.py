"""Principal components of a dataset's lattices: the linear baseline, where codes start from, and common attitudes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .attitude import attitudes, nearest_rows, turned
from .dataset import Dataset
from .decoder import Linear, LinearConfig, principal_components

GROWTH = (2, 4, 8, 16, 32, 64, 64, 64)
"""Components that attitudes are compared in, round by round."""
MARGIN = 0.03
"""By which part of the distance another attitude must be nearer: what looks alike from several sides stays put."""
COMPARED = 1500
"""Most shapes that the components of a round are taken of."""


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


def component_codes(dataset: Dataset, code_size: int) -> Tensor:
    """Principal components of the shapes' 32^3 lattices, the first with unit deviation (S, D)."""
    _, _, codes = principal_components(resampled(dataset, 32), code_size)
    return codes / codes.std(0).max().clamp_min(1e-12)


def nearest_attitudes(lattices: Tensor, mean: Tensor, basis: Tensor, margin: float = MARGIN) -> Tensor:
    """The attitude in which each field is nearest to a linear space, (S,) rows of `attitudes()`.

    Args:
        lattices: (S, R, R, R) truncated fields.
        mean: (R^3,) of the space.
        basis: (D, R^3), orthonormal rows.
        margin: by which part of the distance another attitude must be nearer than the one it has.
    """
    apart = []
    for rotation in attitudes():
        off = turned(lattices, rotation).flatten(1) - mean
        apart.append((off.square().sum(1) - (off @ basis.T).square().sum(1)).clamp_min(0.0).sqrt())
    distances = torch.stack(apart)
    distances[1:] /= 1.0 - margin
    return distances.argmin(0)


def common_attitudes(lattices: Tensor) -> Tensor:
    """Attitudes (S,) in which fields (S, R, R, R) have most in common: few principal components first, then more.

    Each round takes the components of the fields as they stand and turns each field to where it is nearest to them
    (congealing: Learned-Miller, 2006, over the 24 attitudes).
    """
    rotations, standing = attitudes(), lattices.clone()
    some = torch.randperm(len(lattices), generator=torch.Generator().manual_seed(0))[:COMPARED]
    total = torch.eye(3).repeat(len(lattices), 1, 1)
    for components in GROWTH:
        mean, basis, _ = principal_components(standing[some], min(components, len(some)))
        found = nearest_attitudes(standing, mean.flatten(), basis.flatten(1))
        for row in found.unique().tolist():
            here = found == row
            standing[here] = turned(standing[here], rotations[row])
        total = rotations[found] @ total
    return nearest_rows(total)
