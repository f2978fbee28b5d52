"""A prior clamped to the constraints of a scan: distances to its points, winding numbers and free space."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..core.arrays import Array, Mask
from ..core.field import SDF, evaluate
from ..core.lattice import cell_centres
from ..scan.scan import Scan
from ..scan.visibility import in_free_space
from ..scan.winding import CLOSED, winding_numbers

_CELLS = 48
_WIDTH = 2.0 / _CELLS
"""Lattice of the free and solid space."""
_RAYS = 4000
"""Sensor rays that are followed."""
_OPEN_MARGIN = 0.15
"""On an open scan, winding numbers this far below 0 are outside and this far above 1 - margin inside, whatever the
missing surface adds."""
_CLOSED_MARGIN = 0.25
"""On a closed scan, winding numbers below this are outside, and above 1 minus this inside."""
_KEPT = 0.1
"""Size from which on a value of the prior is kept where the constraints agree with its sign (unit frame)."""


class ConstrainedPrior:
    """A prior f clamped where the points of a scan contradict it.

    - |f(x)| <= d(x), the distance to the nearest point.
    - Where the winding number of an open scan (Barill et al. 2018) is clearly negative, x faces the outside of the
      scanned surface, whatever the missing part adds; likewise the inside where it is near 1. On a closed scan it
      decides almost everywhere.
    - Cells that sensor rays cross before they end are free; unless the scan is cropped so is the free space beside its
      points.

    In a region known to be outside, f >= min(distance to the region's border, d, 0.2); likewise inside. Where clamped
    and plain values have one sign and are both far from zero, the plain one stays.

    Args:
        prior: SDF in the unit frame.
        scan: inliers with normals, in the cube, same frame.
        closed: whether the scan covers its surface; None decides by its openness.
    """

    smooth = False

    def __init__(self, prior: SDF, scan: Scan, *, closed: bool | None = None):
        assert scan.normals is not None
        self.prior, self._tree = prior, scan.tree
        self.closed: bool = scan.openness < CLOSED if closed is None else closed
        centres = cell_centres(_CELLS, dtype=torch.float64).numpy()
        winding = winding_numbers(scan.points, scan.normals, centres, scan.neighbour_distances)
        far = np.asarray(self._tree.query(centres)[0]) > 2.0 * _WIDTH
        free = far & (winding < (_CLOSED_MARGIN if self.closed else -_OPEN_MARGIN))
        if scan.sensor is not None:
            free |= far & _crossed_cells(scan.points, scan.sensor)
            if not scan.cropped:
                free |= far & in_free_space(scan.points, scan.sensor, centres)
        solid = far & (winding > 1 - (_CLOSED_MARGIN if self.closed else _OPEN_MARGIN)) & ~free
        self._outside, self._inside = _depth(free), _depth(solid)

    def __call__(self, points: Tensor) -> Tensor:
        """Clamped distances (N,) at points (N, 3), without derivatives."""
        queries = points.detach().double().cpu().numpy()
        bound = np.asarray(self._tree.query(queries)[0])
        cells = tuple(np.clip(((queries + 1) * (_CELLS / 2)).astype(np.int64), 0, _CELLS - 1).T)
        outside, inside = (
            np.minimum(np.minimum(depth[cells], bound), 2 * _KEPT) for depth in (self._outside, self._inside)
        )
        prior = evaluate(self.prior, points).double().cpu().numpy()
        value = np.clip(prior, -bound, bound)
        value = np.where(outside > 0, np.maximum(value, outside), value)
        value = np.where(inside > 0, np.minimum(value, -inside), value)
        size = np.minimum(np.abs(value), np.abs(prior))
        kept = np.where(value * prior > 0, np.clip(size / _KEPT - 1, 0, 1), 0.0)
        value = value + kept * (prior - value)
        return torch.from_numpy(value).to(points.device, points.dtype)


def _depth(region: Mask) -> Array:
    """Distance (C, C, C) of a region's cells from its border, at least half a cell; zero outside of it."""
    cells = region.reshape((_CELLS,) * 3)
    if not cells.any():
        return np.zeros(cells.shape)
    distance = np.asarray(ndimage.distance_transform_edt(cells)) if not cells.all() else np.full(cells.shape, 1.0)
    return np.where(cells, np.maximum(distance - 0.5, 0.5), 0.0) * _WIDTH


def _crossed_cells(points: Array, sensor: Array) -> Mask:
    """Cells (C^3,) that a ray from the sensor crosses more than two cells before it ends."""
    rows = np.random.default_rng(0).permutation(len(points))[:_RAYS]
    ends = points[rows]
    rays = np.broadcast_to(sensor, points.shape)[rows] - ends
    length = np.linalg.norm(rays, axis=1, keepdims=True)
    rays = rays / np.maximum(length, np.finfo(np.float64).tiny)
    crossed = np.zeros((_CELLS,) * 3, dtype=bool)
    for step in np.arange(2.5, 2 * 3**0.5 / _WIDTH, 0.7):
        steps = ends + step * _WIDTH * rays
        valid = (np.abs(steps) < 1).all(1) & (length[:, 0] > step * _WIDTH)
        if not valid.any():
            break
        crossed[tuple(((steps[valid] + 1) * (_CELLS / 2)).astype(np.int64).T)] = True
    return crossed.reshape(-1)
