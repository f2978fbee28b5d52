"""Agreement of a code with parts of a scan that it was not fitted to."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ..core.arrays import Array
from ..inference.levenberg_marquardt import FitStage, levenberg_marquardt
from ..inference.objective import CodeObjective, Guess
from ..inference.residuals import into_cube, stacked
from ..scan.scan import Scan
from .scan_residuals import ScanResiduals

PARTS = 5
"""Parts of a scan, each held out once."""
_LLOYD_STEPS = 10
STAGES = ((0.1, 256, 3), (0.05, 512, 3), (0.03, 512, 3))
"""Truncation, residuals of each kind and iterations of a fit without a part."""


def held_out_agreement(
    objective: CodeObjective, guess: Guess, scan: Scan, seed: int = 0, openness: float | None = None
) -> float:
    """Mean cosine between slopes of codes and the normals of parts of a scan that these codes did not see.

    A long code agrees with every point that it is fitted to; whether it can be trusted beyond them is seen where points
    are held out (cross-validation, Stone 1974). Each of five connected parts of the scan is predicted by a code fitted
    to the rest from the mean of the code's prior, in the pose of the guess.

    Args:
        objective: of codes alone, the pose held.
        guess: one code and pose, and the origin of the code's prior.
        scan: with normals, in the frame of the guess.
        seed: of the residuals.
        openness: of the scan, where known; None finds that of each rest.

    Returns:
        From -1 to 1, the mean of the parts.
    """
    parts = parts_of(scan.points)
    rest = [scan.select(np.setdiff1d(np.arange(len(scan)), part)) for part in parts]
    residuals = [ScanResiduals(seen, seed, openness).to(guess.codes.device) for seen in rest]
    codes = _fitted(objective, guess, residuals, seed)
    pairs = zip(codes, parts, strict=True)
    return float(np.mean([_agreement(objective, guess, code, scan.select(part)) for code, part in pairs]))


def parts_of(points: Array) -> list[NDArray[np.intp]]:
    """Rows of compact parts of points (N, 3): k-means from the farthest points (Lloyd 1982, Gonzalez 1985)."""
    centres = points[:1]
    for _ in range(PARTS - 1):
        centres = np.concatenate([centres, points[[KDTree(centres).query(points)[0].argmax()]]])
    for _ in range(_LLOYD_STEPS):
        nearest = KDTree(centres).query(points)[1]
        centres = np.stack([points[nearest == part].mean(0) for part in range(len(centres)) if (nearest == part).any()])
    nearest = KDTree(centres).query(points)[1]
    return [rows for part in range(len(centres)) if len(rows := np.flatnonzero(nearest == part))]


def _fitted(objective: CodeObjective, guess: Guess, residuals: list[ScanResiduals], seed: int) -> Tensor:
    """Codes (P, D) fitted to the residuals of each of P scans, from the origin of the guess and in its pose."""
    assert guess.pose is not None
    assert guess.origin is not None
    if len({own.kinds for own in residuals}) > 1:  # a kind of residuals that only some of the scans have
        return torch.cat([_fitted(objective, guess, [own], seed) for own in residuals])
    generators = [torch.Generator().manual_seed(seed) for _ in residuals]
    stages = []
    for width, count, steps in STAGES:
        drawn = [own.sample(count, generator) for own, generator in zip(residuals, generators, strict=True)]
        stages.append(FitStage(width, [stacked(groups) for groups in zip(*drawn, strict=True)], steps))
    same = guess.select(torch.zeros(len(residuals), dtype=torch.long, device=guess.codes.device))
    assert same.origin is not None
    return levenberg_marquardt(objective, same._replace(codes=same.origin), stages).guess.codes


def _agreement(objective: CodeObjective, guess: Guess, code: Tensor, part: Scan) -> float:
    """Mean cosine between slopes of a code (D,) and the normals of a scan, in the pose of the guess."""
    assert part.normals is not None
    assert guess.pose is not None
    points = torch.from_numpy(part.points).to(code)
    inside, _ = into_cube(guess.pose.apply(points[None]))
    slopes = objective.linearize(code[None], inside).of_points[0].detach().double().cpu().numpy()
    normals = part.normals @ guess.pose.rotation[0].double().cpu().numpy().T
    lengths = np.linalg.norm(slopes, axis=1)
    return float((np.einsum("nd,nd->n", slopes, normals) / np.maximum(lengths, np.finfo(np.float64).tiny)).mean())
