"""Trilinear hat functions on nested lattices over the cube [-1, 1]^3, read at points and summed on one lattice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array, Indices

COARSEST = 8
"""Cells an axis of the coarsest lattice; each further one has twice as many."""


def lattice_cells(levels: int) -> list[int]:
    """Cells an axis of so many lattices, coarse to fine."""
    return [COARSEST << level for level in range(levels)]


class Taps(NamedTuple):
    """Hats of one lattice at N points, split by the parity of their nodes: those of one parity do not overlap.

    Attributes:
        nodes: (8, N) rows of the flattened lattice, x slowest.
        weights: (8, N) float32, which sum to 1 over the parities.
        counts: nodes of the lattice.
    """

    nodes: Indices
    weights: NDArray[np.float32]
    counts: int


def hat_taps(points: Array, cells: int) -> Taps:
    """Hats of a lattice at points (N, 3); those outside the cube read its nearest point.

    Args:
        points: in the unit frame.
        cells: of the lattice, an axis; it has cells + 1 nodes.
    """
    place = np.clip((points + 1.0) * (cells / 2), 0.0, cells)
    low = np.minimum(place.astype(np.int64), cells - 1)
    part = (place - low).astype(np.float32)
    nodes, weights = [], []
    for parity in np.ndindex(2, 2, 2):
        high = (np.asarray(parity) - low) % 2
        node = low + high
        nodes.append((node[:, 0] * (cells + 1) + node[:, 1]) * (cells + 1) + node[:, 2])
        weights.append(np.where(high == 1, part, 1.0 - part).prod(axis=1))
    return Taps(np.stack(nodes), np.stack(weights).astype(np.float32), (cells + 1) ** 3)


def refine_lattice(values: Array) -> Array:
    """Values of hats with (R, R, R) nodes on the (2 R - 1)^3 nodes of the lattice of twice as many cells, exactly."""
    for axis in range(3):
        values = np.moveaxis(values, axis, 0)
        fine = np.empty((2 * len(values) - 1, *values.shape[1:]), dtype=values.dtype)
        fine[::2] = values
        fine[1::2] = (values[1:] + values[:-1]) / 2
        values = np.moveaxis(fine, 0, axis)
    return values


def sum_levels(levels: Sequence[Array]) -> Array:
    """The sum (R, R, R) of fields of nested lattices, coarse to fine, on the nodes of the finest."""
    total = levels[0]
    for level in levels[1:]:
        total = refine_lattice(total) + level
    return total
