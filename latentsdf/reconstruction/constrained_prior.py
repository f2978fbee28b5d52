"""A prior as far as a scan lets it be: a distance is never more than that to a point, and free space stays free."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from torch import Tensor

from ..core.arrays import Array
from ..core.field import SDF, evaluate
from ..core.lattice import cell_centres
from ..scan.visibility import in_free_space
from ..scan.winding import CLOSED, openness, winding_numbers

_CELLS = 48
_RAYS = 4000
_SURE = 0.15
"""A winding number so far below zero means outside, and so far below one inside, whatever was not scanned."""
_FAR = 0.1
"""From there on, unit frame, a prior begins to keep its value where the bounds agree with it on the side."""


class ConstrainedPrior:
    """A prior changed where points say that it is wrong; away from them it stands.

    - The distance to a point bounds the distance to the surface, so the field is at most that, on either side.
    - Where the winding number of the points (Barill et al. 2018) is below zero one looks at the outside of the surface,
      and what was not scanned cannot change that; likewise for the inside where it is near one.
    - Cells that sensor rays cross before they end are free, and unless the scan is cropped those that the sensor
      looked past.
    - A closed scan tells the sides almost everywhere by its winding number: below a quarter or above three quarters.

    What is known to be outside is made so: the field is there at least as large as the way to what is not, up to
    0.2; likewise inside. Where prior and bound agree on a side, both far from the surface, the prior's own value stays.

    Args:
        prior: the field, in the unit frame.
        points: (M, 3) trusted points in the cube, same frame.
        normals: (M, 3), outward.
        sensor: (3,) where all the points were seen from, (M, 3) where each was, or None.
        cropped: whether the sensor may have missed parts of the shape that it faced.

    Attributes:
        closed: whether the scan covers its surface.
    """

    smooth = False

    def __init__(self, prior: SDF, points: Array, normals: Array, sensor: Array | None = None, cropped: bool = False):
        self.prior, self._points, self._normals = prior, points, normals
        self._tree = KDTree(points)
        self.closed = openness(points, normals) < CLOSED
        middles = cell_centres(_CELLS, dtype=torch.float64).numpy()
        winding = winding_numbers(points, normals, middles)
        far = np.asarray(self._tree.query(middles)[0]) > 2.0 / _CELLS
        free = far & (winding < (0.25 if self.closed else -_SURE))
        if sensor is not None:
            free |= far & _crossed(points, sensor)
            if not cropped:
                free |= far & in_free_space(points, sensor, middles)
        self._outside = _depth(free)
        self._inside = _depth(far & (winding > (0.75 if self.closed else 1 - _SURE)) & ~free)

    def __call__(self, points: Tensor) -> Tensor:
        """The bounded distances (N,) at points (N, 3); without derivatives."""
        places = points.detach().double().cpu().numpy()
        reach = np.asarray(self._tree.query(places)[0])
        cells = tuple(np.clip(((places + 1) * (_CELLS / 2)).astype(np.int64), 0, _CELLS - 1).T)
        outside, inside = (
            np.minimum(np.minimum(depth[cells], reach), 2 * _FAR) for depth in (self._outside, self._inside)
        )
        prior = evaluate(self.prior, points).double().cpu().numpy()
        value = np.clip(prior, -reach, reach)
        value = np.where(outside > 0, np.maximum(value, outside), value)
        value = np.where(inside > 0, np.minimum(value, -inside), value)
        size = np.minimum(np.abs(value), np.abs(prior))
        spared = np.where(value * prior > 0, np.clip(size / _FAR - 1, 0, 1), 0.0)
        value = value + spared * (prior - value)
        return torch.from_numpy(value).to(points.device, points.dtype)


def _depth(known: NDArray[np.bool_]) -> Array:
    """How far known cells lie from those that are not, (C, C, C); at least half a cell in them and zero elsewhere."""
    whole = known.reshape((_CELLS,) * 3)
    if not whole.any():
        return np.zeros(whole.shape)
    distance = np.asarray(ndimage.distance_transform_edt(whole)) if not whole.all() else np.full(whole.shape, 1.0)
    return np.where(whole, np.maximum(distance - 0.5, 0.5), 0.0) * (2.0 / _CELLS)


def _crossed(points: Array, sensor: Array) -> NDArray[np.bool_]:
    """Cells that a ray from the sensor crosses more than two cells before it ends, (C^3,)."""
    rows = np.random.default_rng(0).permutation(len(points))[:_RAYS]
    chosen, width = points[rows], 2.0 / _CELLS
    rays = np.broadcast_to(sensor, points.shape)[rows] - chosen
    length = np.linalg.norm(rays, axis=1, keepdims=True)
    rays = rays / np.maximum(length, np.finfo(np.float64).tiny)
    free = np.zeros((_CELLS,) * 3, dtype=bool)
    for step in np.arange(2.5, 2 * 3**0.5 * _CELLS / 2, 0.7):
        places = chosen + step * width * rays
        going = (np.abs(places) < 1).all(1) & (length[:, 0] > step * width)
        if not going.any():
            break
        free[tuple(((places[going] + 1) * (_CELLS / 2)).astype(np.int64).T)] = True
    return free.reshape(-1)
