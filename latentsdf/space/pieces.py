"""Pieces of a sampled field: counted, joined by short capsules, and small ones left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from scipy.ndimage import binary_erosion, label
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from ..core.arrays import Array, Indices, Mask
from ..core.lattice import lattice_vertices
from .velocity import read_lattice

SHARE = 0.005
"""Pieces of a smaller share of the volume are crumbs."""
RADIUS = 0.02
"""Of the capsules that join pieces, unit frame."""

_CRUMB_REACH = 4.0
_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def count_pieces(values: Tensor, share: float = SHARE) -> int:
    """Number of pieces of a field (R, R, R), negative inside: the largest, and those with a share of the volume."""
    _, rows = _pieces(values, share)
    return len(rows)


@dataclass(frozen=True, eq=False)
class PieceRepair:
    """Repair of a field: f' = min(max(f, distance to the kept pieces - 2 cells), distance to the spans - `RADIUS`).

    Attributes:
        reach: (1, R, R, R), distance to the kept pieces minus two cells of the lattice, at most one cell; four cells at
            vertices in crumbs.
        spans: (K, 2, 3), ends of the capsules that join pieces.
    """

    reach: Tensor
    spans: Tensor

    def __call__(self, values: Tensor, points: Tensor) -> Tensor:
        """Repaired values (N,) of values (N,) at points (N, 3) of the unit frame."""
        values = torch.maximum(values, read_lattice(self.reach, points)[0])
        return torch.minimum(values, self.span_distances(points) - RADIUS) if len(self.spans) else values

    def span_distances(self, points: Tensor) -> Tensor:
        """Distances (N,) of points (N, 3) to the nearest span."""
        least = points.new_full((len(points),), torch.inf)
        for start, end in self.spans:
            along = end - start
            share = ((points - start) @ along / along.square().sum().clamp_min(1e-12)).clamp(0.0, 1.0)
            least = torch.minimum(least, (points - start - share[:, None] * along).norm(dim=-1))
        return least


def repair_pieces(values: Tensor, most: int, share: float = SHARE) -> PieceRepair:
    """The repair that leaves at most so many pieces: crumbs are left out, the nearest of the others joined.

    Args:
        values: field (R, R, R) on the lattice of the unit frame, negative inside.
        most: pieces that may remain.
        share: of the volume, below which a piece is a crumb.
    """
    labels, rows = _pieces(values, share)
    grid = lattice_vertices(len(values), dtype=values.dtype, device=values.device)
    spans = torch.from_numpy(_spans(labels, rows, most, grid.double().cpu().numpy())).to(values)
    repair = PieceRepair(values.new_zeros(1, *values.shape), spans)
    kept = torch.from_numpy(np.isin(labels, rows)).to(values)[None]
    if len(spans):
        kept = torch.maximum(kept, (repair.span_distances(grid) < RADIUS).view_as(kept).to(kept))
    crumbs = (values[None] < 0) & (kept == 0)
    reach = torch.ones_like(kept)
    for _ in range(3):
        reach = reach - kept
        kept = functional.max_pool3d(kept, 3, stride=1, padding=1)
    reach[crumbs] = _CRUMB_REACH
    return PieceRepair(reach * (2.0 / (len(values) - 1)), spans)


def _pieces(values: Tensor, share: float) -> tuple[Indices, Indices]:
    """Labels (R, R, R) of connected pieces, 0 outside, and those with a share of the volume, the largest at least."""
    labels, _ = label((values < 0).cpu().numpy(), _NEIGHBOURS)  # type: ignore[misc]
    labels = np.asarray(labels, dtype=np.int64)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    least = min(share * float(sizes.sum()), float(sizes.max()))
    return labels, np.flatnonzero((sizes >= least) & (sizes > 0))


def _spans(labels: Indices, rows: Indices, most: int, grid: Array) -> Array:
    """Segments (K, 2, 3) between nearest points of pieces that join them, shortest first, until `most` are left."""
    if len(rows) <= most:
        return np.zeros((0, 2, 3))
    borders = [grid[_border(labels == row).ravel()] for row in rows]
    trees = [KDTree(points) for points in borders]
    links = []
    for i, j in combinations(range(len(rows)), 2):
        distances, nearest = (np.asarray(part) for part in trees[i].query(borders[j]))
        at = int(np.argmin(distances))
        links.append((float(distances[at]), i, j, borders[i][nearest[at]], borders[j][at]))
    group, spans = list(range(len(rows))), []
    for _, i, j, start, end in sorted(links, key=lambda link: link[:3]):
        if len(set(group)) > most and group[i] != group[j]:
            group = [group[i] if item == group[j] else item for item in group]
            spans.append(np.stack([start, end]))
    return np.stack(spans)


def _border(inside: Mask) -> Mask:
    return inside & np.logical_not(binary_erosion(inside))
