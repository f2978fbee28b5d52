"""Dual decoder of Compact-SDF: a generalising branch and a fine branch on a shared grid, fused in a band."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .base import Decoder, activation, check_bytes
from .coarse import CoarseMLP, CoarseVolumes, VolumeBranch
from .linearize import Linearize, Linearized
from .lookup import read_volumes
from .modulated import ModulatedMLP
from .spline_volumes import SplineVolumes


@dataclass(frozen=True, kw_only=True)
class DualConfig:
    """Size of a dual decoder. As published: 512 x 8 networks, grid 129 x 128 channels, residual False (1.1 GB)."""

    trained: ClassVar[Literal[True]] = True
    """Whether gradient descent trains the decoder; a linear one is computed in closed form."""
    code_size: int = 64
    """Numbers per shape (D). Larger keeps more detail until it saturates; smaller is more compact."""
    coarse: CoarseMLP | CoarseVolumes = field(default_factory=CoarseVolumes)
    """Generalising branch: volumes linear in the code (measured better), or the published MLP."""
    grid_resolution: int = 32
    """Vertices per axis of the shared grid; 129 as published. Larger is finer and costs channels * resolution^3."""
    grid_channels: int = 4
    """Features per grid vertex; 128 as published. Independent of the code size."""
    fine_width: int = 64
    """Units per hidden layer of the fine network; 512 as published."""
    fine_depth: int = 3
    """Hidden layers of the fine network; 8 as published."""
    fine_activation: str = "silu"
    """Activation of the fine network; `relu` as published."""
    residual: bool = True
    """True: the fine branch is a residual of the coarse one, zero at first. False: separate field (published)."""
    band: float = 3 * 2 / 256
    """Half width of the fusion band in the unit frame (three cells of a 256 lattice). Larger trusts the fine field."""
    max_bytes: int = 2_000_000_000
    """Limit of the size of the parameters, checked before they are allocated."""

    def __post_init__(self) -> None:
        if self.code_size < 1:
            raise ValueError(f"code_size must be at least 1, got {self.code_size}")
        if self.grid_resolution < 2 or min(self.grid_channels, self.fine_width, self.fine_depth) < 1:
            raise ValueError(
                f"a dual decoder needs grid_resolution >= 2 and grid_channels, fine_width, fine_depth >= 1, got "
                f"{self.grid_resolution}, {self.grid_channels}, {self.fine_width}, {self.fine_depth}"
            )
        if not self.band > 0:
            raise ValueError(f"band must be positive, got {self.band}")
        activation(self.fine_activation)


class DualState(NamedTuple):
    """Work on the codes of a batch: state of the coarse branch, shifts of the fine network, the shared grid."""

    coarse: Any
    fine: Tensor
    grid: Tensor | SplineVolumes


class Dual(Decoder):
    """Coarse field everywhere, fine field within a band of the coarse surface (Compact-SDF, AAAI 2026).

    `s = s_coarse + w (s_fine - s_coarse)`, `w = clip((band - |s_coarse|) / (0.2 band), 0, 1)`: the fine field in the
    band, blended over its outer fifth so that the field is continuous (the published switch is hard).
    """

    kind: ClassVar[str] = "dual"
    branches: ClassVar[tuple[str, ...]] = ("coarse", "fine", "fused")

    def __init__(self, config: DualConfig):
        super().__init__()
        numbers = config.grid_channels * config.grid_resolution**3 + config.coarse.numbers(config.code_size)
        check_bytes(
            numbers + config.fine_width**2 * config.fine_depth,
            config.max_bytes,
            "make code_size, grid_resolution, grid_channels or the widths smaller",
        )
        self.config = config
        self.code_size = config.code_size
        self.coarse = config.coarse.build(config.code_size)
        self.grid = nn.Parameter(torch.zeros(*[config.grid_resolution] * 3, config.grid_channels))
        self.fine: ModulatedMLP = ModulatedMLP(
            3 + config.grid_channels, config.code_size, config.fine_width, config.fine_depth, config.fine_activation
        )
        if config.residual:
            nn.init.zeros_(self.fine.out.weight)
            nn.init.zeros_(self.fine.out.bias)

    def prepare(self, codes: Tensor) -> DualState:
        """State of both branches for codes (S, D)."""
        return DualState(self.coarse.prepare(codes), self.fine.shifts(codes), self.grid[None])

    def query(self, state: DualState, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N) of one branch, or of their fusion."""
        if branch == "coarse":
            return self.coarse.query(state.coarse, points)
        if branch == "fine":
            base = self.coarse.query(state.coarse, points) if self.config.residual else None
            return self._fine(state.fine, state.grid, points, base)
        coarse = self.coarse.query(state.coarse, points)
        if not torch.is_grad_enabled() and len(points) == 1:
            near = (coarse[0].abs() < self.config.band).nonzero()[:, 0]
            if len(near):
                coarse[:, near] = self._blend(state, points[:, near], coarse[:, near])
            return coarse
        return self._blend(state, points, coarse)

    def _blend(self, state: DualState, points: Tensor, coarse: Tensor) -> Tensor:
        fine = self._fine(state.fine, state.grid, points, coarse if self.config.residual else None)
        if isinstance(state.grid, SplineVolumes):
            trust = self._trust(coarse)
            return coarse + trust.square() * (3.0 - 2.0 * trust) * (fine - coarse)
        return self._fused(coarse, fine)

    def _fused(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return coarse + self._trust(coarse.detach()) * (fine - coarse)

    def _trust(self, coarse: Tensor) -> Tensor:
        band = self.config.band
        return ((band - coarse.abs()) / (0.2 * band)).clamp(0.0, 1.0)

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Derivatives by per-point copies of the tensors that depend on the code: shifts and volume features."""
        if not isinstance(self.coarse, VolumeBranch):
            return super().linearizer(branch)
        name, volumes = self.check_branch(branch), self.coarse.copies()

        def linearize(codes: Tensor, points: Tensor) -> Linearized:
            shifts = self.fine.shifts(codes.detach()).expand(-1, -1, points.shape[1], -1).detach().requires_grad_(True)
            at = points.detach().requires_grad_(True)
            with torch.enable_grad():
                copied = volumes.at(codes.detach(), at)
                value = copied.value
                if name != "coarse":
                    fine = self._fine(shifts, self.grid[None], at, value if self.config.residual else None)
                    value = self._fused(value, fine) if name == "fused" else fine
                of_shifts, of_points, *others = torch.autograd.grad(
                    value.sum(), [shifts, at, *copied.inner], allow_unused=True, materialize_grads=True
                )
            with torch.no_grad():
                of_codes = volumes.code_derivatives(copied, others) + self.fine.shifts_to_code(of_shifts)
            return Linearized(value.detach(), of_codes, of_points)

        return linearize

    def _fine(self, shifts: Tensor, grid: Tensor | SplineVolumes, points: Tensor, base: Tensor | None) -> Tensor:
        flat = points.reshape(1, -1, 3)
        features = read_volumes(grid, flat).view(*points.shape[:-1], -1)
        value = self.fine(torch.cat([points, features], dim=-1), shifts)
        return value if base is None else base + value

    def smooth(self, branch: str) -> bool:
        """True for a coarse MLP without ReLU: trilinear reads have no second derivatives."""
        return (
            branch == "coarse" and isinstance(self.config.coarse, CoarseMLP) and self.config.coarse.activation != "relu"
        )

    def with_splines(self, state: DualState, branch: str) -> DualState | None:
        """All volumes, to be read by splines; the fused field is then blended by 3 t^2 - 2 t^3 of the weight t."""
        used = {"coarse": [self.config.coarse.activation]}.get(branch, [self.config.fine_activation])
        if branch == "fused" or self.config.residual:
            used = [*used, self.config.coarse.activation]
        if "relu" in used:
            return None
        return DualState(self.coarse.with_splines(state.coarse), state.fine, SplineVolumes(self.grid[None]))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Coarse branch, fine network, and the shared grid."""
        return {"coarse": list(self.coarse.parameters()), "fine": list(self.fine.parameters()), "grid": [self.grid]}
