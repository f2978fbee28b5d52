"""Agreement of a code with parts of a scan that it was not fitted to."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..inference.levenberg_marquardt import FitStage, levenberg_marquardt
from ..inference.objective import CodeObjective, Guess
from ..inference.residuals import into_cube
from ..scan.scan import Scan
from .scan_residuals import ScanResiduals

PARTS = 5
"""Parts of a scan, each held out once."""
_LLOYD_STEPS = 10
STAGES = ((0.1, 256, 3), (0.05, 512, 3), (0.03, 512, 3))
"""Truncation, residuals of each kind and iterations of a fit without a part."""


def held_out_agreement(objective: CodeObjective, guess: Guess, scan: Scan, seed: int = 0) -> float:
    """Mean cosine between slopes of codes and the normals of parts of a scan that these codes did not see.

    A long code agrees with every point that it is fitted to; whether it can be trusted beyond them is seen where points
    are held out (cross-validation, Stone 1974). Each of five connected parts of the scan is predicted by a code fitted
    to the rest from the mean of the code's prior, in the pose of the guess.

    Args:
        objective: of codes alone, the pose held.
        guess: one code and pose, and the origin of the code's prior.
        scan: with normals, in the frame of the guess.
        seed: of the residuals.

    Returns:
        From -1 to 1, the mean of the parts.
    """
    return float(np.mean([_agreement(objective, guess, scan, part, seed) for part in parts_of(scan.points)]))


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


def _agreement(objective: CodeObjective, guess: Guess, scan: Scan, part: NDArray[np.intp], seed: int) -> float:
    """Mean cosine at one part that is held out."""
    assert scan.normals is not None
    assert guess.pose is not None
    assert guess.origin is not None
    residuals = ScanResiduals(scan.select(np.setdiff1d(np.arange(len(scan)), part)), seed).to(guess.codes.device)
    generator = torch.Generator().manual_seed(seed)
    stages = [FitStage(width, residuals.sample(count, generator), steps) for width, count, steps in STAGES]
    fitted = levenberg_marquardt(objective, guess._replace(codes=guess.origin), stages).guess
    points = torch.from_numpy(scan.points[part]).to(guess.codes)
    inside, _ = into_cube(guess.pose.apply(points[None]))
    slopes = objective.linearize(fitted.codes, inside).of_points[0].detach().double().cpu().numpy()
    normals = scan.normals[part] @ guess.pose.rotation[0].double().cpu().numpy().T
    lengths = np.linalg.norm(slopes, axis=1)
    return float((np.einsum("nd,nd->n", slopes, normals) / np.maximum(lengths, np.finfo(np.float64).tiny)).mean())
