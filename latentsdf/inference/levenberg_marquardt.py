"""Damped Gauss-Newton steps on codes and poses: many shapes at once, absolute residuals by iterated reweighting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.interrupt import poll_interrupt
from ..core.optimize import OnStep, Step, Stop
from .objective import CodeObjective, Guess, NormalEquations
from .residuals import Residuals

TRIES = 3
"""Dampings tried an iteration before a shape waits for the next."""

Draw = Callable[[int], tuple[float, Sequence[Residuals]]]
"""Number of a stage -> its truncation, and the residuals that its iterations work on."""


class FitResult(NamedTuple):
    """Where a fit ended.

    Attributes:
        guess: codes and poses.
        losses: (S,) at the end, prior included.
        stop: why it ended.
    """

    guess: Guess
    losses: Tensor
    stop: Stop


def in_pairs(steps: int) -> list[int]:
    """Iterations of each stage where a stage takes two of them, as far as they go."""
    return [min(2, steps - first) for first in range(0, steps, 2)]


def levenberg_marquardt(
    problem: CodeObjective,
    draw: Draw,
    start: Guess,
    stages: Sequence[int],
    on_step: OnStep | None = None,
) -> FitResult:
    """Lower the sum of weighted mean absolute residuals and the prior by damped Gauss-Newton steps.

    Absolute values by iterated reweighting; a step that does not lower the loss of a shape is not taken for it. (The
    scheme of DSP-SLAM, Wang et al. 2021, with an absolute instead of a Huber loss.)

    Args:
        problem: what is lowered, and which numbers may move.
        draw: residuals of each stage.
        start: codes and poses.
        stages: iterations of each stage.
        on_step: called after every iteration; True pauses.

    Returns:
        Codes and poses, their losses, and why it ended.
    """
    guess = start._replace(codes=start.codes.detach().clone())
    began, number, total = time.monotonic(), 0, sum(stages)
    loss = guess.codes.new_zeros(len(guess.codes))
    with poll_interrupt() as interrupted:
        for stage, iterations in enumerate(stages):
            truncation, groups = draw(stage)
            damping = torch.full_like(loss, 1e-2)
            for _ in range(iterations):
                system = problem.normal_equations(guess, groups, truncation)
                guess, loss, damping = _stepped(problem, guess, damping, system, (groups, truncation))
                number += 1
                if on_step is not None:
                    mean = float(loss.mean())
                    if on_step(Step(number, time.monotonic() - began, number / total, mean, {"distance": mean}, 1.0)):
                        return FitResult(guess, loss, Stop.PAUSED)
                if interrupted():
                    return FitResult(guess, loss, Stop.INTERRUPTED)
    return FitResult(guess, loss, Stop.FINISHED)


def _stepped(
    problem: CodeObjective,
    guess: Guess,
    damping: Tensor,
    system: NormalEquations,
    target: tuple[Sequence[Residuals], float],
) -> tuple[Guess, Tensor, Tensor]:
    """Guess, losses and dampings after one iteration; a damping is tried again only for shapes that it did not help."""
    groups, truncation = target
    loss, damping = system.losses.clone(), damping.clone()
    waiting = torch.arange(len(loss), device=loss.device)
    for _ in range(TRIES):
        curvature, before = system.hessian[waiting], guess.select(waiting)
        stiff = damping[waiting, None] * curvature.diagonal(dim1=1, dim2=2) + 1e-12
        step = torch.linalg.solve(curvature + torch.diag_embed(stiff), system.gradient[waiting])
        trial = problem.retract(before, step)
        with torch.no_grad():
            found = problem.losses(trial, [group.select(waiting) for group in groups], truncation)
        better = found < loss[waiting]
        rows = waiting[better]
        guess = guess.replaced(rows, trial.select(better))
        loss[rows] = found[better]
        damping[rows] = (damping[rows] * 0.3).clamp_min(1e-6)
        waiting = waiting[~better]
        damping[waiting] = (damping[waiting] * 5.0).clamp_max(1e6)
        if not len(waiting):
            break
    return guess, loss, damping
