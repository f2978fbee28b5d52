"""Point clouds of a surface: loading, validation, and cached estimates of their geometry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.arrays import Array
from ..core.frame import Frame
from ..mesh.endings import MESH_ENDINGS, SCAN_ENDINGS, check_scan_file
from ..mesh.load import load_mesh
from ..mesh.surface_sampling import surface_samples
from .neighbourhoods import neighbour_distances, noise_level
from .point_file import read_points
from .winding import openness

MESH_POINTS = 50_000
"""Surface samples of a mesh that is loaded as a scan."""
_NEIGHBOURS = 6
"""Openness needs more points than this."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Points measured on a surface: every number is finite, every normal has length one; rows that fail are dropped.

    Attributes:
        points: (M, 3) in the scan's own units.
        normals: (M, 3) unit normals, outward, or None.
        sensor: position (3,) that the points were seen from, or (M, 3) of each one; None when unknown.
        name: for messages.
        notes: changes made to the points, one line each.
        cropped: whether the sensor may have missed parts of the shape that it faced (cut away, occluded by other
            objects, too dark). If not, rays that met no point are taken for free space.
        colors: (M, 3) sRGB of the points, or None.

    Raises:
        ValueError: shapes do not fit, or no finite point is left.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64] | None = None
    sensor: NDArray[np.float64] | None = None
    name: str = ""
    notes: tuple[str, ...] = field(default=())
    cropped: bool = False
    colors: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        label = self.name or "scan"
        points = np.array(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"{label}: points must have shape (M, 3), got {points.shape}")
        valid = np.isfinite(points).all(1)
        normals, notes = None, tuple(self.notes)
        if self.normals is not None:
            normals = np.array(self.normals, dtype=np.float64)
            if normals.shape != points.shape:
                raise ValueError(f"{label}: {len(points)} points need as many normals, got shape {normals.shape}")
            with np.errstate(invalid="ignore"):
                lengths = np.linalg.norm(normals, axis=1)
            usable = np.isfinite(lengths) & (lengths > 0)
            if not usable[valid].any():
                normals, notes = None, (*notes, "all normals are zero or not finite; the scan has none")
            else:
                valid &= usable
                normals = normals[valid] / lengths[valid, None]
        dropped = int((~valid).sum())
        if not valid.any():
            raise ValueError(f"{label}: none of its {len(points)} points is finite; export the scan again")
        if dropped:
            notes = (*notes, f"{dropped} of {len(points)} points dropped: not finite or without a normal")
        sensor = None if self.sensor is None else np.array(self.sensor, dtype=np.float64)
        if sensor is not None:
            if sensor.shape not in ((3,), points.shape) or not np.isfinite(sensor).all():
                raise ValueError(
                    f"{label}: the sensor must be 3 finite numbers, or as many for each of {len(points)} points, "
                    f"got {self.sensor}"
                )
            sensor = sensor if sensor.ndim == 1 else sensor[valid]
        if self.colors is not None:
            colors = np.array(self.colors, dtype=np.uint8)
            if colors.shape != points.shape:
                raise ValueError(f"{label}: {len(points)} points need as many colors, got shape {colors.shape}")
            object.__setattr__(self, "colors", colors[valid])
        object.__setattr__(self, "points", points[valid])
        object.__setattr__(self, "normals", normals)
        object.__setattr__(self, "sensor", sensor)
        object.__setattr__(self, "notes", notes)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def tree(self) -> KDTree:
        """Nearest-neighbour tree of the points."""
        return KDTree(self.points)

    @cached_property
    def neighbour_distances(self) -> Array:
        """Distance (M,) from each point to its sixth neighbour, in the scan's units."""
        return neighbour_distances(self.points, self.tree)

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the noise across the surface, in the scan's units (`noise_level`)."""
        return noise_level(self.points, tree=self.tree)

    @cached_property
    def openness(self) -> float:
        """Solid angle missing of a closed surface, over 4 pi; NaN without normals or with fewer than 7 points."""
        if self.normals is None or len(self) <= _NEIGHBOURS:
            return float("nan")
        return openness(self.points, self.normals, self.neighbour_distances, self.noise)

    def with_normals(self, seed: int = 0) -> Scan:
        """Estimate and orient normals where the scan has none: towards its sensor, or outward (`outward_normals`).

        Args:
            seed: of the orientation.

        Raises:
            ValueError: fewer than three points.
        """
        if self.normals is not None:
            return self
        from .normals import outward_normals  # imports torch, which reading a scan does not need

        normals = outward_normals(
            self.points, self.sensor, seed=seed, tree=self.tree, distances=self.neighbour_distances, noise=self.noise
        )
        scan = replace(self, normals=normals)
        if len(scan) == len(self):
            vars(scan).update(tree=self.tree, neighbour_distances=self.neighbour_distances, noise=self.noise)
        return scan

    @staticmethod
    def load(path: str | PathLike[str], *, seed: int = 0) -> Scan:
        """Read a point cloud, with normals, colours and sensors where the file has them.

        A file with faces is a mesh: points are sampled on its surface, and a note says so.

        Args:
            path: PLY, OBJ, PCD, text (XYZ, TXT, ASC, PTS, CSV), NPY, NPZ, LAS, LAZ or E57. Text and NPY have three
                columns, or normals or colours behind them; the readers are in `scan.point_file`.
            seed: of the sampling of a mesh.

        Raises:
            FileNotFoundError: no such file.
            ImportError: a package that reads LAS, LAZ or E57 is not installed.
            ValueError: the ending is unknown, the file cannot be read, or it holds no point.
        """
        path = Path(path)
        check_scan_file(path)
        ending = path.suffix.lower()
        if ending not in SCAN_ENDINGS + MESH_ENDINGS:
            raise ValueError(
                f"{path.name}: {ending or 'no ending'!r} is no scan ending, as {', '.join(SCAN_ENDINGS)} are"
            )
        table = read_points(path)
        if table is None:
            points, normals = surface_samples(load_mesh(path), MESH_POINTS, seed)
            return Scan(
                points, normals, name=path.stem, notes=(f"{path.name} is a mesh: {MESH_POINTS} points sampled",)
            )
        if len(table.points) == 0:
            raise ValueError(f"{path.name}: the scan is empty (no points)")
        return Scan(
            table.points, table.normals, table.sensor, path.stem, table.notes, table.cropped, colors=table.colors
        )

    def frame(self) -> Frame:
        """Frame in which the points fill the unit bounding sphere."""
        return Frame.around(self.points)

    def transformed(self, frame: Frame) -> Scan:
        """This scan in the unit coordinates of a frame given in the scan's units, with all estimates made so far."""
        normals = None if self.normals is None else self.normals @ frame.rotation.T
        sensor = None if self.sensor is None else frame.to_unit(self.sensor)
        scan = replace(self, points=frame.to_unit(self.points), normals=normals, sensor=sensor)
        if len(scan) == len(self):
            scales = {"neighbour_distances": frame.scale, "noise": frame.scale, "openness": 1.0}
            vars(scan).update({name: vars(self)[name] / scales[name] for name in scales if name in vars(self)})
        return scan

    def subsampled(self, count: int, seed: int = 0) -> Scan:
        """At most `count` of the points, at random without repetition.

        Raises:
            ValueError: a count below 1.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        if count >= len(self):
            return self
        return self.select(np.random.default_rng(seed).choice(len(self), count, replace=False))

    def select(self, rows: NDArray[Any]) -> Scan:
        """The points of some rows: indices (R,) in any order, or a mask (M,)."""
        normals = None if self.normals is None else self.normals[rows]
        sensor = self.sensor if self.sensor is None or self.sensor.ndim == 1 else self.sensor[rows]
        colors = None if self.colors is None else self.colors[rows]
        return replace(self, points=self.points[rows], normals=normals, sensor=sensor, colors=colors)
