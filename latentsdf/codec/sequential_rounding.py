"""Rounding of a vector to whole steps, one number after the other, each making up for the errors of those before."""

from __future__ import annotations

import torch
from torch import Tensor

_DAMPING = 0.03


def round_sequentially(vectors: Tensor, steps: Tensor, hessians: Tensor) -> Tensor:
    """Integers q for which (q steps - v)^T H (q steps - v) is small: Babai's nearest plane algorithm (1986).

    After a number is rounded the others move to where the quadratic form is least (as GPTQ does for weights: Frantar et
    al., ICLR 2023). Numbers come in the order of what a step of theirs costs, the dearest first.

    Args:
        vectors: (S, D).
        steps: (D,), positive.
        hessians: (S, D, D), or (1, D, D) for all; positive semidefinite.

    Returns:
        (S, D) int64.
    """
    steps = steps.double()
    forms = hessians.double() * steps[:, None] * steps
    order = forms.diagonal(dim1=1, dim2=2).mean(0).argsort(descending=True)
    forms, left = forms[:, order][:, :, order], (vectors.double() / steps)[:, order]
    scale = forms.diagonal(dim1=1, dim2=2).mean(1).clamp_min(torch.finfo(torch.float64).tiny)
    forms = forms + _DAMPING * scale[:, None, None] * torch.eye(len(steps), dtype=torch.float64, device=forms.device)
    # U of H^-1 = U^T U, from the Cholesky factor of H with its axes reversed.
    reverse = torch.linalg.cholesky(forms.flip(1, 2))
    identity = torch.eye(len(steps), dtype=torch.float64, device=forms.device).expand_as(reverse)
    factor = torch.linalg.solve_triangular(reverse, identity, upper=False).flip(1, 2)
    whole = torch.empty_like(left)
    for number in range(len(steps)):
        whole[:, number] = left[:, number].round()
        error = (left[:, number] - whole[:, number]) / factor[:, number, number]
        left = left - error[:, None] * factor[:, number]
    out = torch.empty_like(whole)
    out[:, order] = whole
    return out.long()
