"""Compact triangle mesh as the field of a shape, in place of its decoded field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..codec.mesh_stream import LatticeMesh, decode_mesh, encode_mesh
from ..core.field import SDF
from ..mesh.distance import MeshSDF


@dataclass(frozen=True, eq=False)
class StoredMesh:
    """The exact signed distance to a coded mesh of the unit frame; the sign is that of its winding number.

    It stands where a `Shape` holds a residual, and replaces the decoded field instead of adding to it.

    Attributes:
        packed: bytes in the layout of `codec.mesh_stream`.
    """

    packed: bytes
    smooth: ClassVar[bool] = False

    @staticmethod
    def of(mesh: LatticeMesh) -> StoredMesh:
        """Pack a mesh.

        Raises:
            ValueError: as `encode_mesh`.
        """
        return StoredMesh(encode_mesh(mesh))

    @property
    def nbytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.packed)

    @cached_property
    def mesh(self) -> LatticeMesh:
        """The decoded mesh.

        Raises:
            ValueError: the bytes are damaged.
        """
        return decode_mesh(self.packed)

    @cached_property
    def _distance(self) -> MeshSDF:
        return MeshSDF(self.mesh.vertices, self.mesh.faces)

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) at points (N, 3) of the unit frame, differentiable once in the points.

        Raises:
            ValueError: the bytes are damaged, or no face of the mesh has an area.
        """
        queries = points.detach().double().cpu().numpy()
        sign = torch.from_numpy(1.0 - 2.0 * self._distance.inside(queries)).to(points)
        nearest = torch.from_numpy(self._distance.closest(queries)[2]).to(points)
        return sign * (points - nearest).norm(dim=-1)

    def on(self, prior: SDF) -> SDF:
        """The field of a shape with this mesh, whatever its decoded field (unit frame)."""
        del prior
        return self
