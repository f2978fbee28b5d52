"""Codes that a collection begins with in a start space, and the axes of codes that suit it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..space.space import LatentSpace
from .code_precision import hessians_and_error
from .code_refit import refitted_codes
from .pca import pca_codes
from .warm_start import COARSE, candidate_codes, coarse_fields, resize_codes

RIDGE = 0.1
"""Ridge of the regression from fields to codes, over the mean squared norm of the fields."""
STEPS = 3
"""Gauss-Newton steps on each code."""
SAMPLES = {"near": 1600, "uniform": 400}
"""Samples a shape of each step; four times as many came no closer."""
HESSIANS = 96
"""Shapes whose Hessians say how much a number of a code matters."""
MOST_FITTED = 512
"""Shapes whose codes are fitted; the codes of more are regressed from theirs too."""


class SuitedCodes(NamedTuple):
    """Codes along other axes: the field of a row z is that of z @ directions before.

    Attributes:
        codes: (S, D).
        directions: (D, D).
    """

    codes: Tensor
    directions: Tensor


def nearest_codes(space: LatentSpace, dataset: Dataset) -> Tensor:
    """For every shape of a dataset the code of the space whose field is nearest to its lattice, in the L1 norm.

    Truncated fields are compared on a coarse lattice: those of some of the space's shapes, and that of its shape of the
    same name where it has one.

    Returns:
        Codes (S, D).

    Raises:
        ValueError: the space holds no shapes, or a dataset without lattices.
    """
    codes, candidates, tau = space.codes(), candidate_codes(space), dataset.truncation
    row_of = {name: row for row, name in enumerate(space.names)}
    lattices = _coarse_lattices(dataset)
    error, best = torch.cdist(lattices, coarse_fields(space, candidates, tau), p=1).min(1)
    nearest = candidates[best]
    named = [row for row, name in enumerate(dataset.names) if name in row_of]
    if named:
        own = codes[[row_of[dataset.names[row]] for row in named]]
        nearer = (coarse_fields(space, own, tau) - lattices[named]).abs().sum(1) <= error[named]
        nearest[torch.tensor(named)[nearer]] = own[nearer]
    return nearest


def fitted_codes(space: LatentSpace, decoder: Decoder, dataset: Dataset, seed: int) -> Tensor:
    """Codes of a dataset's shapes in a space: regressed from their coarse fields, then fitted to their samples.

    The ridge regression is that of codes in fields over shapes of the space. A code of the space whose field is nearer
    (`nearest_codes`) takes the place of a regressed one. Gauss-Newton steps follow.

    Args:
        space: that the run begins from.
        decoder: of the run, with the space's weights.
        dataset: the shapes.
        seed: of the samples.

    Returns:
        (S, D) of the decoder.

    Raises:
        ValueError: the space holds no shapes, or a dataset without lattices.
    """
    known, tau, lattices = candidate_codes(space), dataset.truncation, _coarse_lattices(dataset)
    fields = coarse_fields(space, known, tau)
    codes, nearest = _regressed(fields, known, lattices), nearest_codes(space, dataset)
    errors = [(coarse_fields(space, some, tau) - lattices).abs().sum(1) for some in (codes, nearest)]
    codes = resize_codes(torch.where((errors[1] < errors[0])[:, None], nearest, codes), decoder.code_size)
    rows = torch.linspace(0, len(dataset) - 1, min(MOST_FITTED, len(dataset)), dtype=torch.float64).round().long()
    fitted, chosen = codes[rows], dataset.subset(rows.tolist())
    for step in range(STEPS):
        fitted = refitted_codes(decoder, fitted, chosen, seed + step, samples=SAMPLES)
    if len(rows) < len(dataset):
        known = torch.cat([resize_codes(known, decoder.code_size), fitted])
        codes = _regressed(torch.cat([fields, lattices[rows]]), known, lattices)
    codes[rows] = fitted
    return codes


def suited_codes(codes: Tensor, dataset: Dataset) -> SuitedCodes:
    """Codes along their own principal axes, scaled as principal components of the shapes' fields and noise are.

    Training from components moves codes of that scale at a fixed rate (`pca.pca_codes`, and N(0, 1 / D) added); codes
    of a space that holds thousands of other shapes are large along axes that a collection hardly uses.

    Args:
        codes: (S, D), S at least 2.
        dataset: of the same shapes.

    Raises:
        ValueError: a dataset without lattices.
    """
    size = codes.shape[1]
    _, lengths, axes = torch.linalg.svd(codes, full_matrices=True)
    own = codes.new_zeros(size)
    own[: len(lengths)] = lengths / len(codes) ** 0.5
    components = pca_codes(dataset, size).to(codes)
    wanted = (components.square().mean(0) + 1.0 / size).sqrt().sort(descending=True).values
    scale = torch.where(own > 1e-3 * own[0], wanted / own.clamp_min(1e-12), torch.ones_like(own))
    return SuitedCodes((codes @ axes.T) * scale, axes / scale[:, None])


def ordered_codes(decoder: Decoder, codes: Tensor, others: Tensor, dataset: Dataset, seed: int) -> SuitedCodes:
    """Codes along the axes that matter most to their fields, in that order.

    Principal components of H^(1/2) z with H the mean Hessian of the fields in the code: to first order, the first P
    axes approximate codes with the least square error of the fields near the surface that P numbers allow
    (Karhunen-Loeve transform under a quadratic distortion).

    Args:
        decoder: of the codes.
        codes: (S, D) of a dataset's shapes.
        others: (K, D) of other shapes, which count as much: a collection alone knows little of what it lacks.
        dataset: of the S shapes.
        seed: of the samples.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(codes), generator=generator)[:HESSIANS]
    hessian = hessians_and_error(decoder, codes, dataset, rows, generator)[0].mean(0).double()
    hessian += 1e-4 * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    values, vectors = torch.linalg.eigh(hessian)
    root, inverse = (vectors * power @ vectors.T for power in (values.sqrt(), values.rsqrt()))
    moments = sum(part.T @ part / len(part) for part in (codes.double(), others.double()) if len(part))
    axes = torch.linalg.eigh(root @ moments @ root)[1].flip(1)
    return SuitedCodes(codes @ (root @ axes).to(codes), (axes.T @ inverse).to(codes))


def _coarse_lattices(dataset: Dataset) -> Tensor:
    """Truncated fields (S, COARSE^3) of a dataset on the lattice of `coarse_fields`."""
    return dataset.lattices(resolution=COARSE).flatten(1).clamp(-dataset.truncation, dataset.truncation)


def _regressed(fields: Tensor, codes: Tensor, wanted: Tensor) -> Tensor:
    """Codes (S, D) for fields (S, F) by ridge regression over known fields (K, F) and codes (K, D), centred."""
    middle, center = fields.mean(0), codes.mean(0)
    kernel = (fields - middle) @ (fields - middle).T
    kernel += RIDGE * kernel.diagonal().mean().clamp_min(1e-12) * torch.eye(len(kernel), dtype=kernel.dtype)
    return center + (wanted - middle) @ (fields - middle).T @ torch.linalg.solve(kernel, codes - center)
