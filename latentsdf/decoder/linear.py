"""Linear decoder: principal components of truncated SDF lattices, the linear baseline of the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .base import Decoder, check_bytes
from .linearize import Linearize, Linearized, vertex_major
from .lookup import read_volumes
from .spline_volumes import SplineVolumes


@dataclass(frozen=True, kw_only=True)
class LinearConfig:
    """Size of a linear space."""

    trained: ClassVar[Literal[False]] = False
    """Whether gradient descent trains the decoder; a linear one is computed in closed form."""
    code_size: int = 64
    """Number of principal components (D)."""
    resolution: int = 64
    """Lattice vertices per axis. Larger keeps thinner parts and costs memory, cubically."""
    max_bytes: int = 2_000_000_000
    """Limit of the size of the basis, checked before it is allocated."""

    def __post_init__(self) -> None:
        if self.code_size < 1:
            raise ValueError(f"code_size must be at least 1, got {self.code_size}")
        if self.resolution < 2:
            raise ValueError(f"resolution must be at least 2, got {self.resolution}")


class Linear(Decoder):
    """Trilinear interpolation of the lattice `mean + code @ basis`.

    It is fitted by `principal_components` and is a truncated SDF: constant beyond the truncation.
    """

    kind: ClassVar[str] = "linear"
    branches: ClassVar[tuple[str, ...]] = ("sdf",)

    def __init__(self, config: LinearConfig):
        super().__init__()
        cells = config.resolution**3
        check_bytes(cells * (config.code_size + 1), config.max_bytes, "make resolution or code_size smaller")
        self.config = config
        self.code_size = config.code_size
        self.mean = nn.Parameter(torch.zeros(cells))
        self.basis = nn.Parameter(torch.zeros(config.code_size, cells))

    def prepare(self, codes: Tensor) -> Any:
        """The lattices of the codes, (S, R, R, R, 1)."""
        return (self.mean + codes @ self.basis).view(len(codes), *[self.config.resolution] * 3, 1)

    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Truncated signed distances, (S, N)."""
        return read_volumes(state, points)[..., 0]

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Derivatives in closed form: the field is linear in the code, so they are the basis at the points."""
        table = vertex_major(self.basis, self.config.resolution, 1).flatten(3)[None]

        def linearize(codes: Tensor, points: Tensor) -> Linearized:
            at = points.detach().requires_grad_(True)
            with torch.enable_grad():
                values = self.query(self.prepare(codes.detach()), at, "sdf")
                (of_points,) = torch.autograd.grad(values.sum(), at)
            with torch.no_grad():
                of_codes = read_volumes(table, at.detach().reshape(1, -1, 3)).view(*points.shape[:2], -1)
            return Linearized(values.detach(), of_codes, of_points)

        return linearize

    def smooth(self, branch: str) -> bool:
        """False: trilinear reads have no second derivatives."""
        return False

    def with_splines(self, state: Any, branch: str) -> Any | None:
        """The lattices, to be read by splines."""
        return SplineVolumes(state)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """One group: mean and basis."""
        return {"network": [self.mean, self.basis]}


def principal_components(lattices: Tensor, code_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal component analysis of lattices by the eigenvectors of their Gram matrix X X^T (exact).

    Args:
        lattices: (S, ...) one lattice per shape.
        code_size: D; components beyond min(S - 1, cells) are zero.

    Returns:
        mean (cells,), basis (D, cells) with orthonormal rows, codes (S, D): lattices ~ mean + codes @ basis.
    """
    flat = lattices.flatten(1)
    mean = flat.mean(0)
    centred = flat - mean
    gram = (centred @ centred.T).double()
    values, vectors = torch.linalg.eigh(gram)
    keep = min(code_size, len(flat) - 1, flat.shape[1])
    values, vectors = values.flip(0)[:keep].clamp_min(0.0), vectors.flip(1)[:, :keep]
    root = values.sqrt()
    usable = root > 1e-6 * root.max().clamp_min(1e-30) if keep else root > 0
    codes = torch.zeros(len(flat), code_size, dtype=flat.dtype, device=flat.device)
    basis = torch.zeros(code_size, flat.shape[1], dtype=flat.dtype, device=flat.device)
    codes[:, :keep] = (vectors * root * usable).to(flat.dtype)
    inverse = torch.where(usable, 1.0 / root.clamp_min(1e-30), torch.zeros_like(root))
    basis[:keep] = ((vectors * inverse).T.to(flat.dtype)) @ centred
    return mean, basis, codes
