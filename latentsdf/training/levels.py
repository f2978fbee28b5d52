"""Levels of the fields of a trained space."""

from __future__ import annotations

import torch

from ..dataset.dataset import Dataset
from ..space.space import LatentSpace
from ..space.suited_level import with_level

SAMPLES = {"near": 4000}
"""Samples a shape that its level is chosen by."""
_ROWS = 16


def levelled(space: LatentSpace, dataset: Dataset, seed: int) -> LatentSpace:
    """The space with each shape at the level that suits its samples (`space.suited_level`).

    Args:
        space: whose shapes are those of the dataset, in its order and frames.
        dataset: samples of the shapes.
        seed: of the draw.
    """
    generator, shapes = torch.Generator().manual_seed(seed), []
    for rows in torch.arange(len(dataset)).split(_ROWS):
        drawn = zip(rows.tolist(), *dataset.sample(rows, SAMPLES, generator), strict=True)
        shapes += [with_level(space[space.names[row]], points, distances) for row, points, distances in drawn]
    return LatentSpace(space.decoder, shapes, space.history)
