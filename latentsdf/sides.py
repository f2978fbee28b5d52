"""Which side of a bare scan is out: normals by visibility, and rough signed distances by the winding number."""

from __future__ import annotations

import igl
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .field import SDF, Jet
from .planes import local_axes, spacing

__all__ = ["CLOSED", "openness", "outward_normals", "prior_normals", "rough_distance", "winding_numbers"]

_DIRECTIONS = 128
_WATCHED = 4000
_ROUNDS = 30
_WATCHED_SHARE = 2000
_KEPT = 0.3
"""Votes for the side that a normal has, against one of a prior that is met exactly."""


def outward_normals(
    points: NDArray[np.float64],
    sensor: NDArray[np.float64] | None = None,
    *,
    neighbors: int = 12,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Unit normals by principal components of the neighbours, turned to the side from which one can look away.

    With a sensor they face it. Without one, from some of the points rays go in all directions over a coarse lattice of
    occupied cells; those that leave it vote for their side. Votes then spread to all points along neighbours whose
    normals are alike, so that places which no ray leaves follow those about them. Scans with holes keep their sides,
    because more rays leave outside.

    Args:
        points: (M, 3) in the unit frame, distinct, M > neighbors.
        sensor: (3,) where all points were seen from, same frame, or None.
        neighbors: that make the plane of a point.
        seed: of the choice of points.

    Returns:
        (M, 3).
    """
    tree = KDTree(points)
    distances, around = (np.asarray(part) for part in tree.query(points, neighbors + 1))
    normals = local_axes(points, around)[:, :, 0]
    if sensor is not None:
        return normals * np.where(np.einsum("nd,nd->n", sensor - points, normals) < 0, -1.0, 1.0)[:, None]
    votes = np.zeros(len(points))
    watched = np.random.default_rng(seed).permutation(len(points))[:_WATCHED]
    votes[watched] = _looking_out(points, watched, normals, float(np.median(distances[:, -1])))
    return normals * np.where(_spread(votes, normals, around[:, 1:]) < 0, -1.0, 1.0)[:, None]


def prior_normals(
    points: NDArray[np.float64], normals: NDArray[np.float64], prior: SDF, *, near: float = 0.05, neighbors: int = 12
) -> NDArray[np.float64]:
    """Normals turned to where a prior rises, as far as the prior is near, and as they were elsewhere.

    Args:
        points: (M, 3) in the unit frame, distinct, M > neighbors.
        normals: (M, 3) unit, on the side that counts where the prior does not.
        prior: an SDF in the unit frame.
        near: distance at which the prior's word falls to e^-1.
        neighbors: that share their votes.

    Returns:
        (M, 3).
    """
    value, rise = [], []
    for part in torch.from_numpy(points).float().split(20_000):
        jet = Jet(prior, part)
        value.append(jet.value.detach())
        rise.append(jet.normal.detach())
    trust = np.exp(-((torch.cat(value).double().cpu().numpy() / near) ** 2))
    along = np.einsum("nd,nd->n", normals, torch.cat(rise).double().cpu().numpy())
    around = np.asarray(KDTree(points).query(points, neighbors + 1)[1])[:, 1:]
    votes = _spread(trust * along + _KEPT, normals, around)
    return normals * np.where(votes < 0, -1.0, 1.0)[:, None]


def rough_distance(
    points: NDArray[np.float64], normals: NDArray[np.float64], queries: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance to the nearest point, signed by the winding number of the oriented points (Barill et al. 2018).

    Args:
        points: (M, 3) distinct, M > 6.
        normals: (M, 3), outward.
        queries: (N, 3).

    Returns:
        (N,), about 0 where the winding number does not tell the sides apart.
    """
    winding = winding_numbers(points, normals, queries)
    return np.asarray(KDTree(points).query(queries)[0]) * np.clip(4 * (0.5 - winding), -1, 1)


def winding_numbers(
    points: NDArray[np.float64], normals: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Winding numbers (N,) of oriented points (M, 3) about places (N, 3) (Barill et al. 2018)."""
    areas = np.pi * spacing(points) ** 2 / 6
    found = igl.fast_winding_number(points, np.ascontiguousarray(normals), areas, np.ascontiguousarray(places))
    return np.asarray(found, dtype=np.float64)


CLOSED = 0.07
"""Scans of a smaller openness cover their surface; whole virtual scans have 0.02 to 0.06."""


def openness(points: NDArray[np.float64], normals: NDArray[np.float64]) -> float:
    """The share of the full sphere that oriented points are missing of a closed surface.

    A little outside of a whole surface the winding number is zero; what is missing shows there. The median over the
    points is taken.

    Args:
        points: (M, 3) in any frame.
        normals: (M, 3) unit, outward.

    Returns:
        From 0 to about 1/2, that of a flat patch.
    """
    chosen = np.random.default_rng(0).permutation(len(points))[:_WATCHED_SHARE]
    outside = points[chosen] + spacing(points)[chosen, None] * normals[chosen]
    return float(np.median(np.abs(winding_numbers(points, normals, outside))))


def _spread(votes: NDArray, normals: NDArray, around: NDArray) -> NDArray:
    """Votes (N,) for the sides of normals (N, 3), joined by those of neighbours (N, K) whose normals are alike."""
    alike = np.einsum("ni,nki->nk", normals, normals[around])
    alike = np.sign(alike) * alike**2 / around.shape[1]
    spread = votes.copy()
    for _ in range(_ROUNDS):
        spread = votes + (alike * spread[around]).sum(1)
    return spread


def _looking_out(points: NDArray, watched: NDArray, normals: NDArray, spacing: float) -> NDArray:
    """Mean cosine between the normals and the directions in which the watched points (W,) see out of the lattice."""
    side = int(np.clip(2 / (2 * spacing), 12, 96))
    occupied = np.zeros((side, side, side), dtype=bool)
    cell = 2 / side
    occupied[tuple(_cells(points, side).T)] = True
    golden = np.arange(_DIRECTIONS) + 0.5
    height = 1 - 2 * golden / _DIRECTIONS
    angle = np.pi * (1 + 5**0.5) * golden
    ring = np.sqrt(1 - height**2)
    directions = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], 1)
    facing = normals[watched] @ directions.T
    # Rays along the surface would hit its own cells.
    pairs = np.argwhere(np.abs(facing) > 0.25)
    starts, rays = points[watched[pairs[:, 0]]], directions[pairs[:, 1]]
    free = np.ones(len(pairs), dtype=bool)
    going = np.arange(len(pairs))
    for step in range(int(2 * side)):
        place = starts[going] + (2.5 + step) * cell * rays[going]
        inside = (np.abs(place) < 1).all(1)
        going, place = going[inside], place[inside]
        if not len(going):
            break
        hit = occupied[tuple(_cells(place, side).T)]
        free[going[hit]] = False
        going = going[~hit]
    votes = np.zeros(len(watched))
    np.add.at(votes, pairs[free, 0], facing[pairs[free, 0], pairs[free, 1]])
    return votes / _DIRECTIONS


def _cells(points: NDArray, side: int) -> NDArray:
    return np.clip(((points + 1) * (side / 2)).astype(np.int64), 0, side - 1)
