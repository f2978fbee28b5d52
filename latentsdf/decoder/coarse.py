"""Generalising branches of the dual decoder: smooth fields that are defined everywhere, for any code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .base import activation
from .code_product import code_product
from .column_exchange import ColumnExchange
from .linearize import vertex_major
from .lookup import read_contracted, read_volumes
from .modulated import ModulatedMLP, positional_encoding
from .spline_volumes import SplineVolumes


@dataclass(frozen=True, kw_only=True)
class CoarseMLP:
    """MLP of positional encoding and code (generalisation network of Compact-SDF, with shifts in every layer)."""

    width: int = 128
    """Units per hidden layer; 512 as published. Larger has more capacity and is slower, quadratically."""
    depth: int = 4
    """Hidden layers; 8 as published."""
    octaves: int = 6
    """Frequencies of the positional encoding; 8 as published. Larger is sharper and rougher on unseen shapes."""
    activation: str = "silu"
    """`silu`, `softplus`, `sine`, or `relu` as published (no second derivatives)."""

    def __post_init__(self) -> None:
        if min(self.width, self.depth) < 1 or self.octaves < 0:
            raise ValueError(f"a coarse MLP needs width, depth >= 1 and octaves >= 0, got {self}")
        activation(self.activation)

    def numbers(self, code_size: int) -> int:
        """Approximate number of parameters of the branch."""
        return self.width**2 * self.depth + self.width * self.depth * code_size

    def build(self, code_size: int) -> CoarseBranch:
        """Build the branch with initial weights."""
        return _MLPBranch(self, code_size)


@dataclass(frozen=True, kw_only=True)
class CoarseVolumes:
    """Feature volumes linear in the code, read trilinearly, and a small head; a code costs one matrix product."""

    resolutions: tuple[int, ...] = (8, 16)
    """Vertices per axis of each volume. Larger holds finer detail and costs code_size * channels * resolution^3."""
    channels: tuple[int, ...] = (8, 4)
    """Features per vertex of each volume."""
    width: int = 64
    """Units per hidden layer of the head."""
    depth: int = 3
    """Hidden layers of the head."""
    activation: str = "silu"
    """`silu`, `softplus`, `sine` or `relu`."""
    warp: int = 5
    """Vertices per axis of a lattice of displacements, linear in the code, added to the points first; 0 is none. Larger
    deforms shapes more locally and costs 3 * code_size * warp^3."""

    def __post_init__(self) -> None:
        if self.warp < 0 or self.warp == 1:
            raise ValueError(f"warp is a number of vertices, 0 or at least 2, got {self.warp}")
        if len(self.resolutions) != len(self.channels) or not self.resolutions:
            raise ValueError(
                f"resolutions and channels must be as many, got {len(self.resolutions)} and {len(self.channels)}"
            )
        if min(self.resolutions) < 2 or min(self.channels) < 1 or min(self.width, self.depth) < 1:
            raise ValueError(f"coarse volumes need resolutions >= 2 and channels, width, depth >= 1, got {self}")
        activation(self.activation)

    def numbers(self, code_size: int) -> int:
        """Approximate number of parameters of the branch."""
        cells = sum(c * r**3 for r, c in zip(self.resolutions, self.channels, strict=True))
        return cells * (code_size + 1) + 3 * self.warp**3 * code_size + self.width**2 * self.depth

    def build(self, code_size: int) -> CoarseBranch:
        """Build the branch with initial weights."""
        return VolumeBranch(self, code_size)


class CoarseBranch(nn.Module, ABC):
    """A generalising field, split into work on the codes and work on the points."""

    @abstractmethod
    def prepare(self, codes: Tensor) -> Any:
        """Do all work that depends on the codes (S, D) alone."""

    @abstractmethod
    def query(self, state: Any, points: Tensor) -> Tensor:
        """Signed distances (S, N) of points (S, N, 3)."""

    @abstractmethod
    def with_splines(self, state: Any) -> Any:
        """The state whose volumes, if there are any, are read by quadratic B-splines."""


class _MLPBranch(CoarseBranch):
    def __init__(self, config: CoarseMLP, code_size: int):
        super().__init__()
        self.octaves = config.octaves
        self.network = ModulatedMLP(3 + 6 * config.octaves, code_size, config.width, config.depth, config.activation)

    def prepare(self, codes: Tensor) -> Any:
        return self.network.shifts(codes)

    def query(self, state: Any, points: Tensor) -> Tensor:
        return self.network(positional_encoding(points, self.octaves), state)

    def with_splines(self, state: Any) -> Any:
        return state


class VolumeBranch(CoarseBranch):
    """Branch of `CoarseVolumes`: head([y, V_1(y), V_2(y), ...]), y = x + W(x), with V_i and W linear in the code."""

    exchange: ColumnExchange | None = None

    def __init__(self, config: CoarseVolumes, code_size: int):
        super().__init__()
        self.resolutions, self.channels = config.resolutions, config.channels
        self.mean = nn.ParameterList()
        self.basis = nn.ParameterList()
        for resolution, channels in zip(config.resolutions, config.channels, strict=True):
            cells = resolution**3 * channels
            self.mean.append(nn.Parameter(torch.randn(cells) * 0.1))
            self.basis.append(nn.Parameter(torch.randn(code_size, cells) * (0.5 / code_size**0.5)))
        self.side: int = config.warp
        if self.side:
            self.warp = nn.Parameter(torch.randn(code_size, 3 * self.side**3) * 0.01)
        self.network = ModulatedMLP(3 + sum(config.channels), code_size, config.width, config.depth, config.activation)

    def prepare(self, codes: Tensor) -> Any:
        return self.state_of(self.flat_state(codes))

    def flat_state(self, codes: Tensor) -> Tensor:
        """Numbers (S, F) of the state of codes (S, D): volumes, displacements and shifts beside each other."""
        tables = [*self.basis, self.warp] if self.side else [*self.basis]
        if self.exchange is None:
            products = [code_product(codes, table) for table in tables]
        else:
            widths = [*map(len, self.mean), *([3 * self.side**3] if self.side else [])]
            products = self.exchange.products(codes, tables, widths).split(widths, dim=1)
        parts = [mean + product for mean, product in zip(self.mean, products, strict=False)]
        parts += products[len(self.mean) :]
        return torch.cat([*parts, self.network.shifts(codes).flatten(1)], dim=1)

    def divide(self, exchange: ColumnExchange) -> list[nn.Parameter]:
        """Keep of the tables of volumes and of the warp the columns of this process alone; see `Decoder.divide`."""
        self.exchange = exchange
        tables = [*self.basis, self.warp] if self.side else [*self.basis]
        for table in tables:
            table.data = table.data[:, exchange.columns(table.shape[1])].contiguous()
        return tables

    def state_of(self, flat: Tensor) -> Any:
        """The state whose numbers are flat (S, F)."""
        sizes = [r**3 * c for r, c in zip(self.resolutions, self.channels, strict=True)]
        sizes += [3 * self.side**3] if self.side else []
        *parts, shifts = flat.split([*sizes, flat.shape[1] - sum(sizes)], dim=1)
        warp = parts.pop().reshape(len(flat), *[self.side] * 3, 3) if self.side else None
        volumes = [
            part.reshape(len(flat), r, r, r, c)
            for part, r, c in zip(parts, self.resolutions, self.channels, strict=True)
        ]
        return volumes, warp, shifts.reshape(len(flat), self.network.depth, 1, self.network.width)

    def query(self, state: Any, points: Tensor) -> Tensor:
        volumes, warp, shifts = state
        repeatable = points.requires_grad
        if warp is not None:
            points = points + read_volumes(warp, points, repeatable)
        features = [points, *(read_volumes(volume, points, repeatable) for volume in volumes)]
        return self.network(torch.cat(features, dim=-1), shifts)

    def with_splines(self, state: Any) -> Any:
        volumes, warp, shifts = state
        return [SplineVolumes(v) for v in volumes], warp if warp is None else SplineVolumes(warp), shifts

    def restricted(self, directions: Tensor) -> dict[str, Tensor]:
        """Parameters of the branch of codes z (P,) whose fields are those of z @ directions (P, D)."""
        out = dict(self.state_dict())
        for name in out:
            if name.startswith("basis.") or name == "warp":
                out[name] = directions @ out[name]
            elif name == "network.shift.weight":
                out[name] = out[name] @ directions.T
        return out

    def copies(self) -> VolumeCopies:
        """Tables for derivatives in the code, built once."""
        return VolumeCopies(self)


class PointCopies(NamedTuple):
    """Field values at points, and the tensors between code and value, one copy per point."""

    value: Tensor
    inner: list[Tensor]
    points: Tensor
    bent: Tensor


class VolumeCopies:
    """Field of a volume branch with per-point inner tensors: one backward pass gives all derivatives in the code."""

    def __init__(self, branch: VolumeBranch):
        self.branch = branch
        sizes = zip(branch.basis, branch.resolutions, branch.channels, strict=True)
        self.tables: list[Tensor] = [vertex_major(basis, r, c) for basis, r, c in sizes]
        self.warp: Tensor | None = vertex_major(branch.warp, branch.side, 3) if branch.side else None

    def at(self, codes: Tensor, points: Tensor) -> PointCopies:
        """The field of codes (S, D) at points (S, N, 3) that require a gradient."""
        volumes, warp, shifts = self.branch.prepare(codes)
        bent = points if warp is None else points + read_volumes(warp.detach(), points, False)
        own = shifts.detach().expand(-1, -1, points.shape[1], -1).requires_grad_(True)
        features = [read_volumes(volume.detach(), bent, False) for volume in volumes]
        value = self.branch.network(torch.cat([bent, *features], dim=-1), own)
        return PointCopies(value, [own, bent, *features], points.detach(), bent.detach())

    def code_derivatives(self, copied: PointCopies, gradients: list[Tensor]) -> Tensor:
        """Derivatives in the code, (S, N, D), from gradients in the inner tensors (chain rule)."""
        own, bent, *features = gradients
        total = self.branch.network.shifts_to_code(own)
        if self.warp is not None:
            total = total + _contract(self.warp, copied.points, bent)
        for gradient, table in zip(features, self.tables, strict=True):
            total = total + _contract(table, copied.bent, gradient)
        return total


def _contract(table: Tensor, points: Tensor, gradient: Tensor) -> Tensor:
    """Products (S, N, D) of gradients (S, N, C) and a volume of matrices (R, R, R, C, D) at points (S, N, 3)."""
    return read_contracted(table, points.flatten(0, 1), gradient.flatten(0, 1)).view(*points.shape[:2], -1)
