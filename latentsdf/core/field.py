"""Signed distance functions, and their values and derivatives at points.

Shape legend for the whole package: N queries, M surface points, D code size, S shapes, R resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

SDF = Callable[[Tensor], Tensor]
"""Points (N, 3) in, signed distances (N,) out: negative inside, zero on the surface, positive outside.

One unit of distance is one unit of length of the frame the points live in.
"""


class Jet:
    """Value and spatial derivatives of an SDF at points, each computed at most once.

    A field with forward-mode derivatives has a method `expand(points, order)`, which returns value, gradient and, by
    methods, second derivatives (`fitting.forward_derivatives.Expansion`), or None where reverse mode is cheaper.

    Args:
        sdf: the field, (N, 3) -> (N,).
        points: (N, 3) query points, in the field's own frame.
        attached: True keeps the graph that the points come from; False detaches them.
        order: the highest order of derivative that is expected to be read; it changes the cost alone.

    Raises:
        ValueError: the points are not (N, 3), or the field does not return (N,).

    Example:
        >>> jet = Jet(lambda x: x.norm(dim=-1) - 1.0, torch.tensor([[2.0, 0.0, 0.0]]))
        >>> jet.value, jet.gradient, jet.laplacian
        (tensor([1.]), tensor([[1., 0., 0.]]), tensor([1.]))
    """

    def __init__(self, sdf: SDF, points: Tensor, *, attached: bool = False, order: int = 1):
        if points.ndim != 2 or points.shape[-1] != 3:
            raise ValueError(f"points must have shape (N, 3), got {tuple(points.shape)}")
        self.sdf = sdf
        with torch.enable_grad():
            self.points: Tensor = points if attached and points.requires_grad else points.detach()
            self._expansion = self._expand(order)
            if self._expansion is None and not self.points.requires_grad:
                self.points.requires_grad_(True)
            self._value = sdf(self.points) if self._expansion is None else self._expansion.value
        if self._value.shape != points.shape[:1]:
            raise ValueError(
                f"an SDF must map (N, 3) to (N,); for points {tuple(points.shape)} this one returned "
                f"{tuple(self._value.shape)}"
            )

    def _expand(self, order: int) -> Any:
        expand = getattr(self.sdf, "expand", None)
        return None if expand is None else expand(self.points, order)

    def _second(self) -> Any:
        """The expansion that carries forward-mode second derivatives, or None."""
        self._need_second_derivatives()
        if self._expansion is None:
            with torch.enable_grad():
                self._expansion = self._expand(2)
        return self._expansion

    @property
    def value(self) -> Tensor:
        """Signed distance, (N,)."""
        return self._value

    @cached_property
    def gradient(self) -> Tensor:
        """Spatial gradient, (N, 3), differentiable."""
        if self._expansion is not None:
            return self._expansion.gradient
        if not self._value.requires_grad:
            return torch.zeros_like(self.points)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self._value.sum(), self.points, create_graph=True, materialize_grads=True)
        return gradient

    @cached_property
    def hessian(self) -> Tensor:
        """Matrix of second derivatives, (N, 3, 3), differentiable; zero where the field is linear.

        Raises:
            ValueError: the field declares (`smooth = False`) that it has none.
        """
        expansion = self._second()
        if expansion is not None:
            with torch.enable_grad():
                return expansion.hessian()
        if not self.gradient.requires_grad:
            return torch.zeros(*self.points.shape, 3, dtype=self.points.dtype, device=self.points.device)
        with torch.enable_grad():
            rows = [
                torch.autograd.grad(
                    self.gradient[:, axis].sum(), self.points, create_graph=True, materialize_grads=True
                )[0]
                for axis in range(3)
            ]
        return torch.stack(rows, dim=1)

    @cached_property
    def laplacian(self) -> Tensor:
        """Trace of the Hessian, (N,), differentiable; without the Hessian where the field has forward-mode derivatives.

        Raises:
            ValueError: as `hessian`.
        """
        expansion = self._second()
        if expansion is not None and "hessian" not in self.__dict__:
            with torch.enable_grad():
                return expansion.laplacian()
        return self.hessian.diagonal(dim1=1, dim2=2).sum(-1)

    @cached_property
    def second_along_gradient(self) -> Tensor:
        """g^T H g for gradient g and Hessian H, (N,), differentiable.

        Computed as g . grad(|g|^2 / 2): one more backward pass instead of the Hessian's three.

        Raises:
            ValueError: as `hessian`.
        """
        expansion = self._second()
        if expansion is not None:
            with torch.enable_grad():
                return expansion.along(self.gradient)
        if not self.gradient.requires_grad:
            return torch.zeros_like(self._value)
        with torch.enable_grad():
            half_square = 0.5 * self.gradient.square().sum()
            (change,) = torch.autograd.grad(half_square, self.points, create_graph=True, materialize_grads=True)
            return (self.gradient * change).sum(-1)

    def _need_second_derivatives(self) -> None:
        if not getattr(self.sdf, "smooth", True):
            raise ValueError(
                "this field has no second derivatives (a ReLU network or a trilinear lattice): its Hessian is zero "
                "almost everywhere; use a decoder with activation 'softplus' or 'silu' for second-order terms, or "
                "terms of first order"
            )

    @cached_property
    def normal(self) -> Tensor:
        """Unit gradient, (N, 3), pointing outward; the zero vector where the gradient vanishes."""
        return self.gradient / self.gradient.norm(dim=-1, keepdim=True).clamp_min(
            torch.finfo(self.points.dtype).tiny ** 0.5
        )

    def project(self) -> Tensor:
        """First-order projection of the points on the zero level set, (N, 3): points - value * unit gradient."""
        return self.points - self.value[:, None] * self.normal


def evaluate(sdf: SDF, points: Tensor, chunk: int = 65536) -> Tensor:
    """Evaluate an SDF without a graph, in chunks of bounded size.

    Args:
        sdf: the field, (N, 3) -> (N,).
        points: (N, 3) query points.
        chunk: most points per call of the field; larger is faster until memory runs short.

    Returns:
        Signed distances, (N,).
    """
    with torch.no_grad():
        if len(points) <= chunk:
            return sdf(points)
        return torch.cat([sdf(part) for part in points.split(chunk)])


LEAST_SLOPE = 0.05
"""Shorter gradients count as this long: a field that is flat at a point would put its surface at infinity."""


def first_order_distance(sdf: SDF, points: Tensor, chunk: int = 20_000) -> Tensor:
    """Distances of points to the zero set of a field to first order: |f(x)| / max(|grad f(x)|, 0.05).

    For fields that are not distances, whose values alone say too little or too much (Taubin, "Estimation of planar
    curves, surfaces, and nonplanar space curves", PAMI 1991).

    Args:
        sdf: the field, (N, 3) -> (N,), with first derivatives.
        points: (N, 3) in the field's own frame.
        chunk: the most points handed to the field at once.

    Returns:
        Distances (N,), not negative, without a graph.
    """
    parts = [points.new_zeros(0)]
    for part in points.split(chunk):
        jet = Jet(sdf, part)
        parts.append((jet.value.abs() / jet.gradient.norm(dim=-1).clamp_min(LEAST_SLOPE)).detach())
    return torch.cat(parts)
