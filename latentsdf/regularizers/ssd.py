"""Smooth signed distance energy, for fields fitted by descent; `latentsdf.solver` minimises it by a linear solve."""

from __future__ import annotations

from torch import Tensor


def ssd_energy(
    value: Tensor,
    gradient: Tensor,
    normals: Tensor,
    space_hessian: Tensor,
    reliability: Tensor | None = None,
    *,
    position: float = 100.0,
    bending: float = 1e-3,
) -> Tensor:
    """Misfit of normals and positions at the scan points, plus the squared Hessian in all of space.

    Source: SSD (Calakli and Taubin 2011) in the form of NeuralSSD (arXiv 2511.14283), whose weights are not published;
    the defaults are this library's.

    Args:
        value: (M,) signed distances at scan points.
        gradient: (M, 3) at scan points.
        normals: (M, 3) unit normals, outward.
        space_hessian: (N, 3, 3) at points uniform in the cube, in 1 / length.
        reliability: (M,) weights of the positions of the scan points; None weighs all by 1.
        position: weight of the squared values, in 1 / length^2.
        bending: weight of the squared Hessian, in length^2; larger is smoother.

    Returns:
        mean |grad u - n|^2 + position * mean(reliability * u^2) + bending * mean |Hess u|^2, a scalar.

    Raises:
        ValueError: a negative weight.
    """
    if not (position >= 0 and bending >= 0):
        raise ValueError(f"the weights of ssd_energy must not be negative, got {position} and {bending}")
    slope = (gradient - normals).square().sum(-1).mean()
    square = value.square() if reliability is None else reliability * value.square()
    return slope + position * square.mean() + bending * space_hessian.square().sum((-2, -1)).mean()
