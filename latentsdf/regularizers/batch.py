"""Batch of a descent step: sets of points, and the measurements at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .disks import Disks

POINT_SETS = ("surface", "near", "space", "rays", "disks")
"""Sets of points at which a term can be evaluated; each is a field of `Batch`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Points and measurements of one step, in one frame, of one dtype, on one device; what is unknown is None.

    Raises:
        ValueError: a shape does not fit, or a measurement without the points that it belongs to.
    """

    surface: Tensor | None = None
    """(M, 3) scan points."""
    normals: Tensor | None = None
    """(M, 3) unit normals at `surface`, outward."""
    reliability: Tensor | None = None
    """(M,) weights of the positions of `surface`; None weighs all equally."""
    near: Tensor | None = None
    """(N, 3) queries near the surface, sampled as in Neural-Pull."""
    nearest: Tensor | None = None
    """(N, 3) scan point nearest to each point of `near`."""
    near_disk: Tensor | None = None
    """(N,) row in `disks` of the disk nearest to each point of `near`."""
    space: Tensor | None = None
    """(N, 3) points uniform in the working cube."""
    disks: Disks | None = None
    """K disks of the surface."""
    rays: Tensor | None = None
    """(R, 3) points between sensor and surface (`ray_points`)."""
    depth: Tensor | None = None
    """(R,) distances of `rays` to the scan points at which their rays end."""
    code: Tensor | None = None
    """(D,) or (S, D) codes of the field, where it is decoded."""

    def __post_init__(self) -> None:
        for name in ("surface", "near", "space", "rays"):
            points = getattr(self, name)
            if points is not None and (points.ndim != 2 or points.shape[1] != 3 or not len(points)):
                raise ValueError(f"{name} must hold points (N, 3) with N >= 1, got shape {tuple(points.shape)}")
        for name, base, tail in _PAIRS:
            values, points = getattr(self, name), getattr(self, base)
            if values is not None and (points is None or values.shape != (len(points), *tail)):
                size = "no points" if points is None else f"{len(points)} points"
                raise ValueError(f"{name} belongs to {base}, which holds {size}; got shape {tuple(values.shape)}")


_PAIRS = (
    ("normals", "surface", (3,)),
    ("reliability", "surface", ()),
    ("nearest", "near", (3,)),
    ("near_disk", "near", ()),
    ("depth", "rays", ()),
)
REMEDIES: Mapping[str, str] = {
    "surface": "there are no surface points",
    "normals": "the scan has no normals; estimate them or leave the term out",
    "reliability": "no reliability of the points is known",
    "near": "there are no queries near the surface",
    "nearest": "the scan points nearest to the queries are not known",
    "near_disk": "the disks nearest to the queries are not known; compute them with Disks.nearest",
    "space": "there are no points in space",
    "disks": "there are no disks; make them with Disks.from_scan or Disks.load",
    "rays": "there are no points on sensor rays; a scan has rays only where the position of its sensor is known",
    "depth": "there are no depths along sensor rays; a scan has rays only where the position of its sensor is known",
    "code": "there is no code; it belongs to a field that a latent space decodes",
}
"""Field of a batch -> the message when a term needs it and it is None."""
