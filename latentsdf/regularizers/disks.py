"""Disks: flat Gaussians along a surface, from a scan or from a splat file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from ..core.frame import Frame
from ..core.interrupt import delay_interrupt
from ..scan.neighbourhoods import local_pca
from ..scan.scan import Scan

SPLAT_PROPERTIES = ("x", "y", "z", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)), "opacity")
"""Vertex properties of a 3-D Gaussian splatting PLY that are read; others are ignored."""


@dataclass(frozen=True, eq=False)
class Disks:
    """K Gaussians with covariance rotation @ diag(scales)^2 @ rotation^T; tensors of one dtype, on one device.

    Attributes:
        centers: (K, 3) in some frame.
        rotations: (K, 3, 3) orthonormal axes, as columns.
        scales: (K, 3) radii (standard deviations) along these axes, in the frame's unit of length; positive.
        opacities: (K,) in [0, 1]; 1 for disks of a scan.

    Raises:
        ValueError: shapes do not fit.
    """

    centers: Tensor
    rotations: Tensor
    scales: Tensor
    opacities: Tensor

    def __post_init__(self) -> None:
        count = len(self.centers)
        given = tuple(tuple(part.shape) for part in (self.centers, self.rotations, self.scales, self.opacities))
        if given != ((count, 3), (count, 3, 3), (count, 3), (count,)):
            raise ValueError(f"disks need shapes (K, 3), (K, 3, 3), (K, 3) and (K,), got {', '.join(map(str, given))}")

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def normals(self) -> Tensor:
        """Unit axes of smallest radius, (K, 3); their signs are arbitrary."""
        column = self.scales.argmin(-1)[:, None, None].expand(-1, 3, 1)
        return self.rotations.gather(2, column)[..., 0]

    @staticmethod
    def from_scan(scan: Scan, *, neighbors: int = 10, flatness: float = 0.1, noise: float = 0.0) -> Disks:
        """One disk for each point, along the scan's normals or else along local principal components.

        Args:
            scan: at least `neighbors` + 1 distinct points; repeated points make one disk.
            neighbors: the distance to the neighbour of this rank is the radius in the plane; larger closes gaps and
                smooths detail. The neighbours also determine the plane.
            flatness: thickness over that radius.
            noise: lower bound of the thickness, in the scan's units; about the noise of its points.

        Returns:
            Disks in the scan's units, float64, opacities 1, in the order of their sorted points.

        Raises:
            ValueError: too few distinct points, or a number out of its range.
        """
        if neighbors < 3 or not 0 < flatness <= 1 or not noise >= 0:
            raise ValueError(
                f"disks need neighbors >= 3, 0 < flatness <= 1 and noise >= 0, got {neighbors}, {flatness} and {noise}"
            )
        points, first = np.unique(scan.points, axis=0, return_index=True)
        if len(points) <= neighbors:
            raise ValueError(
                f"{scan.name or 'scan'}: {len(points)} distinct points are too few for disks of {neighbors} "
                "neighbours; give a denser scan or fewer neighbours"
            )
        distances, index = KDTree(points).query(points, neighbors + 1)
        axes = local_pca(points, np.asarray(index))[:, :, ::-1].copy()
        if scan.normals is not None:
            axes = _axes_with_normal(scan.normals[first], axes)
        axes[:, :, 1] *= np.linalg.det(axes)[:, None]
        radius = np.asarray(distances)[:, -1]
        scales = np.stack([radius, radius, np.maximum(flatness * radius, noise)], 1)
        return _from_arrays(points, axes, scales, np.ones(len(points)))

    @staticmethod
    def load(path: str | PathLike[str], *, min_opacity: float = 0.0) -> Disks:
        """Read a 3-D Gaussian splatting PLY: positions, log scales, quaternions (w first), logit opacities.

        Source: the layout of Kerbl et al. 2023; properties x y z, scale_0..2, rot_0..3, opacity.

        Args:
            path: the file, binary or text.
            min_opacity: splats below it are dropped; GS-Pull's release prunes at 0.5.

        Returns:
            Disks in the file's units, float64, without splats that hold a number that is not finite, a scale of zero
            or a zero quaternion.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a PLY, a property is missing, or no splat is left.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no splat file {path}; give a PLY of 3-D Gaussians")
        if path.suffix.lower() != ".ply":
            raise ValueError(f"{path.name}: {path.suffix or 'no ending'!r} is no splat ending, as .ply is")
        table = _read_splats(path)
        with np.errstate(over="ignore", invalid="ignore"):
            scales = np.exp(table[:, 3:6])
            opacities = 1 / (1 + np.exp(-table[:, 10]))
            lengths = np.linalg.norm(table[:, 6:10], axis=1)
            good = np.isfinite(table).all(1) & np.isfinite(scales).all(1) & (scales > 0).all(1) & (lengths > 0)
        rows = good & (opacities >= min_opacity)
        if not rows.any():
            raise ValueError(
                f"{path.name}: none of its {len(table)} splats is usable ({int(good.sum())} are finite, 0 of them have "
                f"an opacity of at least {min_opacity:g}); lower min_opacity or export the file again"
            )
        rotations = Rotation.from_quat(table[rows][:, [7, 8, 9, 6]]).as_matrix()  # scipy: w last
        return _from_arrays(table[rows, :3], rotations, scales[rows], opacities[rows])

    def nearest(self, points: Tensor) -> Tensor:
        """Row (N,) of the disk whose center is nearest to each of the points (N, 3); not differentiable."""
        index = np.asarray(self._tree.query(points.detach().cpu().numpy())[1], dtype=np.int64)
        return torch.from_numpy(index).to(points.device)

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.centers.detach().cpu().numpy())

    def __getitem__(self, rows: Tensor) -> Disks:
        """Some of the disks, by index (L,) or mask (K,)."""
        return Disks(self.centers[rows], self.rotations[rows], self.scales[rows], self.opacities[rows])

    def to(self, *target: torch.dtype | torch.device | str) -> Disks:
        """These disks with another dtype or on another device, as in `Tensor.to`."""
        parts = (self.centers, self.rotations, self.scales, self.opacities)
        for dtype_or_device in target:
            parts = tuple(part.to(dtype_or_device) for part in parts)
        return Disks(*parts)

    def transformed(self, frame: Frame) -> Disks:
        """These disks in the unit coordinates of a frame that is given in their units."""
        rotation = self.centers.new_tensor(frame.rotation)
        centers = (self.centers - self.centers.new_tensor(frame.center)) @ rotation.T / frame.scale
        return replace(self, centers=centers, rotations=rotation @ self.rotations, scales=self.scales / frame.scale)

    def to_scan(self, name: str = "") -> Scan:
        """The centers as a scan without normals, because the sign of a disk's axis is arbitrary."""
        return Scan(self.centers.detach().cpu().numpy(), name=name)


def _from_arrays(*parts: NDArray[Any]) -> Disks:
    return Disks(*(torch.from_numpy(np.ascontiguousarray(part, dtype=np.float64)) for part in parts))


def _axes_with_normal(normals: NDArray[Any], axes: NDArray[Any]) -> NDArray[Any]:
    """Axes (K, 3, 3): last the normal, first the given first axis projected on the plane of the disk."""
    given = axes[:, :, 0]
    first = given - (given * normals).sum(1, keepdims=True) * normals
    # Where the given axis is nearly the normal, the coordinate axis least along the normal is projected instead.
    other = np.eye(3)[np.abs(normals).argmin(1)]
    other = other - (other * normals).sum(1, keepdims=True) * normals
    first = np.where((np.linalg.norm(first, axis=1) > 1e-3)[:, None], first, other)
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(normals, first), normals], 2)


def _read_splats(path: Path) -> NDArray[np.float64]:
    """The splat properties of every vertex, (K, 11)."""
    try:
        with delay_interrupt():
            loaded = trimesh.load(path, process=False)
        raw = getattr(loaded, "metadata", {}).get("_ply_raw", {}).get("vertex", {}).get("data")
        if raw is None:
            raise ValueError("it holds no vertices")
        names = getattr(getattr(raw, "dtype", None), "names", None) or tuple(raw)
        missing = [name for name in SPLAT_PROPERTIES if name not in names]
        if not missing:
            columns = [np.asarray(raw[name], dtype=np.float64).reshape(-1) for name in SPLAT_PROPERTIES]
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path.name}: not a readable splat PLY ({reason}); export it again") from error
    if missing:
        raise ValueError(
            f"{path.name}: its vertices have no {', '.join(missing)}, so it is no 3-D Gaussian splatting file; "
            "read a plain point cloud with Scan.load"
        )
    return np.stack(columns, 1)
