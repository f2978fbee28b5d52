"""Levenberg-Marquardt on codes and poses: batches of shapes, absolute residuals by iterative reweighting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.interrupt import poll_interrupt
from ..core.optimize import OnStep, Step, Stop
from .objective import CodeObjective, Guess, NormalEquations
from .residuals import Residuals

TRIES = 3
"""Dampings tried in one iteration; a shape that none of them improves keeps its guess until the next."""


class FitStage(NamedTuple):
    """Iterations on one draw of residuals.

    Attributes:
        truncation: of the residuals, in their frame.
        residuals: groups, each of all shapes or shared by them.
        iterations: on these residuals.
    """

    truncation: float
    residuals: Sequence[Residuals]
    iterations: int = 1


class FitResult(NamedTuple):
    """End of a fit.

    Attributes:
        guess: S codes, and poses where there are any.
        losses: (S,) at the end.
        stop: why it ended.
    """

    guess: Guess
    losses: Tensor
    stop: Stop


def stage_iterations(iterations: int) -> list[int]:
    """Iterations of each stage, two per stage, the last one of an odd number."""
    return [min(2, iterations - first) for first in range(0, iterations, 2)]


def levenberg_marquardt(
    objective: CodeObjective,
    guess: Guess,
    stages: Iterable[FitStage],
    on_step: OnStep | None = None,
    *,
    start: int = 0,
    total: int | None = None,
) -> FitResult:
    """Minimise weighted mean absolute residuals and priors by damped Gauss-Newton steps, for each shape by itself.

    A step solves (H + lambda diag H) d = g for the normal equations H, g of the iteratively reweighted squares; a shape
    takes it only if it lowers its loss. (Scheme of DSP-SLAM, Wang et al. 2021, with an absolute instead of a Huber
    loss.)

    Args:
        objective: minimised; it says which parameters are active.
        guess: initial codes and poses.
        stages: in order; each is taken from the iterable when its iterations begin.
        on_step: called after every iteration; True pauses.
        start: iterations before this call, for a fit in several parts.
        total: iterations of all parts, which `Step.progress` is measured by; None leaves it at 0.

    Returns:
        Codes and poses, their losses with priors, and the reason of the end. Ctrl-C ends it with `Stop.INTERRUPTED`.
    """
    guess = guess._replace(codes=guess.codes.detach().clone())
    began, number = time.monotonic(), start
    losses = guess.codes.new_zeros(len(guess.codes))
    with poll_interrupt() as interrupted:
        for stage in stages:
            damping = torch.full_like(losses, 1e-2)
            for _ in range(stage.iterations):
                equations = objective.normal_equations(guess, stage.residuals, stage.truncation)
                guess, losses, damping = _damped_step(objective, guess, damping, equations, stage)
                number += 1
                if on_step is not None:
                    mean, progress = float(losses.mean()), number / total if total else 0.0
                    if on_step(Step(number, time.monotonic() - began, progress, mean, {"distance": mean}, 1.0)):
                        return FitResult(guess, losses, Stop.PAUSED)
                if interrupted():
                    return FitResult(guess, losses, Stop.INTERRUPTED)
    return FitResult(guess, losses, Stop.FINISHED)


def _damped_step(
    objective: CodeObjective, guess: Guess, damping: Tensor, equations: NormalEquations, stage: FitStage
) -> tuple[Guess, Tensor, Tensor]:
    """Guess, losses and dampings after one iteration; only shapes that got no lower loss try the next damping."""
    losses, damping = equations.losses.clone(), damping.clone()
    pending = torch.arange(len(losses), device=losses.device)
    for _ in range(TRIES):
        hessian, before = equations.hessian[pending], guess.select(pending)
        diagonal = damping[pending, None] * hessian.diagonal(dim1=1, dim2=2) + 1e-12
        step = _solve(hessian + torch.diag_embed(diagonal), equations.gradient[pending])
        trial = objective.retract(before, step)
        with torch.no_grad():
            trial_losses = objective.losses(
                trial, [group.select(pending) for group in stage.residuals], stage.truncation
            )
        lower = trial_losses < losses[pending]
        rows = pending[lower]
        guess = guess.replaced(rows, trial.select(lower))
        losses[rows] = trial_losses[lower]
        damping[rows] = (damping[rows] * 0.3).clamp_min(1e-6)
        pending = pending[~lower]
        damping[pending] = (damping[pending] * 5.0).clamp_max(1e6)
        if not len(pending):
            break
    return guess, losses, damping


def _solve(matrices: Tensor, right: Tensor) -> Tensor:
    """Solutions (S, P) of symmetric systems (S, P, P); zero where a matrix is not positive definite.

    By Cholesky factors: MKL's LU of a batch fails for matrices of 256 rows after training in threads.
    """
    factors, failed = torch.linalg.cholesky_ex(matrices)
    steps = torch.cholesky_solve(right[..., None], factors)[..., 0]
    return torch.where((failed == 0)[:, None] & torch.isfinite(steps).all(1, keepdim=True), steps, 0.0)
