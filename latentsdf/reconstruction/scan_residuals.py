"""What a scan says about the field of its shape: where it is zero, how large it can be, where it is outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ..inference.residuals import Kind, Residuals
from ..scan.normals import outward_normals
from ..scan.scan import Scan
from ..scan.visibility import in_free_space
from ..scan.winding import CLOSED, openness

_QUERIES = 15_000
_AROUND = 0.1
_BESIDE = 0.02
_RAY = 2.0
_MOST = 20_000
_LEAST = 20


class ScanResiduals:
    """Residuals of a scan, in the frame its points are given in; a draw per stage is taken from each kind.

    The scan's points lie on the surface. Anywhere else the distance to the scan bounds the size of the field from
    above; where the scan is closed it *is* that size (sign-agnostic learning, Atzmon and Lipman 2020), where it is open
    there may be surface that it does not show, so nearer is no fault. Places beside the surface have a sign too, by the
    normals; where there are none they are estimated and turned to the sensor, or outward (`orientation`). With a
    sensor, all the way to it is outside, and unless the scan is cropped so is what it looked past.

    Args:
        scan: cleaned, about as large as the unit sphere.
        shortage: weight of a field nearer to zero than the scan is; None takes a half for a closed scan, nothing for
            an open one.
        seed: of everything random.

    Attributes:
        openness: the share of the full sphere that the points miss of a closed surface (`sides.openness`): near 0 for a
            closed scan, 1/2 for a flat patch. NaN where there are too few points to tell.
    """

    def __init__(self, scan: Scan, shortage: float | None = None, seed: int = 0):
        random = np.random.default_rng(seed)
        scan = _with_normals(scan.subsampled(_MOST, seed), seed)
        points, normals = scan.points, scan.normals
        self.openness = float("nan") if normals is None else openness(points, normals)
        if shortage is None:
            shortage = 0.5 if self.openness < CLOSED else 0.0
        self._random = torch.Generator().manual_seed(seed + 1)
        tree = KDTree(points)
        self._parts: list[tuple[Kind, Tensor, Tensor, float]] = []
        self._add("signed", points, np.zeros(len(points)))
        around = points[random.integers(len(points), size=_QUERIES)] + random.normal(0.0, _AROUND, (_QUERIES, 3))
        free = np.concatenate([random.uniform(-1.0, 1.0, (_QUERIES, 3)), around])
        self._add("size", free, np.asarray(tree.query(free)[0]), shortage)
        if normals is not None:
            self._add("signed", *_beside(points, normals, tree, random))
        if scan.sensor is not None:
            way = _towards(points, scan.sensor, random)
            self._add("outside", way, np.asarray(tree.query(way)[0]))
            if not scan.cropped:
                past = free[in_free_space(points, scan.sensor, free)]
                self._add("outside", past, np.asarray(tree.query(past)[0]))

    def sample(self, count: int) -> list[Residuals]:
        """At most `count` of each kind, in shape (1, N)."""
        groups = []
        for kind, points, targets, shortage in self._parts:
            rows = torch.randint(len(points), (min(count, len(points)),), generator=self._random)
            groups.append(Residuals(points[rows][None], targets[rows][None], kind, shortage))
        return groups

    def _add(self, kind: Kind, points: NDArray, targets: NDArray, shortage: float = 1.0) -> None:
        if len(points):
            self._parts.append((kind, _tensor(points), _tensor(targets), shortage))


def _with_normals(scan: Scan, seed: int) -> Scan:
    """The scan with estimated normals where it has none: facing the sensor, else outward."""
    if scan.normals is not None or len(scan) < _LEAST:
        return scan
    return replace(scan, normals=outward_normals(scan.points, scan.sensor, seed=seed))


def _beside(points: NDArray, normals: NDArray, tree: KDTree, random: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Places a little off the surface on both sides, with signed distances; those nearer to another part are left."""
    rows = random.integers(len(points), size=_QUERIES)
    offsets = random.normal(0.0, _BESIDE, _QUERIES)
    places = points[rows] + offsets[:, None] * normals[rows]
    nearest = np.asarray(tree.query(places)[0])
    own = nearest > 0.7 * np.abs(offsets)
    return places[own], np.sign(offsets[own]) * np.minimum(nearest, np.abs(offsets))[own]


def _towards(points: NDArray, sensor: NDArray, random: np.random.Generator) -> NDArray:
    """Places on the way from points to the sensor, denser near the points, no farther than the cube reaches."""
    rows = random.integers(len(points), size=_QUERIES)
    ways = np.broadcast_to(sensor, points.shape)[rows] - points[rows]
    length = np.linalg.norm(ways, axis=1, keepdims=True)
    along = np.minimum(random.uniform(0.0, 1.0, (_QUERIES, 1)) ** 2 * length, _RAY)
    places = points[rows] + along * ways / np.maximum(length, 1e-12)
    return places[(np.abs(places) < 1.0).all(1)]


def _tensor(array: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
