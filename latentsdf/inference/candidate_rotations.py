"""Rotations under which candidates are compared, and which candidate under which."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array
from ..core.cube_rotations import cube_rotations, nearest_rotation
from ..core.upright import aligning_rotation, turns_about
from ..space.space import LatentSpace
from .candidates import CandidateFields

TURNS = 24
"""Angles about up that are compared, 15 degrees apart."""


class CandidateRotations(NamedTuple):
    """T rotations, from the frame of the points into the unit frame, and K candidates that take some of them.

    Attributes:
        rotations: (T, 3, 3).
        groups: (T,) labels; a candidate takes the rotations of its own label.
        of_candidates: (K,) labels.
    """

    rotations: Tensor
    groups: Tensor
    of_candidates: Tensor

    def allowed(self, copies: int = 1) -> Tensor:
        """Mask (T * copies, K) of the pairs that are compared, of so many poses a rotation, grouped by T."""
        return (self.groups[:, None] == self.of_candidates).repeat(copies, 1)

    def turned(self) -> Tensor:
        """Mask (T,) of the rotations that are not the first of their label."""
        return torch.cat([torch.zeros(1, dtype=torch.bool), self.groups[1:] == self.groups[:-1]])

    @staticmethod
    def shared(rotations: Tensor, candidates: CandidateFields) -> CandidateRotations:
        """Rotations (T, 3, 3) that all candidates take."""
        return CandidateRotations(
            rotations.to(candidates.codes),
            torch.zeros(len(rotations), dtype=torch.long),
            torch.zeros(len(candidates), dtype=torch.long),
        )

    @staticmethod
    def of_axes(candidates: CandidateFields) -> CandidateRotations:
        """The one of each candidate under which points have the axes of its source mesh."""
        rows = candidates.rotation_rows.unique()
        return CandidateRotations(cube_rotations()[rows].to(candidates.codes), rows, candidates.rotation_rows)

    @staticmethod
    def about_up(candidates: CandidateFields, up: Array, space_up: Array, count: int = TURNS) -> CandidateRotations:
        """Those under which up is up, at all angles about it; the first of each label is the least rotation.

        Args:
            candidates: with the axes of their source meshes.
            up: (3,) unit vector in the frame of the points.
            space_up: (3,) unit vector, up in the axes of the source meshes.
            count: angles.
        """
        turns = turns_about(space_up, count) @ torch.from_numpy(aligning_rotation(up, space_up))
        frames = cube_rotations().double()
        _, labels = np.unique((frames.numpy() @ space_up).round(6), axis=0, return_inverse=True)
        of_candidates = torch.from_numpy(labels.reshape(-1))[candidates.rotation_rows]
        used = of_candidates.unique()
        # One frame of each label stands for all: they differ by angles about up that are among those compared.
        rows = [candidates.rotation_rows[of_candidates == label].mode().values for label in used]
        rotations = torch.cat([frames[row] @ turns for row in rows])
        return CandidateRotations(rotations.to(candidates.codes), used.repeat_interleave(count), of_candidates)


def frame_rows(space: LatentSpace) -> Tensor:
    """Rows (S,) of `cube_rotations`: how the axes of each source mesh of a space lie in its unit frame."""
    return nearest_rotation(torch.from_numpy(np.stack([shape.frame.rotation for shape in space.values()])))
