"""Initial guesses of scan fits: pairs of a stored code and a pose, compared on a lattice."""

from __future__ import annotations

import torch

from ..core.pose import FREEDOMS, Pose
from ..inference.candidate_rotations import CandidateRotations, frame_rows
from ..inference.candidates import CANDIDATES, CandidateFields, LatticeColumns, mean_and_subset
from ..inference.objective import Guess
from ..inference.residuals import Residuals
from ..space.space import LatentSpace

TRUNCATION = 0.2
"""Of the comparison on the lattice."""
_PAIRS_PER_CODE = 2
_RESOLUTION = 20
"""Vertices per axis of the lattice."""
_STEP = 0.25
"""Shrinkage (log scale) and shift, unit frame, of the additional poses of an open scan."""


def candidate_fields(space: LatentSpace, seed: int = 0) -> CandidateFields:
    """Fields of the mean code and of stored codes, made once for any number of scans of one space.

    Args:
        space: with its frames, by which the axes of each source mesh are known; the mean code has those of most.
        seed: of the choice where the space holds more than `CANDIDATES` shapes.
    """
    return space.derived.get(f"candidate_fields {seed}", lambda: _candidate_fields(space, seed), of_codes=True)


def _candidate_fields(space: LatentSpace, seed: int) -> CandidateFields:
    codes, columns = space.codes(), LatticeColumns.of_space(space, _RESOLUTION)
    device = next(space.decoder.parameters()).device
    if not len(codes):
        return CandidateFields(columns, torch.zeros(1, space.code_size, device=device))
    subset, chosen = mean_and_subset(codes, CANDIDATES, torch.Generator().manual_seed(seed))
    rows = frame_rows(space)
    rows = torch.cat([rows.mode().values[None], rows[chosen]])
    return CandidateFields(columns, subset.to(device), rows)


def with_smaller_poses(poses: Pose) -> Pose:
    """T poses, and 7 T more under which an open scan is smaller, centred or beside the centre: (8 T,), grouped by T."""
    shifts = torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)]).to(poses.shift) * _STEP
    moves = torch.zeros(1 + len(shifts), FREEDOMS).to(shifts)
    moves[1:, 3], moves[1:, 4:] = -_STEP, shifts
    parts = [poses.retract(move.expand(len(poses.shift), -1)) for move in moves]
    return Pose(*(torch.cat(items) for items in zip(*parts, strict=True)))


def best_pairs(
    candidates: CandidateFields, poses: Pose, groups: list[Residuals], count: int, rotations: CandidateRotations
) -> Guess:
    """The pairs of code and pose of the lowest losses, at most two of one code.

    Args:
        candidates: K codes.
        poses: P poses, of the rotations one or several times over.
        groups: residuals of the scan.
        count: the most pairs.
        rotations: which candidate takes which.
    """
    losses = candidates.losses(poses, groups, TRUNCATION)
    allowed = rotations.allowed(len(poses.shift) // len(rotations.groups))
    losses = losses.masked_fill(~allowed.to(losses.device), torch.inf)
    lowest, rows = losses.topk(min(_PAIRS_PER_CODE, len(losses)), dim=0, largest=False)
    order = lowest.reshape(-1).argsort()[: min(count, int(lowest.isfinite().sum()))]
    return Guess(candidates.codes[order % len(candidates)], poses.select(rows.reshape(-1)[order]))
