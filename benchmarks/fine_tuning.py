"""The usual way to overfit one shape: descent on its code and the fine branch of its decoder."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from time import monotonic

import torch

from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.reconstruction.reconstruction import Reconstruction
from latentsdf.reconstruction.scan_residuals import ScanResiduals
from latentsdf.space.shape import Shape

RATES = {"code": 5e-3, "decoder": 1e-3}
TRUNCATION = 0.03


def fine_tune(fitted: Reconstruction, minutes: float, *, points: int = 2048, seed: int = 0) -> Shape:
    """The shape of a code fit, with a decoder of its own that is fine-tuned to the same residuals.

    The fine branch and its grid move, or the whole decoder where there is no such branch; cosine rates; the frame
    stays.

    Args:
        fitted: a reconstruction without refinement.
        minutes: wall-clock.
        points: of each kind a step.
        seed: of the samples.
    """
    shape, scan = fitted.shape, fitted.fit.scan
    decoder = deepcopy(shape.decoder)
    groups = decoder.groups()
    tuned = [p for name in ("fine", "grid") for p in groups.get(name, [])] or list(decoder.parameters())
    for parameter in tuned:
        parameter.requires_grad_(True)
    code = shape.code.detach()[None].clone().requires_grad_(True)
    residuals, generator = ScanResiduals(scan.transformed(shape.frame), seed), torch.Generator().manual_seed(seed + 1)
    problem = CodeObjective(decoder, 1e-4 / decoder.code_size)
    optimizer = torch.optim.Adam(
        [{"params": [code], "lr": RATES["code"]}, {"params": tuned, "lr": RATES["decoder"]}], fused=True
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    began, limit = monotonic(), 60.0 * minutes
    while (done := (monotonic() - began) / limit) < 1.0:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * 0.5 * (1.0 + float(torch.cos(torch.tensor(torch.pi * done))))
        optimizer.zero_grad()
        problem.losses(Guess(code), residuals.sample(points, generator), TRUNCATION).sum().backward()
        optimizer.step()
    return replace(shape, code=code.detach()[0], decoder=decoder.requires_grad_(False))
