"""Lipschitz constant of a field, estimated from its slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from ..core.field import evaluate
from .sampled_lattice import SampledLattice

_SAMPLES = 256
_MARGIN = 1.15
_STEP = 2.0**-10


def estimate_lipschitz(lattice: SampledLattice, side: int, values: NDArray[Any]) -> float:
    """Estimate a Lipschitz bound: 99.9th percentile of slopes near the surface and everywhere, times 1.15.

    Slopes are differences between vertices of the coarse lattice, and differences over a thousandth of the cube at
    some of the vertices; the larger estimate counts. Differences serve fields without a graph.

    Args:
        lattice: gives the field.
        side: of the blocks of the coarse lattice in cells.
        values: (R, R, R) at their corners.
    """
    n = len(values) - 2  # without the border, whose values are altered, and the last block, which may be cut
    inner = values[1 : n + 1, 1 : n + 1, 1 : n + 1]
    base = inner[:-1, :-1, :-1]
    steps = [inner[1:, :-1, :-1] - base, inner[:-1, 1:, :-1] - base, inner[:-1, :-1, 1:] - base]
    slopes = np.sqrt(np.square(steps).sum(0)).ravel() / (side * lattice.spacing)
    size = np.abs(base).ravel()
    nearest = size.argpartition(_SAMPLES)[:_SAMPLES] if size.size > _SAMPLES else np.arange(size.size)
    spread = np.linspace(0, base.size - 1, min(_SAMPLES, size.size)).astype(np.int64)
    estimates = [np.percentile(slopes, 99.9), np.percentile(slopes[nearest], 99.9)]
    rows = np.concatenate([nearest, spread])
    index = side * (np.stack(np.unravel_index(rows, base.shape)) + 1)
    near_by = _slopes(lattice, index, base.ravel()[rows])
    estimates += [np.percentile(part, 99.9) for part in np.split(near_by, [len(nearest)])]
    return _MARGIN * float(max(estimates))


def _slopes(lattice: SampledLattice, index: Indices, values: NDArray[Any]) -> Array:
    """Lengths (K,) of forward differences at index triples (3, K) with values (K,)."""
    step = _STEP * lattice.half_width
    points = lattice.queries(index)
    ends = points + step * torch.eye(3).to(points)[:, None]
    there = evaluate(lattice.sdf, ends.flatten(0, 1)).detach().cpu().double().numpy().reshape(3, -1) - lattice.level
    return np.sqrt(np.square(there - values).sum(0)) / step
