"""Unseen scans to shapes: the code that explains the points, and what it leaves unexplained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .field import evaluate
from .inference import EncodeConfig, encode_scan
from .optimize import Stop
from .scan import Scan
from .space import LatentSpace, Shape


@dataclass(frozen=True)
class Reconstruction:
    """A scan explained by a space.

    Attributes:
        shape: an SDF in the scan's own units; `shape.mesh()` is watertight.
        stop: why the fit ended.
        residual_mean: mean distance from the scan's points to the surface, in the scan's units.
        residual_p90: ninetieth percentile of that distance.
    """

    shape: Shape
    stop: Stop
    residual_mean: float
    residual_p90: float


def reconstruct(space: LatentSpace, scan: Scan, *, config: EncodeConfig | None = None) -> Reconstruction:
    """Find the shape of a space that explains a scan, by code inference alone.

    Args:
        space: the prior; it decides what is inside.
        scan: points in their own units; noisy or partial, normals not needed. Its pose is taken as it is.
        config: of the code inference.

    Raises:
        ValueError: the scan has too few points to span a frame.
    """
    found = encode_scan(space, scan, config=config)
    points = torch.from_numpy(scan.subsampled(20_000, 0).points)
    residual = evaluate(found.shape, points).abs().cpu().numpy()
    return Reconstruction(found.shape, found.stop, float(residual.mean()), float(np.quantile(residual, 0.9)))
