"""Codes by Adam, from the initial guesses of the library: the reference for its Levenberg-Marquardt fits.

Many cheap steps with a cosine rate, each on fresh samples (DeepSDF, Park et al. 2019, section 4).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentsdf.core.optimize import Adam, Group, OnStep, minimize
from latentsdf.core.pose import FREEDOMS
from latentsdf.decoder.base import Decoder
from latentsdf.inference.code_fitting import TRUNCATION, CodeFitter, EncodeConfig
from latentsdf.inference.levenberg_marquardt import FitResult, FitStage
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import SignedSamples
from latentsdf.reconstruction import scan_fitting

RATE = 2e-2
"""Learning rate of codes; poses move at half of it."""


def adam(
    objective: CodeObjective,
    guess: Guess,
    stage: Callable[[int], FitStage],
    steps: int,
    on_step: OnStep | None = None,
) -> FitResult:
    """Minimise the losses that `levenberg_marquardt` does, by Adam.

    Args:
        objective: minimised; it says which parameters are active.
        guess: initial codes and poses.
        stage: number of a step -> its truncation and residuals.
        steps: of Adam.
        on_step: called after every step; True pauses.
    """
    codes = guess.codes.detach().clone().requires_grad_(True)
    size, groups = codes.shape[1], [Group(name="codes", parameters=[codes], rate=RATE)]
    motion = codes.new_zeros(len(codes), FREEDOMS, requires_grad=True)
    if guess.pose is not None:
        groups.append(Group(name="poses", parameters=[motion], rate=0.5 * RATE))
    active = torch.ones(size + FREEDOMS, dtype=torch.bool) if objective.active is None else objective.active
    active = active.to(codes.device)
    losses = codes.new_zeros(len(codes))

    def moved() -> Guess:
        pose = None if guess.pose is None else guess.pose.retract(motion * active[size:])
        return guess._replace(codes=torch.where(active[:size], codes, guess.codes), pose=pose)

    def loss(step: int) -> dict[str, Tensor]:
        truncation, residuals, _ = stage(step)
        now = objective.losses(moved(), residuals, truncation)
        losses.copy_(now.detach())
        return {"distance": now.sum()}

    stop = minimize(loss, Adam(groups, clip=None), progress=lambda number, _: number / steps, on_step=on_step)
    with torch.no_grad():
        result = moved()
    return FitResult(result._replace(codes=result.codes.detach()), losses, stop)


def adam_codes(
    decoder: Decoder, samples: SignedSamples, stored: Tensor, config: EncodeConfig, steps: int = 400
) -> FitResult:
    """Codes of signed samples, as `infer_codes` gives them, from the best initial guess of each shape.

    Args:
        decoder: of the space.
        samples: of S shapes.
        stored: (K, D) codes of the space.
        config: its pose, prior, points, nested and seed.
        steps: of Adam; every fourth reads a prefix of the code, where there are any.
    """
    generator = torch.Generator().manual_seed(config.seed)
    fitter = CodeFitter(decoder, stored, config)
    guess = fitter.initial_guesses(samples, generator).select(torch.arange(len(samples.points)))
    draws = torch.Generator().manual_seed(config.seed + 1)

    def stage(step: int) -> FitStage:
        prefix = config.nested[(step // 4) % len(config.nested)] if config.nested and step % 4 == 3 else None
        groups = samples.sample(2 * config.points, draws)
        return FitStage(TRUNCATION, [group._replace(prefix=prefix) for group in groups])

    return adam(fitter.objective, guess, stage, steps)


def adam_fit_scan(problem: scan_fitting.ScanProblem, steps: int) -> scan_fitting.ScanFit:
    """Code and frame of a scan, from the guess that `fit_scan` fits to the end.

    Args:
        problem: of the scan.
        steps: of Adam.
    """
    guess = problem.coarse_fit().select(torch.arange(1))
    points, generator = problem.config.points, problem.generator

    def stage(step: int) -> FitStage:
        return FitStage(scan_fitting.TRUNCATION, problem.residuals.sample(points, generator))

    return problem.summary(adam(problem.objective(problem.config.prior), guess, stage, steps))
