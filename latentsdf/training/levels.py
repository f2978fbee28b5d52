"""Levels of the fields of a trained space, and the pieces of their surfaces that are kept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..dataset.dataset import Dataset
from ..space.kept_pieces import with_kept_pieces
from ..space.space import LatentSpace
from ..space.suited_level import with_level

SAMPLES = {"near": 4000}
"""Samples a shape that its level is chosen by."""
PIECE_CELLS = ((1000, 128), (4096, 64))
"""Shapes up to which the pieces of each are found on so many cells an axis, which takes 0.15 s and 0.04 s a shape.
Those of larger collections keep all pieces: a run must not take longer to finish than to train."""
_ROWS = 16


def levelled(
    space: LatentSpace, dataset: Dataset, seed: int, on_part: Callable[[float], None] = lambda done: None
) -> LatentSpace:
    """The space with each shape at the level that suits its samples (`space.suited_level`), without its crumbs.

    Args:
        space: whose shapes are those of the dataset, in its order and frames.
        dataset: samples of the shapes.
        seed: of the draw.
        on_part: called with the part of the shapes that are done, 0 to 1.
    """
    generator, shapes = torch.Generator().manual_seed(seed), []
    cells = next((cells for most, cells in PIECE_CELLS if len(dataset) <= most), None)
    for rows in torch.arange(len(dataset)).split(_ROWS):
        drawn = zip(rows.tolist(), *dataset.sample(rows, SAMPLES, generator), strict=True)
        for row, points, distances in drawn:
            shape = with_level(space[space.names[row]], points, distances)
            shapes.append(shape if cells is None else with_kept_pieces(shape, dataset.audits[row].components, cells))
            on_part(len(shapes) / len(dataset))
    return LatentSpace(space.decoder, shapes, space.history)
