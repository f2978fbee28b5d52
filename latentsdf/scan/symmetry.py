"""Planes of symmetry of a shape that a sensor saw from one side, and what they say of the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.arrays import Array
from .neighbourhoods import neighbour_distances
from .visibility import refuted_by_sensor

_AXES = np.array(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)], float
)
_ROUNDS = 20
_STIFF = 1e-3
"""Of a plane where the surface leaves it open (a lathe has as many as one likes): mean squared slope added."""
_LOOKED_AT = 1500
"""Points of each kind that planes are moved by."""
_TRIMMED = 0.8
_APART = 0.05
"""Farther than this from the surface (unit frame) a reflected point has no partner."""
_UNLIKE = 0.3
"""A surface of which a larger share has no partner is not symmetric."""
_TOUCH, _OVERLAP = 0.04, 0.15
"""Mirrored points this near to scanned ones are the same surface; by such a share of them a plane is corrected."""
_REFUTED = 0.05
"""A plane that puts a larger share of the points where the sensor saw nothing is wrong."""
_FACING = 0.7
"""Least cosine between the normals of partners."""
_SLACK = 0.02
_ALIKE, _SQUARE = 0.98, 0.3
_LEAST_WAY = 0.02
"""Mirrored points nearer than this to scanned ones say nothing new."""


class Mirror(NamedTuple):
    """A plane: normal . x = offset.

    Attributes:
        normal: (3,) of length one.
        offset: along it.
    """

    normal: Array
    offset: float

    def points(self, points: Array) -> Array:
        """Points (N, 3) on the other side."""
        return points - 2.0 * (points @ self.normal - self.offset)[:, None] * self.normal

    def directions(self, directions: Array) -> Array:
        """Directions (N, 3) as the mirror shows them."""
        return directions - 2.0 * (directions @ self.normal)[:, None] * self.normal


class OrientedPoints(NamedTuple):
    """Points of a surface.

    Attributes:
        points: (N, 3).
        normals: (N, 3) of length one, outward.
    """

    points: Array
    normals: Array

    def some(self) -> OrientedPoints:
        """No more of them than planes are moved by."""
        rows = np.random.default_rng(0).permutation(len(self.points))[:_LOOKED_AT]
        return self.select(rows)

    def select(self, rows: NDArray) -> OrientedPoints:
        """Some of them."""
        return OrientedPoints(self.points[rows], self.normals[rows])


def symmetry_planes(surface: OrientedPoints, scan: OrientedPoints, sensor: Array) -> list[Mirror]:
    """Planes about which a guessed surface is symmetric and that no ray of the sensor speaks against, best first.

    From nine planes along and between the axes, iterated closest points (to planes: Chen and Medioni 1991) move each to
    where it reflects the surface best on to itself, and then to where it reflects the scan on to itself as far as the
    two overlap. (Completion by symmetry: Thrun and Wegbreit, ICCV 2005; here the symmetry is that of the guess.)

    Args:
        surface: the guess, in the unit frame, set on the axes.
        scan: what was seen, same frame.
        sensor: (3,) where from, or (M, 3) for each point.
    """
    whole, seen = KDTree(surface.points), KDTree(scan.points)
    middle = (surface.points.max(0) + surface.points.min(0)) / 2
    part, some = surface.some(), scan.some()
    found: list[tuple[float, Mirror]] = []
    for axis in _AXES / np.linalg.norm(_AXES, axis=1, keepdims=True):
        plane = Mirror(axis, float(axis @ middle))
        for _ in range(_ROUNDS):
            distance, partner = (np.asarray(found) for found in whole.query(plane.points(part.points)))
            kept = np.flatnonzero(distance <= np.quantile(distance, _TRIMMED))
            plane = _moved(plane, part.points[kept], surface.select(partner[kept]))
        unlike = float((np.asarray(whole.query(plane.points(part.points))[0]) > _APART).mean())
        if unlike > _UNLIKE:
            continue
        plane = _by_overlap(plane, some, scan, seen)
        refuted = float(refuted_by_sensor(scan.points, sensor, plane.points(some.points), 1.5 * _SLACK).mean())
        if refuted <= _REFUTED:
            found.append((refuted + 0.3 * unlike, plane))
    best: list[Mirror] = []
    for _, plane in sorted(found, key=lambda item: item[0]):
        if all(abs(plane.normal @ other.normal) < _ALIKE for other in best):
            best.append(plane)
    return best


def mirror_images(
    scan: OrientedPoints, news: NDArray[np.bool_], sensor: Array, mirrors: list[Mirror]
) -> OrientedPoints:
    """Mirror images of points where the scan has none and the sensor could not see.

    Of several planes the first is taken, a second one square to it, and both after each other.

    Args:
        scan: what was seen, M points.
        news: (M,) which of them are worth a mirror image.
        sensor: (3,) where from, or (M, 3) for each point, same frame.
        mirrors: as `mirrors_of` gives them.
    """
    rows = np.flatnonzero(news)
    sets = [scan.select(rows)]
    if not mirrors or not len(rows):
        return scan.select(rows[:0])
    for plane in mirrors[:1] + [other for other in mirrors[1:] if abs(other.normal @ mirrors[0].normal) < _SQUARE][:1]:
        sets += [OrientedPoints(plane.points(some.points), plane.directions(some.normals)) for some in sets]
    found = OrientedPoints(*(np.concatenate(parts) for parts in zip(*sets[1:], strict=True)))
    new = max(_LEAST_WAY, float(np.median(neighbour_distances(scan.points))))
    kept = np.asarray(KDTree(scan.points).query(found.points)[0]) > new
    kept &= (np.abs(found.points) < 1).all(1) & ~refuted_by_sensor(scan.points, sensor, found.points, _SLACK)
    return found.select(np.flatnonzero(kept))


def _moved(plane: Mirror, points: Array, partners: OrientedPoints) -> Mirror:
    """The plane after a least squares step of the distances of reflected points (N, 3) to the planes of partners."""
    normal, offset = plane
    side = np.linalg.svd(normal[None])[2][1:]
    facing, away = partners.normals @ normal, points @ normal - offset
    slopes = [-2.0 * ((points @ way) * facing + away * (partners.normals @ way)) for way in side]
    jacobian = np.stack([*slopes, 2.0 * facing], 1)
    residual = np.einsum("nd,nd->n", partners.normals, plane.points(points) - partners.points)
    curvature = jacobian.T @ jacobian
    step = np.linalg.solve(curvature + _STIFF * len(points) * np.eye(3), -(jacobian.T @ residual))
    turned = normal + step[:2] @ side
    length = float(np.linalg.norm(turned))
    return Mirror(turned / length, (offset + float(step[2])) / length)


def _by_overlap(plane: Mirror, some: OrientedPoints, scan: OrientedPoints, seen: KDTree) -> Mirror:
    """The plane corrected by the part of the scan that it reflects on to the scan, if there is enough of it."""
    better = plane
    for _ in range(_ROUNDS):
        distance, partner = (np.asarray(found) for found in seen.query(better.points(some.points)))
        same = np.einsum("nd,nd->n", better.directions(some.normals), scan.normals[partner]) > _FACING
        kept = np.flatnonzero((distance < _TOUCH) & same)
        if len(kept) < _OVERLAP * len(some.points):
            return better
        better = _moved(better, some.points[kept], scan.select(partner[kept]))
        if better.normal @ plane.normal < _ALIKE:
            return plane
    return better
