"""Choice between fits of one scan in different poses: by loss, and by the surface that the sensor looked through."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..core.field import SDF
from ..core.frame import Frame
from ..decoder.base import Decoder
from ..inference.levenberg_marquardt import FitResult
from ..mesh.isosurface import extract_mesh
from ..mesh.surface_sampling import surface_samples
from ..scan.scan import Scan
from ..scan.visibility import refuted_by_sensor

DISTINCT = 20.0
"""Degrees by which the rotations of two fits differ, at least, that are both kept."""
_CELLS = 48
_SAMPLES = 2000
"""Cells per axis of the surfaces that are compared, and points on each."""
_POINTS = 20_000
"""Points of the scan that they are compared with."""
_SLACK = 0.05
"""How far in front of the points, unit frame, a surface may lie: what the code of a right shape leaves unexplained."""


def distinct_rows(rotations: Tensor, losses: Tensor, count: int) -> Tensor:
    """Rows (K,), K at most `count`, of the lowest losses of which no two rotations are alike, the lowest first.

    Args:
        rotations: (S, 3, 3).
        losses: (S,).
        count: of rows, at most.
    """
    least_trace = 1.0 + 2.0 * math.cos(math.radians(DISTINCT))
    rows: list[int] = []
    for row in losses.argsort().tolist():
        traces = [float((rotations[row] * rotations[other]).sum()) for other in rows]
        if max(traces, default=-1.0) < least_trace and len(rows) < count:
            rows.append(row)
    return torch.tensor(rows, device=losses.device)


def best_fit(result: FitResult, decoder: Decoder, scan: Scan, base: Frame) -> FitResult:
    """The one of S fits of the lowest l (1 + r), with the loss l and the share r of its surface that is refuted.

    Where the sensor is not known, or may have missed parts, r is 0.

    Args:
        result: codes and poses.
        decoder: of the codes.
        scan: in its own units.
        base: the scan's units <-> the frame that poses start from.
    """
    guess, losses = result.guess, result.losses
    assert guess.pose is not None
    if len(losses) > 1 and scan.sensor is not None and not scan.cropped:
        scan = scan.subsampled(_POINTS)
        shares = [
            refuted_share(decoder.condition(code), scan.transformed(guess.pose.frame(row, base)), code)
            for row, code in enumerate(guess.codes)
        ]
        losses = losses * (1.0 + torch.tensor(shares).to(losses))
    best = losses.argmin()[None]
    return result._replace(guess=guess.select(best), losses=result.losses[best])


def refuted_share(sdf: SDF, scan: Scan, like: Tensor) -> float:
    """Share of a surface that cannot be there: in front of the points, or where sensor rays met nothing.

    Depth and silhouette terms of render-and-compare (HOC-Search, Ainetter et al. 2024), of points instead of pixels.

    Args:
        sdf: of the unit frame.
        scan: with its sensor, in the unit frame of the surface.
        like: (D,), of the dtype and device that the field takes.

    Returns:
        From 0 to 1; 1 for a field without a surface.
    """
    assert scan.sensor is not None
    try:
        mesh = extract_mesh(sdf, _CELLS, like=like)
    except ValueError:
        return 1.0
    samples, _ = surface_samples(mesh, _SAMPLES, 0)
    return float(np.mean(refuted_by_sensor(scan.points, scan.sensor, samples, _SLACK)))
