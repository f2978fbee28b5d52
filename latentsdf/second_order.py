"""Codes by second-order steps: Levenberg-Marquardt on robust losses, every shape of a batch with its own damping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .decoder import Decoder
from .decoder.linearize import Linearize
from .interrupt import deferred_interrupt
from .optimize import Step, Stop

FLOOR = 5e-3
"""Residuals below this, in the unit frame, are weighted as if they were this large (least squares from here on)."""
TRIES = 3
"""Dampings tried an iteration before a shape waits for the next."""


class Residuals(NamedTuple):
    """One group of absolute residuals, in a soft-truncated distance: tau * (tanh(a / tau) - tanh(target / tau)).

    Attributes:
        points: (S, N, 3).
        targets: (S, N) signed distances, or bounds of the field's size.
        bounds: a is the field itself (False), or its size (True).
        shortage: weight of a size below its bound; one above it weighs 1.
        kept: how many numbers of the code are used; the rest are read as zero.
        weight: of the group's mean.
    """

    points: Tensor
    targets: Tensor
    bounds: bool = False
    shortage: float = 1.0
    kept: int | None = None
    weight: float = 1.0


Draw = Callable[[int], tuple[float, Sequence[Residuals]]]
"""Number of a stage -> its truncation, and the residuals that its iterations work on."""


def levenberg(
    decoder: Decoder,
    draw: Draw,
    start: Tensor,
    stages: Sequence[int],
    prior: float,
    on_step: Callable[[Step], bool | None] | None = None,
) -> tuple[Tensor, Stop]:
    """Lower the sum of weighted mean absolute residuals and the prior by damped Gauss-Newton steps on the codes.

    Absolute values by iterated reweighting; a step that does not lower the loss of a shape is not taken for it. (The
    scheme of DSP-SLAM, Wang et al. 2021, with an absolute instead of a Huber loss and without the pose.)

    Args:
        decoder: with its weights at rest.
        draw: residuals of each stage.
        start: (S, D) codes.
        stages: iterations of each stage.
        prior: weight of the sum of squared code numbers.
        on_step: called after every iteration; True pauses.

    Returns:
        Codes (S, D), and why it ended.
    """
    branch = decoder.branches[-1]
    linearize = decoder.linearizer(branch)
    codes, began, number, total = start.detach().clone(), time.monotonic(), 0, sum(stages)
    with deferred_interrupt() as interrupted:
        for stage, iterations in enumerate(stages):
            truncation, groups = draw(stage)
            damping = torch.full((len(codes),), 1e-2, dtype=codes.dtype, device=codes.device)
            loss = _loss(decoder, branch, codes, groups, truncation, prior)
            for _ in range(iterations):
                curvature, slope = _normal_equations(linearize, codes, groups, truncation, prior)
                codes, loss, damping = _stepped(
                    (codes, loss, damping),
                    (curvature, slope),
                    lambda trial, g=groups, t=truncation: _loss(decoder, branch, trial, g, t, prior),
                )
                number += 1
                if on_step is not None:
                    mean = float(loss.mean())
                    if on_step(Step(number, time.monotonic() - began, number / total, mean, {"distance": mean}, 1.0)):
                        return codes, Stop.PAUSED
                if interrupted():
                    return codes, Stop.INTERRUPTED
    return codes, Stop.FINISHED


State = tuple[Tensor, Tensor, Tensor]


def _stepped(state: State, system: tuple[Tensor, Tensor], loss_of: Callable[[Tensor], Tensor]) -> State:
    """Codes, losses and dampings after one iteration."""
    codes, loss, damping = state
    curvature, slope = system
    waiting = torch.ones(len(codes), dtype=torch.bool, device=codes.device)
    for _ in range(TRIES):
        stiff = damping[:, None] * curvature.diagonal(dim1=1, dim2=2) + 1e-12
        step = torch.linalg.solve(curvature + torch.diag_embed(stiff), slope)
        trial = torch.where(waiting[:, None], codes - step, codes)
        found = loss_of(trial)
        better = waiting & (found < loss)
        codes, loss = torch.where(better[:, None], trial, codes), torch.where(better, found, loss)
        grown = torch.where(waiting, damping * 5.0, damping).clamp_max(1e6)
        damping = torch.where(better, (damping * 0.3).clamp_min(1e-6), grown)
        waiting = waiting & ~better
        if not waiting.any():
            break
    return codes, loss, damping


def _normal_equations(
    linearize: Linearize, codes: Tensor, groups: Sequence[Residuals], truncation: float, prior: float
) -> tuple[Tensor, Tensor]:
    size = codes.shape[1]
    curvature = (2.0 * prior) * torch.eye(size, dtype=codes.dtype, device=codes.device).repeat(len(codes), 1, 1)
    slope = 2.0 * prior * codes
    for group in groups:
        field = linearize(_cut(codes, group.kept), group.points)
        residual, factor = _residual(field.values, group, truncation)
        jacobian = field.of_codes * factor[..., None]
        if group.kept is not None:
            jacobian = jacobian * (torch.arange(size, device=codes.device) < group.kept)
        weighted = jacobian * (_weights(residual, group) / residual.abs().clamp_min(FLOOR))[..., None]
        share = group.weight / residual.shape[1]
        curvature = curvature + share * (weighted.transpose(1, 2) @ jacobian)
        slope = slope + share * (weighted * residual[..., None]).sum(1)
    return curvature, slope


def _loss(
    decoder: Decoder, branch: str, codes: Tensor, groups: Sequence[Residuals], truncation: float, prior: float
) -> Tensor:
    total = prior * codes.square().sum(1)
    with torch.no_grad():
        for group in groups:
            values = decoder.query(decoder.prepare(_cut(codes, group.kept)), group.points, branch)
            residual, _ = _residual(values, group, truncation)
            total = total + group.weight * (_weights(residual, group) * residual.abs()).mean(1)
    return total


def _residual(values: Tensor, group: Residuals, truncation: float) -> tuple[Tensor, Tensor]:
    """The residual, and its derivative in the field."""
    size = values.abs() if group.bounds else values
    soft = torch.tanh(size / truncation)
    factor = 1.0 - soft * soft
    return truncation * (soft - torch.tanh(group.targets / truncation)), (
        factor * values.sign() if group.bounds else factor
    )


def _weights(residual: Tensor, group: Residuals) -> Tensor:
    return torch.where(residual < 0, group.shortage, 1.0) if group.bounds else torch.ones_like(residual)


def _cut(codes: Tensor, kept: int | None) -> Tensor:
    return codes if kept is None else codes * (torch.arange(codes.shape[1], device=codes.device) < kept)
