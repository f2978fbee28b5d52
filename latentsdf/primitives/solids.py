"""Analytic solids as signed distance functions; all 1-Lipschitz, exact unless the docstring says bound.

Every function returns a closure (N, 3) -> (N,) that follows the dtype and device of its points and is twice
differentiable wherever the distance is. Every function raises ValueError for a size that is not positive and finite
and for points, axes or corners of another shape than documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Array, Rows
from ..core.field import SDF

Vector = Sequence[float]


def sphere(radius: float) -> SDF:
    """Ball about the origin, |x| - r. Exact."""
    _require_positive(radius=radius)
    return lambda x: length(x) - radius


def half_space(normal: Vector, offset: float = 0.0) -> SDF:
    """Half-space `n . x <= offset` for the unit vector n of the normal. Exact."""
    direction = np.array(normal, dtype=np.float64)
    if direction.shape != (3,) or not np.linalg.norm(direction) > 0:
        raise ValueError(f"a half-space takes a non-zero normal of three numbers, got {normal}")
    direction /= np.linalg.norm(direction)
    return lambda x: x @ x.new_tensor(direction) - offset


def box(half_extents: Vector, rounding: float = 0.0) -> SDF:
    """Axis-aligned box about the origin, its edges rounded inward. Exact.

    Args:
        half_extents: half the size along x, y and z.
        rounding: radius of the edges, at most the smallest half extent.
    """
    if len(half_extents) != 3:
        raise ValueError(f"a box takes three half extents, got {half_extents}")
    _require_positive(half_extent=min(half_extents))
    if not 0 <= rounding <= min(half_extents):
        raise ValueError(f"rounding must lie in [0, smallest half extent {min(half_extents)}], got {rounding}")
    core = [extent - rounding for extent in half_extents]

    def sdf(x: Tensor) -> Tensor:
        over = x.abs() - x.new_tensor(core)
        return length(over.clamp_min(0)) + over.amax(-1).clamp_max(0) - rounding

    return sdf


def ellipsoid(radii: Vector) -> SDF:
    """Axis-aligned ellipsoid about the origin. A bound: (|x / radii| - 1) * min(radii)."""
    if len(radii) != 3:
        raise ValueError(f"an ellipsoid takes three radii, got {radii}")
    _require_positive(radius=min(radii))
    return lambda x: (length(x / x.new_tensor(list(radii))) - 1) * min(radii)


def cylinder(radius: float, half_height: float) -> SDF:
    """Cylinder about the z axis, centred at the origin. Exact."""
    _require_positive(radius=radius, half_height=half_height)
    return lambda x: _product_distance(length(x[:, :2]) - radius, x[:, 2].abs() - half_height)


def rod(start: Vector, end: Vector, radius: float) -> SDF:
    """Cylinder with flat ends from one point to another. Exact."""
    origin, axis, size = _segment(start, end)
    _require_positive(radius=radius)

    def sdf(x: Tensor) -> Tensor:
        offset = x - x.new_tensor(origin + axis * (size / 2))
        along = offset @ x.new_tensor(axis)
        across = offset - along[:, None] * x.new_tensor(axis)
        return _product_distance(length(across) - radius, along.abs() - size / 2)

    return sdf


def capsule(start: Vector, end: Vector, radius: float) -> SDF:
    """All points within a radius of a segment. Exact."""
    return tube([start, end], radius)


def tube(points: Rows, radius: float) -> SDF:
    """All points within a radius of a polyline. Exact outside; a bound inside where it bends.

    Args:
        points: (K, 3) corners of the polyline, K >= 2.
        radius: of the round cross-section.
    """
    path = np.asarray(points, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2:
        raise ValueError(f"a tube takes (K, 3) points with K >= 2, got shape {path.shape}")
    _require_positive(radius=radius, segment=float(np.linalg.norm(np.diff(path, axis=0), axis=1).min()))

    def sdf(x: Tensor) -> Tensor:
        start, edges = x.new_tensor(path[:-1]), x.new_tensor(np.diff(path, axis=0))
        which = _nearest(x, start, edges)
        return length(_offsets(x, start[which], edges[which])[0]) - radius

    return sdf


def torus(major: float, minor: float) -> SDF:
    """Torus about the z axis: a circle of radius `major` thickened by `minor`. Exact."""
    _require_positive(minor=minor)
    if minor > major:
        raise ValueError(f"a torus needs minor <= major, got minor {minor} and major {major}")
    return lambda x: length(torch.stack([length(x[:, :2]) - major, x[:, 2]], -1)) - minor


def frustum(bottom_radius: float, top_radius: float, half_height: float) -> SDF:
    """Cone about the z axis cut at two heights; one of the radii may be zero. Exact."""
    _require_positive(half_height=half_height, larger_radius=max(bottom_radius, top_radius))
    h = half_height
    corners = [(0, -h), (bottom_radius, -h), (top_radius, h), (0, h)]
    return revolved([corner for index, corner in enumerate(corners) if corner != corners[index - 1]])


def extruded(polygon: Rows, half_height: float) -> SDF:
    """A simple polygon of the xy plane, in either orientation, extruded to |z| <= half_height. Exact.

    Args:
        polygon: (K, 2) corners, closed from the last to the first.
        half_height: half the thickness along z.
    """
    corners = _polygon(polygon)
    _require_positive(half_height=half_height)
    everywhere = np.ones(len(corners), dtype=bool)
    return lambda x: _product_distance(_polygon_distance(x[:, :2], corners, everywhere), x[:, 2].abs() - half_height)


def revolved(profile: Rows) -> SDF:
    """A simple polygon of the (radius, z) half-plane revolved about the z axis. Exact.

    Args:
        profile: (K, 2) corners (radius >= 0, z), closed from the last to the first. Edges on the
            axis are interior.
    """
    corners = _polygon(profile)
    if corners[:, 0].min() < 0:
        raise ValueError(f"a profile of revolution needs radii >= 0, got {corners[:, 0].min():g}")
    surface = (corners[:, 0] > 0) | (np.roll(corners[:, 0], -1) > 0)
    return lambda x: _polygon_distance(torch.stack([length(x[:, :2]), x[:, 2]], -1), corners, surface)


def length(vectors: Tensor) -> Tensor:
    """Euclidean length over the last axis, (..., K) -> (...), with zero (not NaN) derivatives at zero."""
    square = (vectors * vectors).sum(-1)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1).sqrt(), 0)


def _product_distance(across: Tensor, along: Tensor) -> Tensor:
    """Distance (N,) to the product of two sets from the distances (N,) to each: |max(d, 0)| + min(max(d), 0)."""
    outside = length(torch.stack([across, along], -1).clamp_min(0))
    return outside + torch.maximum(across, along).clamp_max(0)


def _offsets(points: Tensor, start: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (..., K) from the nearest point of a segment, and its parameter (...) in [0, 1]."""
    parameter = (((points - start) * edges).sum(-1) / (edges * edges).sum(-1)).clamp(0, 1)
    return points - start - parameter[..., None] * edges, parameter


def _nearest(points: Tensor, start: Tensor, edges: Tensor) -> Tensor:
    """Indices (N,) of the nearest of E segments to points (N, K)."""
    with torch.no_grad():
        return _offsets(points[:, None], start, edges)[0].square().sum(-1).argmin(1)


def _polygon_distance(points: Tensor, corners: NDArray[Any], surface: NDArray[Any]) -> Tensor:
    """Signed distances (N,) of points (N, 2) to a counter-clockwise polygon; only edges in `surface` count."""
    start = points.new_tensor(corners)
    end = start.roll(-1, 0)
    with torch.no_grad():
        u, v = points[:, :1], points[:, 1:]
        spans = (start[:, 1] <= v) != (end[:, 1] <= v)
        rise = (end[:, 1] - start[:, 1]).where(end[:, 1] != start[:, 1], 1)
        crossing = start[:, 0] + (v - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
        inside = (spans & (u < crossing)).sum(1) % 2 == 1
    counted = torch.as_tensor(surface, device=points.device)
    start, edges = start[counted], (end - start)[counted]
    which = _nearest(points, start, edges)
    start, edges = start[which], edges[which]
    offset, parameter = _offsets(points, start, edges)
    to_corner = length(offset)
    # Opposite an edge the signed form is differentiable on the surface itself, where the length is not.
    to_side = ((points - start) * torch.stack([edges[:, 1], -edges[:, 0]], -1)).sum(-1) / length(edges)
    return torch.where((parameter > 0) & (parameter < 1), to_side, torch.where(inside, -to_corner, to_corner))


def _polygon(corners: Rows) -> Array:
    array = np.array(corners, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3 or not np.isfinite(array).all():
        raise ValueError(f"a polygon takes (K, 2) finite corners with K >= 3, got shape {array.shape}")
    if (np.linalg.norm(array - np.roll(array, -1, 0), axis=1) == 0).any():
        raise ValueError("a polygon has two equal corners in a row (the first follows the last); drop one")
    after = np.roll(array, -1, 0)
    area = float((array[:, 0] * after[:, 1] - array[:, 1] * after[:, 0]).sum())
    return array if area > 0 else array[::-1].copy()


def _segment(start: Vector, end: Vector) -> tuple[Array, Array, float]:
    origin = np.array(start, dtype=np.float64)
    axis = np.array(end, dtype=np.float64) - origin
    size = float(np.linalg.norm(axis))
    _require_positive(segment=size)
    return origin, cast(Array, axis / size), size


def _require_positive(**lengths: float) -> None:
    for name, value in lengths.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {value}")
