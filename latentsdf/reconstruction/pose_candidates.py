"""Where fits of scans start: codes of a space and poses, all pairs of them tried on a lattice."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations, nearest_rotation
from ..core.pose import FREEDOMS, Pose, PoseFreedom, spread_rotations
from ..inference.candidates import CandidateFields, mean_and_some
from ..inference.objective import Guess
from ..inference.residuals import Residuals
from ..space.space import LatentSpace


def candidate_fields_of_space(space: LatentSpace, candidates: int, seed: int) -> CandidateFields:
    """The starts that scans are tried against; make it once for many scans of one space.

    The mean code has the attitude that most of the space's shapes have.
    """
    codes = space.codes()
    device = next(space.decoder.parameters()).device
    if not len(codes):
        return CandidateFields(space.decoder, torch.zeros(1, space.code_size, device=device))
    some, chosen = mean_and_some(codes, candidates, torch.Generator().manual_seed(seed))
    rows = nearest_rotation(torch.from_numpy(np.stack([shape.frame.rotation for shape in space.values()])))
    return CandidateFields(
        space.decoder, some.to(device), attitudes=torch.cat([rows.mode().values[None], rows[chosen]])
    )


def rotations_for(pose: PoseFreedom, count: int, candidates: CandidateFields) -> tuple[Tensor, Tensor | None]:
    """Rotations that are tried; where axes are alike, those of the stored shapes, and their rows in `attitudes()`."""
    if pose == "free":
        return spread_rotations(count).to(candidates.codes), None
    rows = candidates.rotation_rows.unique()
    return cube_rotations()[rows].to(candidates.codes), rows


def tried_poses(poses: Pose, whole: bool) -> Pose:
    """Poses that are tried, all of them one or several times over.

    Of an open scan, which shows less than the whole, also smaller ones beside the middle.
    """
    if whole:
        return poses
    steps = torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)]).to(poses.shift) * 0.25
    moves = torch.zeros(1 + len(steps), FREEDOMS).to(steps)
    moves[1:, 3], moves[1:, 4:] = -0.25, steps
    parts = [poses.retract(move.expand(len(poses.shift), -1)) for move in moves]
    return Pose(*(torch.cat(items) for items in zip(*parts, strict=True)))


def best_pairs(
    candidates: CandidateFields, poses: Pose, groups: list[Residuals], count: int, allowed: Tensor | None = None
) -> Guess:
    """The pairs of code and pose of the lowest losses, of those allowed (P, K); no more than two of one code."""
    losses = candidates.losses(poses, groups, 0.2)
    if allowed is not None:
        losses = losses.masked_fill(~allowed.to(losses.device), torch.inf)
    low, rows = losses.topk(min(2, len(losses)), dim=0, largest=False)
    order = low.reshape(-1).argsort()[: min(count, int(low.isfinite().sum()))]
    pose_rows, code_rows = rows.reshape(-1)[order], order % len(candidates)
    return Guess(candidates.codes[code_rows], poses.select(pose_rows))
