"""Stored codes as fields on one lattice, so that all of them can be tried in many poses at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..core.lattice import lattice_vertices, trilinear_corners
from ..core.pose import Pose
from .objective import Fields
from .residuals import Residuals, into_cube

_AT_ONCE = 4_000_000
"""Field values held at a time."""


class CandidateFields:
    """Fields of K codes at the vertices of a lattice over the unit cube; read trilinearly, about as fine as its cells.

    One read of a point gives the fields of all codes there, which is what makes it cheap: conditioning a decoder is
    paid once a code, not once a code and pose.

    Args:
        decoder: of the space.
        codes: (K, D), K at least 1.
        resolution: vertices an axis. Larger tells finer shapes apart; time and memory grow with its cube.
        attitudes: (K,) rows of `core.cube_rotations.attitudes`, how the shapes of the codes were set on the axes; None
            is the first, as their sources have them.
    """

    def __init__(self, decoder: Fields, codes: Tensor, resolution: int = 20, attitudes: Tensor | None = None):
        self.codes, self.resolution = codes, resolution
        self.rotation_rows = torch.zeros(len(codes), dtype=torch.long) if attitudes is None else attitudes
        vertices = lattice_vertices(resolution, dtype=codes.dtype, device=codes.device)[None]
        columns, branch = [], decoder.branches[0]
        with torch.no_grad():
            for part in codes.split(8):
                columns.append(decoder.query(decoder.prepare(part), vertices.expand(len(part), -1, -1), branch))
        self.table = torch.cat(columns).T.contiguous()

    def __len__(self) -> int:
        return len(self.codes)

    def fields(self, points: Tensor) -> Tensor:
        """Signed distances (N, K) of all codes at points (N, 3); beyond the cube they grow as the distance to it."""
        inside, beyond = into_cube(points)
        index, weight = trilinear_corners(inside, self.resolution)
        values = functional.embedding_bag(index, self.table, mode="sum", per_sample_weights=weight)
        return values + beyond[:, None]

    def losses(self, pose: Pose, groups: Sequence[Residuals], truncation: float) -> Tensor:
        """Losses (P, K) of every code in every one of P poses, of residuals in the frame that the poses start from.

        Args:
            pose: P transforms of the groups' points into the unit frame.
            groups: with points (1, N, 3) and targets (1, N).
            truncation: of the residuals.
        """
        count = sum(group.points.shape[1] for group in groups)
        rows = max(1, _AT_ONCE // (count * len(self)))
        found = []
        for part in torch.arange(len(pose.log_scale)).split(rows):
            some, total = pose.select(part), 0.0
            for group in groups:
                places = some.apply(group.points)
                values = self.fields(places.reshape(-1, 3)).view(len(part), -1, len(self)).transpose(1, 2)
                values = values * (-some.log_scale).exp()[:, None, None]
                total = total + group.loss(values, truncation)
            found.append(torch.as_tensor(total))
        return torch.cat(found)


def mean_and_some(codes: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The mean of codes (S, D) with no more than `count` of them behind it (K + 1, D), and the rows of those (K,)."""
    rows = torch.randperm(len(codes), generator=random)[:count]
    return torch.cat([codes.mean(0)[None], codes[rows.to(codes.device)]]), rows
