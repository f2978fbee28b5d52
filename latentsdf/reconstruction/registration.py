"""Registration of candidate fields to a scan: pairs of a code and a pose, ranked after the pose is fitted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..core.optimize import Stop
from ..core.pose import Pose
from ..inference.candidate_rotations import CandidateRotations
from ..inference.candidates import CandidateFields
from ..inference.levenberg_marquardt import FitStage, levenberg_marquardt
from ..inference.objective import CodeObjective, Guess
from ..inference.residuals import Residuals, ResidualSampler

SEPARATION = 40.0
"""Degrees within which only the best rotation of a code is registered."""
POSES_PER_CODE = 4
"""Poses in which each code is registered, at most."""
COARSE_POINTS = 64
"""Residuals of each kind in the comparison of all pairs."""
STAGES = ((0.2, 96, 6), (0.1, 192, 4))
"""Truncation, residuals of each kind and iterations of the registration."""
RANKING = (0.1, 512)
"""Truncation and residuals of each kind in the comparison of registered pairs."""
_GUESSES_PER_CHUNK = 64


def register_candidates(
    candidates: CandidateFields,
    poses: Pose,
    rotations: CandidateRotations,
    objective: CodeObjective,
    residuals: ResidualSampler,
    generator: torch.Generator,
    count: int,
) -> Guess:
    """Find the pairs of a stored code and a pose that explain a scan best, each pose registered first.

    At a rotation error of twenty degrees thin parts do not overlap, and losses rank codes badly. So each code is
    registered in the local minima of its loss over the rotations, and the pairs are ranked after that.

    Args:
        candidates: K stored fields.
        poses: (P,) of the T rotations, one or several times over, with scales and shifts.
        rotations: T, and which candidate takes which.
        objective: of `LatticeFields(candidates)`; the pose alone is active, not the row.
        residuals: of the scan, in the frame that poses start from.
        generator: of the draws.
        count: pairs returned, at most.

    Returns:
        Codes and registered poses, the best first.

    Raises:
        KeyboardInterrupt: Ctrl-C; there is no guess yet.
    """
    losses = candidates.losses(poses, residuals.sample(COARSE_POINTS, generator), STAGES[0][0])
    turns = len(rotations.groups)
    losses, copies = losses.view(-1, turns, len(candidates)).min(0)
    losses = losses.masked_fill(~rotations.allowed().to(losses.device), torch.inf)
    minima = local_minima(losses, rotations.rotations)
    lowest, rows = minima.topk(min(POSES_PER_CODE, turns), dim=0, largest=False)
    ranks, codes = lowest.isfinite().nonzero().unbind(1)
    rows = rows[ranks, codes]
    guess = Guess(codes[:, None].to(candidates.codes), poses.select(copies[rows, codes] * turns + rows))
    stages = (FitStage(tau, residuals.sample(points, generator), iterations) for tau, points, iterations in STAGES)
    result = levenberg_marquardt(objective, guess, stages)
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    best = lowest_losses(objective, result.guess, residuals.sample(RANKING[1], generator), RANKING[0], count)
    return best._replace(codes=candidates.codes[best.codes[:, 0].long()])


def lowest_losses(
    objective: CodeObjective, guess: Guess, groups: list[Residuals], truncation: float, count: int
) -> Guess:
    """At most `count` of the guesses, by their losses, the lowest first.

    Args:
        objective: compared.
        guess: S codes and poses.
        groups: residuals.
        truncation: of the residuals.
        count: of guesses.
    """
    with torch.no_grad():
        parts = torch.arange(len(guess.codes), device=guess.codes.device).split(_GUESSES_PER_CHUNK)
        losses = torch.cat([objective.losses(guess.select(part), groups, truncation) for part in parts])
    return guess.select(losses.argsort()[:count])


def local_minima(losses: Tensor, rotations: Tensor) -> Tensor:
    """Losses (T, K) with infinity at each rotation that has one of a lower loss within `SEPARATION`.

    Args:
        losses: (T, K) of K codes.
        rotations: (T, 3, 3).
    """
    minima = torch.full_like(losses, torch.inf)
    flat = rotations.flatten(1)
    least_trace = 1.0 + 2.0 * math.cos(math.radians(SEPARATION))
    for row, rotation in enumerate(flat):
        near = flat @ rotation > least_trace
        minima[row] = torch.where(losses[row] > losses[near].amin(0), torch.inf, losses[row])
    return minima
