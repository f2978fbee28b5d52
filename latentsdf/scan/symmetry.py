"""Planes of reflective symmetry of a partly scanned shape, and mirror images of the scan in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices, Mask
from .neighbourhoods import neighbour_distances
from .visibility import refuted_by_sensor

_AXES = np.array(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)], float
)
_ITERATIONS = 20
"""Of iterated closest points, in each of the two stages."""
_DAMPING = 1e-3
"""Mean squared slope added to the normal equations, where the surface leaves a plane free (solids of revolution)."""
_SAMPLE = 1500
"""Points of the surface and of the scan that planes are fitted to."""
_TRIMMED = 0.8
"""Share of the pairs that a step uses, the nearest ones."""
_UNPAIRED, _ASYMMETRIC = 0.05, 0.3
"""A reflected point farther than this from the surface (unit frame) has no partner; a surface of which a larger share
has none is not symmetric."""
_NEAR, _OVERLAP, _FACING = 0.04, 0.15, 0.7
"""Mirrored points this near to scanned ones, with at least this cosine between normals, are the same surface; by such a
share of them a plane is refined."""
_REFUTED, _SLACK = 0.05, 0.02
"""A plane that puts a larger share of the points into free space is wrong; how far in front of a point that begins."""
_SAME, _PERPENDICULAR = 0.98, 0.3
"""Cosines of normals above which planes are the same, and below which they count as perpendicular."""
_LEAST_DISTANCE = 0.02
"""Mirrored points nearer than this to scanned ones add no information."""


class MirrorPlane(NamedTuple):
    """The plane normal . x = offset, with a normal (3,) of length one."""

    normal: Array
    offset: float

    def reflect_points(self, points: Array) -> Array:
        """Mirror images (N, 3) of points (N, 3): x - 2 (normal . x - offset) normal."""
        return points - 2.0 * (points @ self.normal - self.offset)[:, None] * self.normal

    def reflect_directions(self, directions: Array) -> Array:
        """Mirror images (N, 3) of directions (N, 3): d - 2 (normal . d) normal."""
        return directions - 2.0 * (directions @ self.normal)[:, None] * self.normal


class OrientedPoints(NamedTuple):
    """Points (N, 3) of a surface and their outward unit normals (N, 3)."""

    points: Array
    normals: Array

    def subsample(self) -> OrientedPoints:
        """At most as many of them as planes are fitted to, at random."""
        return self.select(np.random.default_rng(0).permutation(len(self.points))[:_SAMPLE])

    def select(self, rows: Indices) -> OrientedPoints:
        """The points of some rows, indices (R,) or a mask (N,)."""
        return OrientedPoints(self.points[rows], self.normals[rows])


def symmetry_planes(surface: OrientedPoints, scan: OrientedPoints, sensor: Array) -> list[MirrorPlane]:
    """Find planes in which a guessed surface is symmetric and that no sensor ray refutes, best first.

    From nine planes along and between the axes, iterated closest points (point to plane: Chen and Medioni 1991) align
    each so that it reflects the surface on to itself, and then the scan on to itself where the two overlap. (Completion
    by symmetry: Thrun and Wegbreit, ICCV 2005; here the symmetry is that of the guess.)

    Args:
        surface: the guess, in the unit frame, aligned with the axes.
        scan: measured points, same frame.
        sensor: (3,) where they were seen from, or (M, 3) for each point.
    """
    surface_tree, scan_tree = KDTree(surface.points), KDTree(scan.points)
    middle = (surface.points.max(0) + surface.points.min(0)) / 2
    sample, scan_sample = surface.subsample(), scan.subsample()
    scored: list[tuple[float, MirrorPlane]] = []
    for axis in _AXES / np.linalg.norm(_AXES, axis=1, keepdims=True):
        plane = MirrorPlane(axis, float(axis @ middle))
        for _ in range(_ITERATIONS):
            distance, partner = (np.asarray(part) for part in surface_tree.query(plane.reflect_points(sample.points)))
            pairs = np.flatnonzero(distance <= np.quantile(distance, _TRIMMED))
            plane = _icp_step(plane, sample.points[pairs], surface.select(partner[pairs]))
        distance = np.asarray(surface_tree.query(plane.reflect_points(sample.points))[0])
        unpaired = float((distance > _UNPAIRED).mean())
        if unpaired > _ASYMMETRIC:
            continue
        plane = _refine_by_overlap(plane, scan_sample, scan, scan_tree)
        images = plane.reflect_points(scan_sample.points)
        refuted = float(refuted_by_sensor(scan.points, sensor, images, 1.5 * _SLACK).mean())
        if refuted <= _REFUTED:
            scored.append((refuted + 0.3 * unpaired, plane))
    best: list[MirrorPlane] = []
    for _, plane in sorted(scored, key=lambda item: item[0]):
        if all(abs(plane.normal @ other.normal) < _SAME for other in best):
            best.append(plane)
    return best


def mirror_images(scan: OrientedPoints, chosen: Mask, sensor: Array, mirrors: list[MirrorPlane]) -> OrientedPoints:
    """Mirror images of points in regions without scanned points that the sensor could not see.

    Of several planes the first is used, a second one perpendicular to it, and both after each other.

    Args:
        scan: M measured points, in the unit frame.
        chosen: (M,) which of them are mirrored.
        sensor: (3,) where they were seen from, or (M, 3) for each point, same frame.
        mirrors: as `symmetry_planes` returns them.
    """
    rows = np.flatnonzero(chosen)
    sets = [scan.select(rows)]
    if not mirrors or not len(rows):
        return scan.select(rows[:0])
    second = [plane for plane in mirrors[1:] if abs(plane.normal @ mirrors[0].normal) < _PERPENDICULAR][:1]
    for plane in (mirrors[0], *second):
        sets += [OrientedPoints(plane.reflect_points(p), plane.reflect_directions(n)) for p, n in sets]
    images = OrientedPoints(*(np.concatenate(parts) for parts in zip(*sets[1:], strict=True)))
    least = max(_LEAST_DISTANCE, float(np.median(neighbour_distances(scan.points))))
    hidden = np.asarray(KDTree(scan.points).query(images.points)[0]) > least
    hidden &= (np.abs(images.points) < 1).all(1) & ~refuted_by_sensor(scan.points, sensor, images.points, _SLACK)
    return images.select(np.flatnonzero(hidden))


def _icp_step(plane: MirrorPlane, points: Array, partners: OrientedPoints) -> MirrorPlane:
    """One Gauss-Newton step of the distances of reflected points (N, 3) to the tangent planes of their partners."""
    normal, offset = plane
    tangents = np.linalg.svd(normal[None])[2][1:]
    facing, height = partners.normals @ normal, points @ normal - offset
    slopes = [-2.0 * ((points @ tangent) * facing + height * (partners.normals @ tangent)) for tangent in tangents]
    jacobian = np.stack([*slopes, 2.0 * facing], 1)
    residual = np.einsum("nd,nd->n", partners.normals, plane.reflect_points(points) - partners.points)
    hessian = jacobian.T @ jacobian + _DAMPING * len(points) * np.eye(3)
    step = np.linalg.solve(hessian, -(jacobian.T @ residual))
    tilted = normal + step[:2] @ tangents
    length = float(np.linalg.norm(tilted))
    return MirrorPlane(tilted / length, (offset + float(step[2])) / length)


def _refine_by_overlap(plane: MirrorPlane, sample: OrientedPoints, scan: OrientedPoints, tree: KDTree) -> MirrorPlane:
    """Refine a plane by the part of the scan that it reflects on to the scan, where there is enough of it."""
    refined = plane
    for _ in range(_ITERATIONS):
        distance, partner = (np.asarray(part) for part in tree.query(refined.reflect_points(sample.points)))
        cosine = np.einsum("nd,nd->n", refined.reflect_directions(sample.normals), scan.normals[partner])
        pairs = np.flatnonzero((distance < _NEAR) & (cosine > _FACING))
        if len(pairs) < _OVERLAP * len(sample.points):
            return refined
        refined = _icp_step(refined, sample.points[pairs], scan.select(partner[pairs]))
        if refined.normal @ plane.normal < _SAME:
            return plane
    return refined
