"""Fields of stored codes on one lattice, so that many codes can be compared in many poses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ..core.lattice import lattice_vertices, trilinear_corners
from ..core.pose import Pose
from ..decoder.linearize import Linearize, Linearized
from ..space.space import LatentSpace
from .objective import Fields
from .residuals import Residuals, into_cube

CANDIDATES = 256
"""Stored codes that are compared, beside the mean code; the spaces measured hold hundreds of shapes."""
_VALUES_PER_CHUNK = 4_000_000
"""Field values in memory at a time."""
_CODES_PER_CHUNK = 8
"""Codes decoded at a time."""
_COLUMNS = 1024
"""Codes whose fields are kept, the last decoded ones."""


class LatticeColumns:
    """Fields of codes at the vertices of a lattice over the cube, decoded once for each code.

    Args:
        decoder: of the codes.
        resolution: R, vertices per axis.
    """

    def __init__(self, decoder: Fields, resolution: int):
        self.decoder, self.resolution = decoder, resolution
        self._columns: OrderedDict[bytes, Tensor] = OrderedDict()

    @staticmethod
    def of_space(space: LatentSpace, resolution: int) -> LatticeColumns:
        """Those of a space, which are kept with it."""
        key = f"lattice_columns {resolution}"
        return space.derived.get(key, lambda: LatticeColumns(space.decoder, resolution), of_codes=False)

    def table(self, codes: Tensor) -> Tensor:
        """Signed distances (R^3, K) of codes (K, D), in the order of `lattice_vertices`."""
        keys = [code.tobytes() for code in codes.detach().cpu().numpy()]
        columns = {key: known for key in keys if (known := self._columns.get(key)) is not None}
        new = [row for row, key in enumerate(keys) if key not in columns]
        vertices = lattice_vertices(self.resolution, dtype=codes.dtype, device=codes.device)[None]
        branch = self.decoder.branches[0]
        with torch.no_grad():
            for begin in range(0, len(new), _CODES_PER_CHUNK):
                rows = new[begin : begin + _CODES_PER_CHUNK]
                # Always as many codes: the rounding of a product of matrices depends on their number.
                padded = codes[rows + rows[:1] * (_CODES_PER_CHUNK - len(rows))]
                fields = self.decoder.query(self.decoder.prepare(padded), vertices.expand(len(padded), -1, -1), branch)
                columns |= {keys[row]: field for row, field in zip(rows, fields, strict=False)}
        self._columns |= columns
        while len(self._columns) > _COLUMNS:
            self._columns.popitem(last=False)
        return torch.stack([columns[key] for key in keys], 1)


class CandidateFields:
    """Trilinear fields of K codes at the vertices of a lattice over the cube.

    One read of a point gives the fields of all codes there; a decoder is conditioned once per code, not once per code
    and pose.

    Args:
        columns: of the decoder, at the resolution of the lattice: larger tells finer shapes apart; time and memory
            grow with its cube.
        codes: (K, D), K at least 1.
        rotation_rows: (K,) rows of `cube_rotations`: how the axes of each code's source mesh lie in its unit frame.
            None is the identity for all.

    Attributes:
        table: (R^3, K) signed distances, in the order of `lattice_vertices`.
    """

    def __init__(self, columns: LatticeColumns, codes: Tensor, rotation_rows: Tensor | None = None):
        self.codes: Tensor = codes
        self.resolution: int = columns.resolution
        unturned = torch.zeros(len(codes), dtype=torch.long)
        self.rotation_rows: Tensor = unturned if rotation_rows is None else rotation_rows
        self.table: Tensor = columns.table(codes)

    def __len__(self) -> int:
        return len(self.codes)

    def fields(self, points: Tensor) -> Tensor:
        """Signed distances (N, K) of all codes at points (N, 3); outside of the cube the distance to it is added."""
        inside, outside = into_cube(points)
        rows, weights = trilinear_corners(inside, self.resolution)
        values = functional.embedding_bag(rows, self.table, mode="sum", per_sample_weights=weights)
        return values + outside[:, None]

    def losses(self, pose: Pose, groups: Sequence[Residuals], truncation: float) -> Tensor:
        """Losses (P, K) of every code in every pose, in the frame of the residuals.

        Args:
            pose: P transforms of the residuals' points into the unit frame.
            groups: with points (1, N, 3) and targets (1, N).
            truncation: of the residuals.
        """
        count = sum(group.points.shape[1] for group in groups)
        losses = []
        for rows in torch.arange(len(pose.log_scale)).split(max(1, _VALUES_PER_CHUNK // (count * len(self)))):
            part, total = pose.select(rows), pose.shift.new_zeros(())
            for group in groups:
                points = part.apply(group.points)
                values = self.fields(points.reshape(-1, 3)).view(len(rows), -1, len(self)).transpose(1, 2)
                values = values * (-part.log_scale).exp()[:, None, None]
                total = total + group.loss(values, truncation)
            losses.append(total)
        return torch.cat(losses)


class LatticeFields:
    """Candidate fields behind the decoder protocol: the code (1,) is a candidate's row and cannot move.

    Args:
        candidates: whose table is read.
    """

    branches: ClassVar[tuple[str, ...]] = ("lattice",)

    def __init__(self, candidates: CandidateFields):
        self._values, self._resolution = candidates.table.T.reshape(-1), candidates.resolution

    def prepare(self, codes: Tensor) -> Tensor:
        """Rows (S,) of the candidates."""
        return codes[:, 0].long()

    def query(self, state: Tensor, points: Tensor, branch: str = "lattice") -> Tensor:
        """Signed distances (S, N) at points (S, N, 3) of the cube."""
        del branch
        return self._interpolate(state, points)[0]

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Fields and their derivatives; those in the code are zero."""
        del branch

        def linearize(codes: Tensor, points: Tensor) -> Linearized:
            values, gradient = self._interpolate(self.prepare(codes), points)
            return Linearized(values, values.new_zeros(*values.shape, 1), gradient)

        return linearize

    def _interpolate(self, rows: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Trilinear values (S, N) and their gradients (S, N, 3), one axis after the other."""
        side = self._resolution
        scaled = (points + 1.0) * ((side - 1) / 2)
        cell = scaled.floor().clamp(0, side - 2)
        x, y, z = cell.long().unbind(-1)
        first = ((rows[:, None] * side + x) * side + y) * side + z
        offsets = [0, 1, side, side + 1, side * side, side * side + 1, side * side + side, side * side + side + 1]
        values = self._values[first[..., None] + torch.tensor(offsets, device=first.device)]
        fraction = (scaled - cell).unsqueeze(-2)
        gradient = []
        for axis in (2, 1, 0):
            low, high = values[..., 0::2], values[..., 1::2]
            weight = fraction[..., axis]
            gradient = [known[..., 0::2] + weight * (known[..., 1::2] - known[..., 0::2]) for known in gradient]
            gradient.append(high - low)
            values = low + weight * (high - low)
        return values[..., 0], torch.cat(gradient[::-1], -1) * ((side - 1) / 2)


def mean_and_subset(codes: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The mean code and a random subset of the codes.

    Args:
        codes: (S, D), S at least 1.
        count: the largest size K of the subset.
        generator: of the choice.

    Returns:
        (K + 1, D) codes, the mean first, and the rows (K,) of the subset.
    """
    rows = torch.randperm(len(codes), generator=generator)[:count]
    return torch.cat([codes.mean(0)[None], codes[rows.to(codes.device)]]), rows
