"""What a step of a fit is given: points of the scan, about it and in the cube, with what the scan says there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from ..regularizers.batch import Batch
from ..regularizers.disks import Disks
from ..regularizers.rays import ray_points
from ..scan.scan import Scan


class BatchSizes(NamedTuple):
    """How many points a step takes of each kind, and how queries near the surface are drawn.

    Attributes:
        surface, near, space, rays: points of each set of `Batch`.
        spread: queries lie about the scan's points within the distance to the neighbour of this rank.
        pool: queries drawn in all.
    """

    surface: int
    near: int
    space: int
    rays: int
    spread: int
    pool: int


class ScanBatches:
    """Draws batches; what is drawn near the surface comes from a pool whose nearest scan points are known.

    Args:
        scan: in the unit frame, its points distinct.
        needs: fields of `Batch` that will ever be asked for.
        amounts: how many.
        random: the generator of all draws.
    """

    def __init__(self, scan: Scan, needs: frozenset[str], amounts: BatchSizes, random: torch.Generator):
        self._amounts, self._random = amounts, random
        self._points = torch.from_numpy(scan.points).float()
        self._normals = None if scan.normals is None else torch.from_numpy(scan.normals).float()
        self._sensor = None if scan.sensor is None else torch.from_numpy(scan.sensor).float()
        self._near = _pool(scan, amounts, random) if needs & {"near", "disks"} else None
        self._disks = self._disk_of = None
        if "disks" in needs:
            disks = Disks.of_scan(scan)
            self._disk_of = disks.nearest(torch.from_numpy(scan.points))  # they are in an order of their own
            self._disks = disks.to(torch.float32)

    def batch(self, needs: frozenset[str]) -> Batch:
        """Fresh points of the kinds that are needed."""
        amounts, found = self._amounts, {}
        if needs & {"surface", "normals"}:
            rows = self._rows(len(self._points), amounts.surface)
            found["surface"] = self._points[rows]
            if "normals" in needs and self._normals is not None:
                found["normals"] = self._normals[rows]
        if self._near is not None and needs & {"near", "disks"}:
            found |= self._about(self._near, needs)
        if "space" in needs:
            found["space"] = torch.rand(amounts.space, 3, generator=self._random) * 2 - 1
        if "rays" in needs and self._sensor is not None:
            rays = ray_points(self._points, self._sensor, count=amounts.rays, random=self._random)
            found |= {"rays": rays.points, "depth": rays.depth}
        return Batch(**found)

    def _about(self, pool: _Pool, needs: frozenset[str]) -> dict[str, Any]:
        rows = self._rows(len(pool.points), self._amounts.near)
        nearest = pool.nearest[rows]
        found = {"near": pool.points[rows], "nearest": self._points[nearest]}
        if self._disks is None or self._disk_of is None or "disks" not in needs:
            return found
        # The disks of the queries alone: all of them would cost more than all else of a step.
        return {**found, "disks": self._disks[self._disk_of[nearest]], "near_disk": torch.arange(len(rows))}

    def _rows(self, total: int, count: int) -> Tensor:
        return torch.randint(total, (count,), generator=self._random)


class _Pool(NamedTuple):
    """Queries (P, 3), and the row (P,) of the scan point nearest to each."""

    points: Tensor
    nearest: Tensor


def _pool(scan: Scan, amounts: BatchSizes, random: torch.Generator) -> _Pool:
    """Queries normal about the scan's points, each as wide as the points are sparse there (Neural-Pull)."""
    tree, count = KDTree(scan.points), len(scan)
    rank = min(amounts.spread, count - 1)
    spread = np.asarray(tree.query(scan.points, rank + 1)[0])[:, -1]
    rounds = -(-amounts.pool // count)
    about = torch.cat([torch.randperm(count, generator=random) for _ in range(rounds)])[: amounts.pool].numpy()
    step = torch.randn(len(about), 3, generator=random, dtype=torch.float64).numpy()
    points = scan.points[about] + spread[about, None] * step
    nearest = np.asarray(tree.query(points)[1], dtype=np.int64)
    return _Pool(torch.from_numpy(points).float(), torch.from_numpy(nearest))
