"""Batches of a scan: points of the scan, queries near it and in the cube, with the measurements at them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..regularizers.batch import Batch
from ..regularizers.disks import Disks
from ..regularizers.rays import ray_points
from ..scan.scan import Scan

NEAR_RANK = 50
"""Rank of the neighbour whose distance is the standard deviation of queries around a scan point (Neural-Pull)."""


class BatchSizes(NamedTuple):
    """Numbers of points.

    Attributes:
        surface, near, space, rays: points of each set of a `Batch`.
        pool: queries near the surface that are sampled once, with their nearest scan points.
    """

    surface: int
    near: int
    space: int
    rays: int
    pool: int


class ScanBatches:
    """Batch sampler of a scan; queries near the surface come from a pool whose nearest scan points are known.

    Args:
        scan: in the unit frame, its points distinct.
        needs: fields of `Batch` that will ever be needed.
        sizes: numbers of points.
        generator: of the pool.
    """

    def __init__(self, scan: Scan, needs: frozenset[str], sizes: BatchSizes, generator: torch.Generator):
        self._sizes = sizes
        self._points = torch.from_numpy(scan.points).float()
        self._normals = None if scan.normals is None else torch.from_numpy(scan.normals).float()
        self._sensor = None if scan.sensor is None else torch.from_numpy(scan.sensor).float()
        self._pool = _query_pool(scan, sizes.pool, generator) if needs & {"near", "disks"} else None
        self._disks = self._disk_rows = None
        if "disks" in needs:
            disks = Disks.from_scan(scan)
            self._disk_rows = disks.nearest(torch.from_numpy(scan.points))  # disks are sorted, points need not be
            self._disks = disks.to(torch.float32)

    def pools(self) -> dict[str, Tensor]:
        """The points (P, 3) from which each set is drawn again and again, by the name of the set."""
        pools = {"surface": self._points}
        return pools if self._pool is None else {**pools, "near": self._pool[0]}

    def sample(self, needs: frozenset[str], generator: torch.Generator) -> Batch:
        """A random batch in the unit frame, float32.

        Args:
            needs: fields of `Batch` to fill; those that the scan cannot serve stay None.
            generator: of the sampling.
        """
        sizes, fields = self._sizes, {}
        if needs & {"surface", "normals"}:
            rows = torch.randint(len(self._points), (sizes.surface,), generator=generator)
            fields["surface"] = self._points[rows]
            if "normals" in needs and self._normals is not None:
                fields["normals"] = self._normals[rows]
        if self._pool is not None and needs & {"near", "disks"}:
            fields |= self._near_queries(needs, generator)
        if "space" in needs:
            fields["space"] = torch.rand(sizes.space, 3, generator=generator) * 2 - 1
        if "rays" in needs and self._sensor is not None:
            rays = ray_points(self._points, self._sensor, count=sizes.rays, generator=generator)
            fields |= {"rays": rays.points, "depth": rays.depth}
        return Batch(**fields)

    def _near_queries(self, needs: frozenset[str], generator: torch.Generator) -> dict[str, Any]:
        assert self._pool is not None
        rows = torch.randint(len(self._pool[0]), (self._sizes.near,), generator=generator)
        queries, nearest = (part[rows] for part in self._pool)
        fields = {"near": queries, "nearest": self._points[nearest]}
        if self._disks is None or self._disk_rows is None or "disks" not in needs:
            return fields
        # The disks of the queries alone: all disks would dominate the cost of a step.
        return {**fields, "disks": self._disks[self._disk_rows[nearest]], "near_disk": torch.arange(len(rows))}


def _query_pool(scan: Scan, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Queries (P, 3), and the row (P,) of the scan point nearest to each.

    A query is p + d z around a scan point p, z standard normal, d the distance to its neighbour of rank `NEAR_RANK`.
    """
    count = len(scan)
    deviation = np.asarray(scan.tree.query(scan.points, min(NEAR_RANK, count - 1) + 1)[0])[:, -1]
    rounds = -(-size // count)
    rows = torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])[:size].numpy()
    offsets = torch.randn(len(rows), 3, generator=generator, dtype=torch.float64).numpy()
    points = scan.points[rows] + deviation[rows, None] * offsets
    nearest = np.asarray(scan.tree.query(points)[1], dtype=np.int64)
    return torch.from_numpy(points).float(), torch.from_numpy(nearest)
