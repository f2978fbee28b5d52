"""Adam on codes and poses: many cheap steps, each on fresh points (DeepSDF's way)."""

from __future__ import annotations

import torch

from ..core.optimize import Adam, Group, OnStep, minimize
from ..core.pose import FREEDOMS
from .levenberg_marquardt import Draw, FitResult
from .objective import CodeObjective, Guess


def adam(
    problem: CodeObjective,
    draw: Draw,
    start: Guess,
    steps: int,
    rate: float,
    on_step: OnStep | None = None,
) -> FitResult:
    """Lower what `levenberg` lowers, by Adam with a cosine rate.

    Args:
        problem: what is lowered, and which numbers may move.
        draw: residuals of each step.
        start: codes and poses.
        steps: how many.
        rate: of the codes; poses move at half of it.
        on_step: called after every step; True pauses.

    Returns:
        Codes and poses, their losses at the last step, and why it ended.
    """
    codes = start.codes.detach().clone().requires_grad_(True)
    size, groups = codes.shape[1], [Group(name="codes", parameters=[codes], rate=rate)]
    motion = codes.new_zeros(len(codes), FREEDOMS, requires_grad=True)
    if start.pose is not None:
        groups.append(Group(name="poses", parameters=[motion], rate=0.5 * rate))
    whole = torch.ones(size + FREEDOMS, dtype=torch.bool)
    free = (whole if problem.active is None else problem.active).to(codes.device)

    def guess() -> Guess:
        moving = torch.where(free[:size], codes, start.codes)
        pose = start.pose.retract(motion * free[size:]) if start.pose is not None else None
        return start._replace(codes=moving, pose=pose)

    last = codes.new_zeros(len(codes))

    def objective(step: int) -> dict[str, torch.Tensor]:
        truncation, residuals = draw(step)
        losses = problem.losses(guess(), residuals, truncation)
        last.copy_(losses.detach())
        return {"distance": losses.sum()}

    stop = minimize(objective, Adam(groups, clip=None), progress=lambda number, _: number / steps, on_step=on_step)
    with torch.no_grad():
        found = guess()
    return FitResult(found._replace(codes=found.codes.detach()), last, stop)
