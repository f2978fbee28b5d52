"""Initial guesses of code fits: stored codes and rotations of the cube with the lowest losses."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations
from ..core.pose import Pose, PoseFreedom
from ..decoder.base import Decoder
from .candidates import CANDIDATES, CandidateFields, mean_and_subset
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


def stored_candidates(decoder: Decoder, stored: Tensor, generator: torch.Generator) -> CandidateFields | None:
    """Fields of the mean and a subset of stored codes (K, D), which guesses are chosen from; None without any."""
    if not len(stored):
        return None
    return CandidateFields(decoder, mean_and_subset(stored, CANDIDATES, generator)[0], RESOLUTION)


def initial_guesses(
    decoder: Decoder,
    candidates: CandidateFields | None,
    samples: SignedSamples,
    pose: PoseFreedom,
    truncation: float,
    generator: torch.Generator,
) -> Guess:
    """Rank stored codes and cube rotations for every shape, on a lattice and then by the decoder.

    Args:
        decoder: of the space.
        candidates: of `stored_candidates`; without any, each shape gets the zero code.
        samples: of S shapes.
        pose: of the fit; `free` ranks all 24 rotations of the cube.
        truncation: of the ranking by the decoder.
        generator: of the samples.

    Returns:
        (G * S) codes and poses, the best of each shape first, guesses of one rank beside each other.
    """
    shapes = len(samples.points)
    if candidates is None:
        codes = samples.points.new_zeros(shapes, decoder.code_size)
        return Guess(codes, None if pose == "known" else Pose.identity(shapes, codes))
    coarse, fine = (samples.sample(count, generator) for count in (COARSE[1], FINE))
    rotations = cube_rotations().to(candidates.codes)
    poses = Pose.from_rotations(rotations if pose == "free" else rotations[:1])
    codes, turns = _rank_on_lattice(candidates, poses, coarse[0])

    def guess(code_rows: Tensor, pose_rows: Tensor) -> Guess:
        return Guess(candidates.codes[code_rows], None if pose == "known" else poses.select(pose_rows))

    objective = CodeObjective(decoder, 0.0)
    with torch.no_grad():
        losses = [objective.losses(guess(*rows), fine, truncation) for rows in zip(codes, turns, strict=True)]
    order = torch.where(turns > 0, ROTATION_PENALTY * torch.stack(losses), torch.stack(losses)).argsort(0)
    return guess(codes.gather(0, order).flatten(), turns.gather(0, order).flatten())


def _rank_on_lattice(candidates: CandidateFields, poses: Pose, group: Residuals) -> tuple[Tensor, Tensor]:
    """Rows of the best candidates and of their poses, both (G, S); the first pose is the identity."""
    codes, turns = [], []
    for points, targets in zip(group.points, group.targets, strict=True):
        losses = candidates.losses(poses, [Residuals(points[None], targets[None])], COARSE[0])
        unrotated = losses[0].argsort()[:UNROTATED]
        lowest, rows = losses[1:].topk(min(ROTATIONS_PER_CODE, len(losses) - 1), dim=0, largest=False)
        order = lowest.flatten().argsort()[:ROTATED]
        codes.append(torch.cat([unrotated, order % len(candidates)]))
        turns.append(torch.cat([torch.zeros_like(unrotated), 1 + rows.flatten()[order]]))
    return torch.stack(codes, 1), torch.stack(turns, 1)
