"""Fewer shapes of a space, chosen so that they cover it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .space import LatentSpace


def covering_rows(codes: Tensor, count: int) -> list[int]:
    """Rows of codes by farthest-point sampling, begun at the code nearest to the mean (Gonzalez 1985).

    Every code is then at most twice as far from a chosen one as with the best choice of as many.

    Args:
        codes: (S, D).
        count: of the rows; all of them where there are no more.

    Returns:
        The rows, in ascending order.

    Raises:
        ValueError: a count below 1.
    """
    if count < 1:
        raise ValueError(f"the count of codes to keep must be at least 1, got {count}")
    if count >= len(codes):
        return list(range(len(codes)))
    row = int((codes - codes.mean(0)).square().sum(1).argmin())
    rows, nearest = [], codes.new_full((len(codes),), torch.inf)
    for _ in range(count):
        rows.append(row)
        nearest = torch.minimum(nearest, (codes - codes[row]).square().sum(1))
        nearest[row] = -1.0
        row = int(nearest.argmax())
    return sorted(rows)


def covering_space(space: LatentSpace, count: int) -> LatentSpace:
    """The decoder with those of its shapes that cover the space: codes and frames, without records and metadata.

    It is stored in the form of the space that it is taken from; its history says how many shapes that was trained on,
    and has no log.

    Args:
        space: of any decoder.
        count: shapes to keep.

    Raises:
        ValueError: a count below 1.
    """
    names = [space.names[row] for row in covering_rows(space.codes(), count)]
    shapes = [replace(space[name], metadata={}, record=None) for name in names]
    history = {key: value for key, value in space.history.items() if key != "log"}
    smaller = LatentSpace(space.decoder, shapes, {**history, "trained_on": len(space)})
    smaller.code_format, smaller.weight_format = space.code_format, space.weight_format
    return smaller
