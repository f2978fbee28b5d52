"""Terms on derivatives of a field: unit slope, viscosity, divergence, screened heat and parallel level sets.

Every function is pure: values at N points in, the mean over the points out. u is the field. `foot_gradient`, an input
of two terms, is the exception: it evaluates the field once more.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.linalg import vector_norm

from ..core.field import Jet


def eikonal(gradient: Tensor, *, p: int = 1) -> Tensor:
    """Residual of the eikonal equation |grad u| = 1.

    Source: IGR (Gropp et al. 2020, equation 2), p = 2; SIREN (Sitzmann et al. 2020, equation 6), p = 1.

    Args:
        gradient: (N, 3), dimensionless.
        p: 1 takes absolute values, 2 squares.

    Returns:
        Mean of | |grad u| - 1 |^p, a scalar.

    Raises:
        ValueError: p is neither 1 nor 2.
    """
    return _power(vector_norm(gradient, dim=-1) - 1, p).mean()


def viscosity(
    value: Tensor,
    gradient: Tensor,
    laplacian: Tensor | None,
    *,
    epsilon: float,
    mode: Literal["plain", "signed"] = "plain",
    p: int = 1,
) -> Tensor:
    """Residual of the viscous eikonal equation |grad u| = 1 + epsilon * Laplacian u, at points off the surface.

    Source: ViscoReg (arXiv 2507.00412), the loss L_veik without its second mean, which is `eikonal` at the surface
    points and stays a term of its own. The released code replaces the two means by one over both sets when epsilon
    reaches 0, which halves their weight; here epsilon = 0 gives `eikonal` at the same weight.

    Args:
        value: (N,) signed distances; only their signs are used, and only by mode `signed`.
        gradient: (N, 3).
        laplacian: (N,), in 1 / length; None is allowed where epsilon is 0.
        epsilon: viscosity, in units of length; the published schedules assume a frame with max |coordinate| = 1.
        mode: `plain` uses the same epsilon on both sides of the surface, as published. Its solutions are positive, so
            inside it resists a negative field. `signed` uses epsilon * sign(u), which treats both sides equally.
        p: 1 takes absolute values (as released), 2 squares.

    Returns:
        Mean of | |grad u| - 1 - epsilon * Laplacian u |^p, a scalar.

    Raises:
        ValueError: unknown mode, p neither 1 nor 2, or no laplacian although epsilon is not 0.
    """
    if mode not in ("plain", "signed"):
        raise ValueError(f"the mode of viscosity is 'plain' or 'signed', got {mode!r}")
    residual = vector_norm(gradient, dim=-1) - 1
    if epsilon != 0:
        if laplacian is None:
            raise ValueError(f"viscosity with epsilon {epsilon:g} needs the Laplacian at the points")
        strength = epsilon * value.detach().sign() if mode == "signed" else epsilon
        residual = residual - strength * laplacian
    return _power(residual, p).mean()


def divergence(laplacian: Tensor, *, low: float = 0.1, high: float = 50.0) -> Tensor:
    """Absolute divergence of the gradient, at points off the surface.

    Source: DiGS (Ben-Shabat et al. 2022), loss L_div. Outside [low, high] the clamp leaves no gradient, as released.

    Args:
        laplacian: (N,), in 1 / length.
        low, high: bounds of the clamp, in 1 / length.

    Returns:
        Mean of clamp(|Laplacian u|, low, high), a scalar.

    Raises:
        ValueError: not 0 <= low < high.
    """
    if not 0 <= low < high:
        raise ValueError(f"divergence needs 0 <= low < high, got {low} and {high}")
    return laplacian.abs().clamp(low, high).mean()


def directional_divergence(gradient: Tensor, second_along_gradient: Tensor) -> Tensor:
    """Absolute second derivative along the gradient, at points off the surface; 0 where the slope is constant.

    Source: StEik (Yang et al. 2023), the directional divergence loss, with 1e-5 in the denominator as released.

    Args:
        gradient: (N, 3) g.
        second_along_gradient: (N,), g^T H g with the Hessian H (`Jet.second_along_gradient`), in 1 / length.

    Returns:
        Mean of |g^T H g| / (|g|^2 + 1e-5), a scalar.
    """
    return (second_along_gradient.abs() / (gradient.square().sum(-1) + 1e-5)).mean()


def heat(value: Tensor, gradient: Tensor, *, sharpness: float = 10.0) -> Tensor:
    """Energy of the screened heat exp(-sharpness * |u|), at points uniform in the cube.

    Source: HotSpot (Wang et al. 2025), the loss L_heat, with the integral taken as a mean over the points. No second
    derivative of the field is needed.

    Args:
        value: (N,) signed distances u.
        gradient: (N, 3).
        sharpness: lambda, in 1 / length; the minimiser tends to a distance as it grows.

    Returns:
        Mean of exp(-2 * sharpness * |u|) * (|grad u|^2 + 1) / 2, a scalar.

    Raises:
        ValueError: sharpness is not positive.
    """
    if not sharpness > 0:
        raise ValueError(f"the sharpness of heat must be positive, got {sharpness}")
    return (torch.exp(-2 * sharpness * value.abs()) * (gradient.square().sum(-1) + 1)).mean() / 2


def level_set_alignment(
    value: Tensor, gradient: Tensor, foot_gradient: Tensor, *, delta: float = 10.0, band: float = 0.1
) -> Tensor:
    """One minus the cosine between the gradients at a point and at its foot on the surface, weighted by nearness.

    Source: Level Set Alignment (Ma et al. 2023), equations 6, 7 and 9, without its weight alpha, which is the term's.
    The foot is q - u(q) n(q) with the unit gradient n. Equation 8 as printed (q - |u| n) and the released snippet
    (q + u n) miss the surface, so they penalise exact distances.

    Args:
        value: (N,) signed distances at the points; no derivative is taken through them.
        gradient: (N, 3) at the points.
        foot_gradient: (N, 3) at their feet, from the function of that name.
        delta: decay of the weight exp(-delta * |value|), in 1 / length; the paper's best is 10.
        band: points with |value| >= band contribute 0, as a fitted field is no distance far away; in units of length.

    Returns:
        Sum over the band of exp(-delta |u(q)|) (1 - cos(grad u(q), grad u(foot))), divided by N, a scalar.

    Raises:
        ValueError: delta is negative or band is not positive.
    """
    if not delta >= 0 or not band > 0:
        raise ValueError(f"level_set_alignment needs delta >= 0 and band > 0, got {delta} and {band}")
    size = value.detach().abs()
    weight = torch.where(size < band, torch.exp(-delta * size), 0)
    return (weight * (1 - torch.cosine_similarity(gradient, foot_gradient, dim=-1))).mean()


def foot_gradient(jet: Jet, *, band: float = math.inf, detach_foot: bool = False) -> Tensor:
    """Gradient at the feet q - u(q) n(q) of points: one more evaluation of the field, inside the band only.

    Args:
        jet: of the points.
        band: the field is evaluated where |value| < band; elsewhere the result is 0. In units of length.
        detach_foot: True treats the feet as constants, which saves a second-order path; False, as released, also
            differentiates through them.

    Returns:
        (N, 3), differentiable.
    """
    near = jet.value.detach().abs() < band
    if not near.any():
        return torch.zeros_like(jet.points.detach())
    with torch.enable_grad():
        gradient = Jet(jet.sdf, jet.project()[near], attached=not detach_foot).gradient
        return gradient.new_zeros(jet.points.shape).index_put((near.nonzero()[:, 0],), gradient)


def _power(residual: Tensor, p: int) -> Tensor:
    if p not in (1, 2):
        raise ValueError(f"p must be 1 (absolute values) or 2 (squares), got {p}")
    return residual.abs() if p == 1 else residual.square()
