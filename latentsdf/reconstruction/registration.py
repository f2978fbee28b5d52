"""Stored fields turned and moved onto a scan, each by itself: where it lies best, before any code changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ..core.optimize import Stop
from ..core.pose import FREEDOMS, Pose
from ..decoder.linearize import Linearize, Linearized
from ..inference.candidates import CandidateFields
from ..inference.levenberg_marquardt import levenberg_marquardt
from ..inference.objective import CodeObjective, Guess
from ..inference.residuals import Residuals

APART = 40.0
"""Degrees; where a code is tried in rotations nearer to each other than this, the best of them is registered."""
EACH = 4
"""Poses at most in which each code is registered."""
FIRST = 64
"""Points of each kind at which all pairs are compared."""
ROUNDS = ((0.2, 96, 6), (0.1, 192, 4))
"""Truncation, points of each kind and steps of the registration."""
LAST = (0.1, 512)
"""Truncation and points of each kind at which registered pairs are compared."""
_AT_ONCE = 64
"""Guesses whose losses are taken at a time."""


class LatticeFields:
    """The fields of a candidates, read like a decoder: a code (1,) is the number of a row, and does not move."""

    branches: ClassVar[tuple[str, ...]] = ("lattice",)

    def __init__(self, candidates: CandidateFields):
        self._values, self._side = candidates.table.T.reshape(-1), candidates.resolution

    def prepare(self, codes: Tensor) -> Tensor:
        """Rows of the candidates, (S,)."""
        return codes[:, 0].long()

    def query(self, state: Tensor, points: Tensor, branch: str = "lattice") -> Tensor:
        """Signed distances (S, N) at points (S, N, 3) of the cube."""
        del branch
        return self._read(state, points)[0]

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Fields and their derivatives, those of codes zero."""
        del branch

        def linearize(codes: Tensor, points: Tensor) -> Linearized:
            values, slope = self._read(self.prepare(codes), points)
            return Linearized(values, values.new_zeros(*values.shape, 1), slope)

        return linearize

    def _read(self, rows: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Trilinear values (S, N) and their gradients (S, N, 3)."""
        side = self._side
        scaled = (points + 1.0) * ((side - 1) / 2)
        low = scaled.floor().clamp(0, side - 2)
        x, y, z = low.long().unbind(-1)
        first = ((rows[:, None] * side + x) * side + y) * side + z
        steps = [0, 1, side, side + 1, side * side, side * side + 1, side * side + side, side * side + side + 1]
        found = self._values[first[..., None] + torch.tensor(steps, device=first.device)]
        part = (scaled - low).unsqueeze(-2)
        gradient = []
        for axis in (2, 1, 0):
            below, above = found[..., 0::2], found[..., 1::2]
            share = part[..., axis]
            gradient = [before[..., 0::2] + share * (before[..., 1::2] - before[..., 0::2]) for before in gradient]
            gradient.append(above - below)
            found = below + share * (above - below)
        slope = torch.cat(gradient[::-1], -1) * ((side - 1) / 2)
        return found[..., 0], slope


def register_candidates(
    candidates: CandidateFields,
    poses: Pose,
    turns: int,
    draw: Callable[[int], list[Residuals]],
    place: float,
    home: Callable[[Pose], Pose] | None,
    count: int,
) -> Guess:
    """The pairs of a stored code and a pose that explain a scan best, each pose moved to where it does so best.

    A shape that is still turned by twenty degrees says little of how well it fits: thin parts do not meet at all.
    Codes are therefore ranked after registration, in the best few of the poses that are tried, not before.

    Args:
        candidates: stored fields.
        poses: (P,) that are tried: the same T rotations, one or several times over, each with a scale and place.
        turns: T.
        draw: a number of points of each kind -> residuals of the scan, in the frame that poses start from.
        place, home: as `Problem` has them.
        count: pairs wanted.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing was chosen yet.
    """
    losses, times = candidates.losses(poses, draw(FIRST), ROUNDS[0][0]).view(-1, turns, len(candidates)).min(0)
    low, rows = local_minima(losses, poses.rotation[:turns]).topk(min(EACH, turns), dim=0, largest=False)
    tried, codes = low.isfinite().nonzero().unbind(1)
    rows = rows[tried, codes]
    chosen = poses.select(times[rows, codes] * turns + rows)
    free = torch.tensor([False] + [True] * FREEDOMS)
    problem = CodeObjective(LatticeFields(candidates), 0.0, free, pose_weight=place, pose_prior=home)
    guess = Guess(codes[:, None].to(candidates.codes), chosen)
    for truncation, points, steps in ROUNDS:
        groups = draw(points)
        found = levenberg_marquardt(problem, lambda _, t=truncation, g=groups: (t, g), guess, [steps])
        if found.stop is Stop.INTERRUPTED:
            raise KeyboardInterrupt
        guess = found.guess
    best = lowest(problem, guess, draw(LAST[1]), LAST[0], count)
    return best._replace(codes=candidates.codes[best.codes[:, 0].long()])


def lowest(problem: CodeObjective, guess: Guess, groups: list[Residuals], truncation: float, count: int) -> Guess:
    """Those of the guesses that have the lowest losses, the lowest first."""
    with torch.no_grad():
        parts = torch.arange(len(guess.codes), device=guess.codes.device).split(_AT_ONCE)
        losses = torch.cat([problem.losses(guess.select(part), groups, truncation) for part in parts])
    return guess.select(losses.argsort()[:count])


def local_minima(losses: Tensor, rotations: Tensor) -> Tensor:
    """Losses (T, K) of rotations (T, 3, 3), infinite where one near it has a lower loss."""
    kept = torch.full_like(losses, torch.inf)
    flat = rotations.flatten(1)
    least = 1.0 + 2.0 * math.cos(math.radians(APART))
    for row, rotation in enumerate(flat):
        near = flat @ rotation > least
        kept[row] = torch.where(losses[row] > losses[near].amin(0), torch.inf, losses[row])
    return kept
