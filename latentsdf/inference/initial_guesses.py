"""Initial guesses of code fits: stored codes and rotations of the cube with the lowest losses."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.pose import Pose
from ..decoder.base import Decoder
from .candidate_rotations import CandidateRotations
from .candidates import CANDIDATES, CandidateFields, LatticeColumns, mean_and_subset
from .objective import CodeObjective, Guess
from .residuals import Residuals, SignedSamples

RESOLUTION = 14
"""Vertices per axis of the candidates' lattice."""
COARSE = (0.2, 128)
"""Truncation and samples of the ranking on the lattice."""
FINE = 1024
"""Samples of the ranking by the decoder."""
UNROTATED, ROTATED = 8, 16
"""Guesses of a shape that pass the ranking on the lattice: in its own orientation, and in others."""
ROTATIONS_PER_CODE = 2
"""Other orientations of one code among them, at most."""
ROTATION_PENALTY = 1.02
"""Factor on the loss of a rotated guess, so that a symmetric shape keeps its orientation."""


def stored_candidates(
    columns: LatticeColumns, stored: Tensor, generator: torch.Generator, rotation_rows: Tensor | None = None
) -> CandidateFields | None:
    """Fields of the mean and a subset of stored codes, which guesses are chosen from; None without any.

    Args:
        columns: of the decoder of the space, `RESOLUTION` vertices per axis.
        stored: (K, D) codes.
        generator: of the choice.
        rotation_rows: (K,) how the axes of each source mesh lie in its unit frame (`frame_rows`); None is as they are.
    """
    if not len(stored):
        return None
    codes, chosen = mean_and_subset(stored, CANDIDATES, generator)
    if rotation_rows is not None:
        rotation_rows = torch.cat([rotation_rows.mode().values[None], rotation_rows[chosen]])
    return CandidateFields(columns, codes, rotation_rows)


def ranked_guesses(
    decoder: Decoder,
    candidates: CandidateFields,
    rotations: CandidateRotations | None,
    samples: SignedSamples,
    truncation: float,
    generator: torch.Generator,
) -> Guess:
    """Rank stored codes and rotations for every shape, on a lattice and then by the decoder.

    Args:
        decoder: of the space.
        candidates: of `stored_candidates`.
        rotations: ranked; None leaves shapes as they are, and guesses have no pose.
        samples: of S shapes.
        truncation: of the ranking by the decoder.
        generator: of the samples.

    Returns:
        (G * S) codes and poses, the best of each shape first, guesses of one rank beside each other.
    """
    coarse, fine = (samples.sample(count, generator) for count in (COARSE[1], FINE))
    ranked = rotations or CandidateRotations.shared(torch.eye(3)[None], candidates)
    poses, turned = Pose.from_rotations(ranked.rotations), ranked.turned().to(candidates.codes.device)
    codes, turns = _rank_on_lattice(candidates, ranked, poses, coarse[0])

    def guess(code_rows: Tensor, pose_rows: Tensor) -> Guess:
        return Guess(candidates.codes[code_rows], None if rotations is None else poses.select(pose_rows))

    objective = CodeObjective(decoder, 0.0)
    with torch.no_grad():
        losses = [objective.losses(guess(*rows), fine, truncation) for rows in zip(codes, turns, strict=True)]
    order = torch.where(turned[turns], ROTATION_PENALTY * torch.stack(losses), torch.stack(losses)).argsort(0)
    return guess(codes.gather(0, order).flatten(), turns.gather(0, order).flatten())


def _rank_on_lattice(
    candidates: CandidateFields, rotations: CandidateRotations, poses: Pose, group: Residuals
) -> tuple[Tensor, Tensor]:
    """Rows of the best candidates and of their poses, both (G, S)."""
    codes, turns = [], []
    refused, turned = (mask.to(candidates.codes.device) for mask in (~rotations.allowed(), rotations.turned()))
    kept, others = (~turned).nonzero()[:, 0], turned.nonzero()[:, 0]
    for points, targets in zip(group.points, group.targets, strict=True):
        losses = candidates.losses(poses, [Residuals(points[None], targets[None])], COARSE[0])
        losses = losses.masked_fill(refused, torch.inf)
        least, rows = losses[kept].min(0)
        best = least.argsort()[:UNROTATED]
        lowest, turned_rows = losses[others].topk(min(ROTATIONS_PER_CODE, len(others)), dim=0, largest=False)
        order = lowest.flatten().argsort()[:ROTATED]
        codes.append(torch.cat([best, order % len(candidates)]))
        turns.append(torch.cat([kept[rows[best]], others[turned_rows.flatten()[order]]]))
    return torch.stack(codes, 1), torch.stack(turns, 1)
