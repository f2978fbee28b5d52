"""Where fits of codes start: the stored codes, in the attitudes, that look most like the targets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations
from ..core.pose import Pose, PoseFreedom
from .candidates import CandidateFields, mean_and_some
from .objective import CodeObjective, Guess
from .residuals import Residuals

LATTICE = 14
"""Vertices an axis of the lattice on which stored codes are looked at from afar."""
FROM_AFAR = 0.2
"""Truncation of that look."""
AS_IT_IS, TURNED_ABOUT = 8, 16
"""Starts of a shape in the attitude that it has, and in others, that are then looked at by the decoder itself."""
OF_ONE = 2
"""Most other attitudes of one code among them."""
TURNED = 1.02
"""What the loss of a start in another attitude counts, so that what looks alike from several sides stays put."""


def candidate_fields_of_codes(
    problem: CodeObjective, stored: Tensor, count: int, random: torch.Generator
) -> CandidateFields | None:
    """The mean code and some stored codes (K, D) as fields on a lattice; None where there is nothing to choose."""
    if count == 0 or len(stored) == 0:
        return None
    return CandidateFields(problem.decoder, mean_and_some(stored, count, random)[0], LATTICE)


def initial_guesses(
    problem: CodeObjective,
    candidates: CandidateFields,
    pose: PoseFreedom,
    looks: tuple[Residuals, Residuals],
    truncation: float,
) -> Guess:
    """Starts of every shape, the best first: (K * S) codes and poses, those of one rank beside each other.

    Args:
        problem: without a prior.
        candidates: codes to choose from.
        pose: `free` tries every attitude.
        looks: residuals of S shapes, few to look at from afar and more to look at closely.
        truncation: of the close look.
    """
    afar, near = looks
    turns = cube_rotations().to(candidates.codes)
    tried = Pose.from_rotations(turns if pose == "free" else turns[:1])
    codes, poses = [], []
    for points, targets in zip(afar.points, afar.targets, strict=True):
        losses = candidates.losses(tried, [Residuals(points[None], targets[None])], FROM_AFAR)
        first = losses[0].argsort()[:AS_IT_IS]
        low, at = losses[1:].topk(min(OF_ONE, len(losses) - 1), dim=0, largest=False)
        order = low.flatten().argsort()[:TURNED_ABOUT]
        codes.append(torch.cat([first, order % len(candidates)]))
        poses.append(torch.cat([torch.zeros_like(first), 1 + at.flatten()[order]]))
    chosen, attitude = torch.stack(codes, 1), torch.stack(poses, 1)
    ranks, shapes = chosen.shape
    guesses = [
        Guess(candidates.codes[row], None if pose == "known" else tried.select(turn))
        for row, turn in zip(chosen, attitude, strict=True)
    ]
    with torch.no_grad():
        close = torch.stack([problem.losses(guess, [near], truncation) for guess in guesses])
    close = torch.where(attitude > 0, TURNED * close, close)
    order = close.argsort(0)
    every = torch.arange(shapes, device=order.device)
    rows, turns_of = chosen[order, every].flatten(), attitude[order, every].flatten()
    return Guess(candidates.codes[rows], None if pose == "known" else tried.select(turns_of))
