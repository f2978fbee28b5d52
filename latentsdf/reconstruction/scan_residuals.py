"""Residuals of a scan: zero at its points, bounds of the distance elsewhere, signs from normals and sensor rays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..core.arrays import Array
from ..inference.residuals import Kind, Residuals
from ..scan.scan import Scan
from ..scan.visibility import in_free_space
from ..scan.winding import CLOSED

UNDER_WEIGHT = 0.5
"""Weight of a field nearer to zero than a closed scan is; on an open scan, which may miss that surface, it is 0."""
LEAST_FOR_NORMALS = 20
"""Fewer points than this have no neighbourhoods for normals."""
_POINTS = 20_000
_QUERIES = 15_000
"""Scan points used, and queries of each kind; far more than a fit draws."""
_SPREAD = 0.1
"""Standard deviation of the unsigned queries around the points; as many are uniform in the cube."""
_OFFSET = 0.02
"""Standard deviation of the signed queries along the normals."""
_RAY_LENGTH = 2.0
"""Longest part of a sensor ray that queries are drawn on, the width of the cube."""


def with_normals(scan: Scan, seed: int = 0) -> Scan:
    """The scan with normals, estimated if it has none and enough points for them (`LEAST_FOR_NORMALS`).

    Args:
        scan: distinct points in any frame.
        seed: of the orientation.
    """
    return scan.with_normals(seed) if len(scan) >= LEAST_FOR_NORMALS else scan


class ScanResiduals:
    """Residuals of a scan, in the frame of its points.

    - At the points the field is zero.
    - Elsewhere the distance d to the nearest point bounds it, |f| <= d; on a closed scan |f| = d (sign-agnostic
      learning, Atzmon and Lipman 2020).
    - Beside the points the sign is that of the side of the normal, estimated where there are none.
    - With a sensor the rays to the points are outside, and so is the free space beside them unless the scan is cropped.

    Args:
        scan: cleaned, about as large as the unit sphere.
        seed: of the queries.
        openness: of the scan, where known.

    Attributes:
        openness: of the scan (`Scan.openness`); NaN where it has too few points for normals.
    """

    def __init__(self, scan: Scan, seed: int = 0, openness: float | None = None):
        generator = np.random.default_rng(seed)
        scan = with_normals(scan, seed)
        self.openness: float = scan.openness if openness is None else openness
        scan = scan.subsampled(_POINTS, seed)
        points = scan.points
        self._groups: list[Residuals] = []
        self._add("signed", points, np.zeros(len(points)))
        near = points[generator.integers(len(points), size=_QUERIES)] + generator.normal(0.0, _SPREAD, (_QUERIES, 3))
        queries = np.concatenate([generator.uniform(-1.0, 1.0, (_QUERIES, 3)), near])
        self._add("unsigned", queries, _distances(scan, queries), UNDER_WEIGHT if self.openness < CLOSED else 0.0)
        if scan.normals is not None:
            self._add("signed", *_signed_queries(scan, scan.normals, generator))
        if scan.sensor is not None:
            on_rays = _ray_queries(points, scan.sensor, generator)
            self._add("outside", on_rays, _distances(scan, on_rays))
            if not scan.cropped:
                free = queries[in_free_space(points, scan.sensor, queries)]
                self._add("outside", free, _distances(scan, free))

    def to(self, device: torch.device) -> ScanResiduals:
        """These residuals, moved to a device."""
        self._groups = [group.to(device) for group in self._groups]
        return self

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of the groups, in their order."""
        return tuple(group.kind for group in self._groups)

    def sample(self, count: int, generator: torch.Generator) -> list[Residuals]:
        """One group of at most `count` residuals (1, N) of each kind.

        Args:
            count: N, at least 1.
            generator: of the choice.
        """
        drawn = []
        for group in self._groups:
            total = group.points.shape[1]
            rows = torch.randint(total, (min(count, total),), generator=generator).to(group.points.device)
            drawn.append(group._replace(points=group.points[:, rows], targets=group.targets[:, rows]))
        return drawn

    def _add(self, kind: Kind, points: Array, targets: Array, under_weight: float = 1.0) -> None:
        if len(points):
            self._groups.append(Residuals(_tensor(points)[None], _tensor(targets)[None], kind, under_weight))


def _distances(scan: Scan, queries: Array) -> Array:
    """Distances (N,) of queries (N, 3) to the nearest point."""
    return np.asarray(scan.tree.query(queries)[0])


def _signed_queries(scan: Scan, normals: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Queries on both sides of the surface with signed distances, without those nearer to another part of it."""
    rows = generator.integers(len(scan), size=_QUERIES)
    offsets = generator.normal(0.0, _OFFSET, _QUERIES)
    queries = scan.points[rows] + offsets[:, None] * normals[rows]
    nearest = _distances(scan, queries)
    own = nearest > 0.7 * np.abs(offsets)
    return queries[own], np.sign(offsets[own]) * np.minimum(nearest, np.abs(offsets))[own]


def _ray_queries(points: Array, sensor: Array, generator: np.random.Generator) -> Array:
    """Queries (N, 3) of the cube on the rays from points to the sensor, denser near the points."""
    rows = generator.integers(len(points), size=_QUERIES)
    rays = np.broadcast_to(sensor, points.shape)[rows] - points[rows]
    length = np.linalg.norm(rays, axis=1, keepdims=True)
    along = np.minimum(generator.uniform(0.0, 1.0, (_QUERIES, 1)) ** 2 * length, _RAY_LENGTH)
    queries = points[rows] + along * rays / np.maximum(length, 1e-12)
    return queries[(np.abs(queries) < 1.0).all(1)]


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
