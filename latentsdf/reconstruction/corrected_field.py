"""A frozen prior plus spline lattices under descent, with derivatives of their sum to second order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.field import SDF, Jet
from ..fitting.fast_field import FastField

_CHUNK = 8192
"""Points whose derivatives are computed at once."""
_MULTIPLIERS = (-7046029254386353131, -4417276706812531889, 1609587929392839161)
"""Odd numbers of 64 bits (those of the hash functions xxHash and of Fibonacci hashing)."""


class PriorJets(NamedTuple):
    """Value (N,), gradient (N, 3) and, where they are needed, second derivatives (N, 3, 3) of a prior at N points."""

    value: Tensor
    gradient: Tensor
    hessian: Tensor | None

    @staticmethod
    def at(prior: SDF, points: Tensor, second: bool) -> PriorJets:
        """Derivatives without a graph at points (N, 3)."""
        parts = []
        for part in points.detach().split(_CHUNK):
            jet = Jet(prior, part)
            hessian = jet.hessian.detach() if second else None
            parts.append(PriorJets(jet.value.detach(), jet.gradient.detach(), hessian))
        values, gradients, hessians = zip(*parts, strict=True)
        return PriorJets(torch.cat(values), torch.cat(gradients), torch.cat(hessians) if second else None)

    def rows(self, rows: Tensor) -> PriorJets:
        """Those of some rows (N,)."""
        hessian = None if self.hessian is None else self.hessian[rows]
        return PriorJets(self.value[rows], self.gradient[rows], hessian)


class PriorTable:
    """Derivatives of a prior at points that a descent draws again and again: it does not change, its points recur.

    Args:
        prior: SDF in the unit frame.
        pools: (points (P, 3), whether second derivatives will be read) of each set.
    """

    def __init__(self, prior: SDF, pools: Iterable[tuple[Tensor, bool]]):
        self._prior = prior
        self._tables: list[tuple[Tensor, Tensor, PriorJets]] = []
        for points, second in pools:
            keys, order = _keys(points).sort()
            self._tables.append((keys, order, PriorJets.at(prior, points, second)))

    def at(self, points: Tensor, second: bool) -> PriorJets:
        """Derivatives at points (N, 3): looked up if one pool holds all of them, else computed."""
        keys = _keys(points.detach())
        for known, order, jets in self._tables:
            if second and jets.hessian is None:
                continue
            rows = torch.searchsorted(known, keys).clamp_max(len(known) - 1)
            if bool((known[rows] == keys).all()):
                return jets.rows(order[rows])
        return PriorJets.at(self._prior, points, second)


class CorrectedField:
    """A prior f plus lattices g that are being fitted: value, gradient and second derivatives of f + g.

    No gradient of parameters passes through f. Points that carry a graph, as feet do, pass it through the values of f
    and, if f is smooth, through its gradient.

    Args:
        prior: f, in the unit frame.
        network: g.
        table: derivatives of f where they are known.
    """

    def __init__(self, prior: SDF, network: FastField, table: PriorTable):
        self.smooth: bool = getattr(prior, "smooth", True)
        self._prior, self._network, self._table = prior, network, table

    def __call__(self, points: Tensor) -> Tensor:
        """Values (N,) at points (N, 3)."""
        return self._prior(points) + self._network(points)

    def expand(self, points: Tensor, order: int) -> Any:
        """Value and forward derivatives at points (N, 3), see `core.field.Jet`."""
        lattices = self._network.expand(points, order)
        if points.requires_grad and self.smooth:
            jet = Jet(self._prior, points, attached=True)
            return _Sum(lattices, PriorJets(jet.value, jet.gradient, None), lambda: jet.hessian)
        prior = self._table.at(points, order > 1)
        if points.requires_grad:
            prior = prior._replace(value=self._prior(points))
        return _Sum(lattices, prior, lambda: PriorJets.at(self._prior, points, True).hessian)


class _Sum:
    """Derivatives of the lattices plus those of the prior, as `fitting.forward_derivatives.Expansion` has them."""

    def __init__(self, lattices: Any, prior: PriorJets, compute: Callable[[], Any]):
        self._lattices, self._known, self._compute = lattices, prior.hessian, compute
        self.value: Tensor = lattices.value + prior.value
        self.gradient: Tensor = lattices.gradient + prior.gradient

    def laplacian(self) -> Tensor:
        return self._lattices.laplacian() + self._second().diagonal(dim1=1, dim2=2).sum(-1)

    def hessian(self) -> Tensor:
        return self._lattices.hessian() + self._second()

    def along(self, direction: Tensor) -> Tensor:
        second = torch.einsum("ni,nij,nj->n", direction, self._second(), direction)
        return self._lattices.along(direction) + second

    def _second(self) -> Tensor:
        if self._known is None:
            self._known = self._compute()
        return self._known


def _keys(points: Tensor) -> Tensor:
    """Hashes (N,) of float32 points (N, 3), linear in the bits of their coordinates, modulo 2^64."""
    bits = points.float().contiguous().view(torch.int32).long()
    return (bits * torch.tensor(_MULTIPLIERS, device=points.device)).sum(-1)
