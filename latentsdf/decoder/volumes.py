"""Decoder of one field: feature volumes linear in the code and a small head, without a fine branch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .base import Decoder, check_bytes
from .coarse import CoarseVolumes, VolumeBranch
from .column_exchange import ColumnExchange
from .linearize import Linearize, Linearized


@dataclass(frozen=True, kw_only=True)
class VolumesConfig:
    """Size of a volumes decoder."""

    trained: ClassVar[Literal[True]] = True
    """Whether gradient descent trains the decoder."""
    code_size: int = 256
    """Numbers per shape (D). Larger keeps more detail of each shape; smaller is more compact."""
    volumes: CoarseVolumes = field(default_factory=lambda: CoarseVolumes(resolutions=(8, 24), channels=(8, 2)))
    """Volumes, warp and head. Few channels on a fine lattice came closer than more channels on a coarser one."""
    max_bytes: int = 2_000_000_000
    """Limit of the size of the parameters, checked before they are allocated."""

    def __post_init__(self) -> None:
        if self.code_size < 1:
            raise ValueError(f"code_size must be at least 1, got {self.code_size}")


class Volumes(Decoder):
    """The generalising branch of the dual decoder by itself: head([y, V_1(y), V_2(y), ...]), y = x + W(x).

    The volumes V_i, the warp W and the shifts of the head are linear in the code. At equal training time it comes
    closer to the shapes it is trained on than with a fine branch over a shared grid beside it.
    """

    kind: ClassVar[str] = "volumes"
    branches: ClassVar[tuple[str, ...]] = ("sdf",)

    def __init__(self, config: VolumesConfig):
        super().__init__()
        numbers = config.volumes.numbers(config.code_size)
        check_bytes(numbers, config.max_bytes, "make code_size, the resolutions, channels or the width smaller")
        self.config = config
        self.code_size = config.code_size
        self.field: VolumeBranch = VolumeBranch(config.volumes, config.code_size)

    def prepare(self, codes: Tensor) -> Any:
        """Volumes, warp and shifts of the head for codes (S, D)."""
        return self.field.prepare(codes)

    def flat_state(self, codes: Tensor) -> Tensor:
        """Numbers (S, F) of the state of codes (S, D)."""
        return self.field.flat_state(codes)

    def state_of(self, flat: Tensor) -> Any:
        """The state whose numbers are flat (S, F)."""
        return self.field.state_of(flat)

    def divide(self, exchange: ColumnExchange) -> list[nn.Parameter]:
        """Keep of the tables of volumes and of the warp the columns of this process alone."""
        return self.field.divide(exchange)

    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N)."""
        return self.field.query(state, points)

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Derivatives by per-point copies of the tensors that depend on the code: shifts and volume features."""
        self.check_branch(branch)
        volumes = self.field.copies()

        def linearize(codes: Tensor, points: Tensor) -> Linearized:
            at = points.detach().requires_grad_(True)
            with torch.enable_grad():
                copied = volumes.at(codes.detach(), at)
                of_points, *inner = torch.autograd.grad(copied.value.sum(), [at, *copied.inner])
            with torch.no_grad():
                of_codes = volumes.code_derivatives(copied, list(inner))
            return Linearized(copied.value.detach(), of_codes, of_points)

        return linearize

    def smooth(self, branch: str) -> bool:
        """False: trilinear reads have no second derivatives."""
        return False

    def with_splines(self, state: Any, branch: str) -> Any | None:
        """All volumes, to be read by splines; None with ReLU units."""
        return None if self.config.volumes.activation == "relu" else self.field.with_splines(state)

    def restricted(self, directions: Tensor) -> Decoder:
        """The decoder of z whose volumes, warp and shifts are those of z @ directions (P, D)."""
        weights = {f"field.{name}": tensor for name, tensor in self.field.restricted(directions).items()}
        with torch.random.fork_rng(devices=[]), torch.device(directions.device):
            short = Volumes(replace(self.config, code_size=len(directions)))
        short.load_state_dict(weights)
        return short.eval().requires_grad_(False)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """One group: volumes, warp and head."""
        return {"network": list(self.field.parameters())}
