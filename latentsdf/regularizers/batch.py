"""What a step knows: points of several kinds, and what the data say there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .disks import Disks

SETS = ("surface", "near", "space", "rays", "disks")
"""Sets of points at which a term can be taken; each is a field of `Batch`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one step knows, all in one frame, of one dtype, on one device; what is not known is None."""

    surface: Tensor | None = None
    """(M, 3) scan points."""
    normals: Tensor | None = None
    """(M, 3) unit normals at `surface`, outward."""
    reliability: Tensor | None = None
    """(M,) weights of the positions of `surface`; None weighs all alike."""
    near: Tensor | None = None
    """(N, 3) queries about the surface, as Neural-Pull draws them."""
    nearest: Tensor | None = None
    """(N, 3) the scan point nearest to each point of `near`."""
    near_disk: Tensor | None = None
    """(N,) the row in `disks` of the disk nearest to each point of `near`."""
    space: Tensor | None = None
    """(N, 3) points uniform in the working box."""
    disks: Disks | None = None
    """K disks."""
    rays: Tensor | None = None
    """(R, 3) points between sensor and surface (`ray_points`)."""
    depth: Tensor | None = None
    """(R,) distances of `rays` to the scan points that end them."""
    code: Tensor | None = None
    """(D,) or (S, D) what is being inferred."""

    def __post_init__(self):
        for name in ("surface", "near", "space", "rays"):
            points = getattr(self, name)
            if points is not None and (points.ndim != 2 or points.shape[1] != 3 or not len(points)):
                raise ValueError(f"{name} must hold points (N, 3) with N >= 1, got shape {tuple(points.shape)}")
        for name, base, tail in _PAIRS:
            values, points = getattr(self, name), getattr(self, base)
            if values is not None and (points is None or values.shape != (len(points), *tail)):
                held = "no points" if points is None else f"{len(points)} points"
                raise ValueError(f"{name} belongs to {base}, which holds {held}; got shape {tuple(values.shape)}")


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
    "near_disk": "the disks nearest to the queries are not known; take them from Disks.nearest",
    "space": "there are no points in space",
    "disks": "there are no disks; make them with Disks.of_scan or Disks.load",
    "rays": "there are no points on sensor rays; a scan has rays only where its sensor's place is known",
    "depth": "there are no depths along sensor rays; a scan has rays only where its sensor's place is known",
    "code": "there is no code; it belongs to a field that a latent space decodes",
}
"""Field of a batch -> what to say when a term needs it and it is None."""
