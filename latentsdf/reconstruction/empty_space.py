"""Empty space of a scan that a guess of its shape fills: residuals at the queries nearest to the guess's surface."""

from __future__ import annotations

import torch

from ..decoder.base import Decoder
from ..inference.objective import Guess
from ..inference.residuals import Residuals, into_cube

POOL = 2048
"""Queries of empty space among which those nearest to a surface are taken."""
SHARE = 1 / 16
"""Part of them that is taken. Larger counts more of the space around a surface, and its surface less."""
WEIGHT = 1.0
"""Weight of their mean, beside that of the points."""


def nearest_to_surfaces(
    decoder: Decoder, guess: Guess, empty: Residuals, count: int, generator: torch.Generator
) -> Residuals:
    """Choose the empty queries that the surfaces of guesses are nearest to: their residuals grow with wrong surface.

    In queries drawn at random a thin part in empty space is lost: it fills a thousandth of it. (Mining of hard
    examples, as in Curriculum DeepSDF, Duan et al. 2020, section 3.2.)

    Args:
        decoder: of the codes.
        guess: S codes and poses.
        empty: residuals (1, N).
        count: queries taken of each guess, at most.
        generator: of the draw.

    Returns:
        One group of residuals (S, K), weighted.
    """
    assert guess.pose is not None
    total = empty.points.shape[1]
    rows = torch.randint(total, (min(POOL, total),), generator=generator).to(empty.points.device)
    points, targets = empty.points[0, rows], empty.targets[0, rows]
    with torch.no_grad():
        inside, outside = into_cube(guess.pose.apply(points[None]))
        values = decoder.query(decoder.prepare(guess.codes), inside, decoder.branches[-1]) + outside
    order = values if empty.kind == "outside" else values.abs()
    taken = order.topk(min(count, max(1, round(SHARE * len(rows)))), dim=1, largest=False).indices
    return empty._replace(points=points[taken], targets=targets[taken], weight=WEIGHT)
