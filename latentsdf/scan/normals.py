"""Normals of bare points: local PCA, then one consistent orientation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from ..core.field import SDF, Jet
from .neighbourhoods import local_pca, neighbour_distances, noise_level

_RAY_POINTS, _RAYS = 4000, 128
"""Points that cast rays, and rays of each."""
_EXTREMES = 400
"""Directions whose farthest point has its outside there."""
_BATCH = 10_000_000
"""Products of points and directions held at a time."""
_RAY_WEIGHT = 0.3
"""Weight of a point's rays, against that of being the farthest in one direction."""
_VOTE_WEIGHT = 1e-2
"""Weight of votes against the agreement of neighbours."""
_FLATNESS = 0.1
"""Share of a neighbourhood's variance across its plane at which it counts half; outliers have a third."""
_FEW, _MANY = 13, 30
"""Neighbours to a plane, of points with little noise and with much."""
_NOISY = 1 / 3
"""Noise, as a share of the spacing of the points, above which planes take many neighbours."""
_CURRENT_SIDE = 0.3
"""Votes for the current side of a normal, against one of a prior that passes through its point."""


def estimate_normals(points: Array, neighbours: int = _FEW, tree: KDTree | None = None) -> tuple[Array, Indices]:
    """Directions of least spread among the nearest neighbours of each point, signs arbitrary (Hoppe et al. 1992).

    Args:
        points: (M, 3) in any frame, finite.
        neighbours: points to a plane, the point itself included; more smooth noise and round edges.
        tree: of the points, where there is one already.

    Returns:
        Unit directions (M, 3), and the neighbours (M, K), nearest first, with K at most M.

    Raises:
        ValueError: fewer than three points or neighbours.
    """
    if len(points) < 3 or neighbours < 3:
        raise ValueError(f"a plane needs 3 points, got {len(points)} points and {neighbours} neighbours")
    around = np.asarray((tree or KDTree(points)).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    return local_pca(points, around)[:, :, 0], around


def orient_normals(
    points: Array, directions: Array, around: Indices, sensor: Array | None = None, *, seed: int = 0
) -> Array:
    """Choose signs so that neighbours agree and the whole points outward.

    Without a sensor the signs s in [-1, 1] minimise sum_ij w_ij (s_i - r_ij s_j)^2 + sum_i u_i (s_i - v_i)^2 over pairs
    of neighbours, one sparse solve, in which points count by how flat their neighbourhood is. A pair agrees (r = 1) as
    on a circle through both points (Koenig and Gumhold, "Consistent propagation of normal orientations in point
    clouds", 2009), which joins sides across creases and the two faces of a thin wall too. Votes v come from the
    farthest points in all directions, whose outside is known, and from rays: more of them leave a point's outside than
    its inside. Unlike propagation along a tree, no single wrong pair flips a whole part.

    Args:
        points: (M, 3) in any frame.
        directions: (M, 3) unit, signs arbitrary.
        around: (M, K) neighbours of each point.
        sensor: (3,) where all points were seen from, or (M, 3) where each was, same frame: every normal then faces
            its sensor.
        seed: of the choice of points that cast rays.

    Returns:
        (M, 3) unit normals.
    """
    if sensor is not None:
        facing = np.einsum("nd,nd->n", sensor - points, directions) >= 0
        return np.where(facing[:, None], directions, -directions)
    low, high = points.min(0), points.max(0)
    centred = (points - (low + high) / 2) * (2 / max(float((high - low).max()), np.finfo(np.float64).tiny))
    votes = _outside_votes(centred, directions, around, seed)
    return directions * _solve_signs(centred, directions, around, votes)[:, None]


def outward_normals(
    points: Array,
    sensor: Array | None = None,
    *,
    neighbours: int | None = None,
    seed: int = 0,
    tree: KDTree | None = None,
    distances: Array | None = None,
    noise: float | None = None,
) -> Array:
    """Estimate unit normals (M, 3) of bare points and orient them: `estimate_normals`, then `orient_normals`.

    Args:
        points: (M, 3) in any frame.
        sensor: as for `orient_normals`.
        neighbours: to a plane; None takes 13, or 30 for 1,500 points or more whose noise is above a third of their
            spacing.
        seed: of the choice of points that cast rays.
        tree: of the points, where there is one already.
        distances: (M,) their `neighbour_distances`, where known.
        noise: their `noise_level`, where known.

    Raises:
        ValueError: fewer than three points or neighbours.
    """
    tree = tree or KDTree(points)
    if neighbours is None:
        neighbours = _FEW
        if len(points) >= 50 * _MANY:
            distances = neighbour_distances(points, tree) if distances is None else distances
            noise = noise_level(points, tree=tree) if noise is None else noise
            neighbours = _MANY if noise > _NOISY * float(np.median(distances)) else _FEW
    directions, around = estimate_normals(points, neighbours, tree)
    return orient_normals(points, directions, around, sensor, seed=seed)


def orient_by_prior(points: Array, normals: Array, prior: SDF, *, near: float = 0.05, neighbours: int = _FEW) -> Array:
    """Orient normals along the gradient of a prior, where its surface is near; elsewhere they keep their sides.

    Args:
        points: (M, 3) in the unit frame.
        normals: (M, 3) unit, on the side that they keep away from the prior.
        prior: an SDF in the unit frame.
        near: size of the prior's value at which the weight of its gradient falls to e^-1.
        neighbours: points among which signs agree.

    Returns:
        (M, 3).
    """
    values, gradients = [], []
    for part in torch.from_numpy(points).float().split(20_000):
        jet = Jet(prior, part)
        values.append(jet.value.detach())
        gradients.append(jet.normal.detach())
    value, gradient = (torch.cat(parts).double().cpu().numpy() for parts in (values, gradients))
    weight, cosine = np.exp(-((value / near) ** 2)), np.einsum("nd,nd->n", normals, gradient)
    around = np.asarray(KDTree(points).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    votes = _Votes(weight * cosine + _CURRENT_SIDE, weight * np.abs(cosine) + _CURRENT_SIDE)
    return normals * _solve_signs(points, normals, around, votes)[:, None]


class _Votes(NamedTuple):
    """Votes for the side of each direction: the sum (M,) of signed votes, and that of their weights (M,)."""

    balance: Array
    weight: Array


def _solve_signs(points: Array, directions: Array, around: Indices, votes: _Votes) -> Array:
    """Signs +1 or -1 (M,) of directions by the agreement of neighbours and by votes."""
    count, neighbours = around.shape
    first, second = np.repeat(np.arange(count), neighbours), around.reshape(-1)
    pairs = np.unique(np.minimum(first, second) * count + np.maximum(first, second))
    first, second = pairs // count, pairs % count
    first, second = first[first != second], second[first != second]
    chord = points[second] - points[first]
    chord /= np.maximum(np.linalg.norm(chord, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    one, other = directions[first], directions[second]
    cosine = np.einsum("nd,nd->n", one, other)
    cosine -= 2 * np.einsum("nd,nd->n", chord, one) * np.einsum("nd,nd->n", chord, other)
    flatness = _flatness(points, directions, around)
    weight = np.sign(cosine) * cosine**2 * flatness[first] * flatness[second]
    links = sparse.coo_array((weight, (first, second)), shape=(count, count)).tocsr()
    links = links + links.T
    diagonal = np.asarray(abs(links).sum(1)).reshape(-1) + flatness * (_VOTE_WEIGHT * votes.weight + 1e-4)
    matrix, right = sparse.diags_array(diagonal) - links, _VOTE_WEIGHT * flatness * votes.balance
    signs, _ = cg(matrix, right, rtol=1e-4, maxiter=800, M=sparse.diags_array(1 / diagonal))
    return np.where(signs < 0, -1.0, 1.0)


def _flatness(points: Array, directions: Array, around: Indices) -> Array:
    """Flatness (M,) of each point's neighbourhood, from 0 to 1: 1 / (1 + (variance across / all / `_FLATNESS`)^2)."""
    local = points[around] - points[around].mean(1, keepdims=True)
    across = (np.einsum("nka,na->nk", local, directions) ** 2).sum(1)
    return 1 / (1 + (across / np.maximum((local**2).sum((1, 2)), np.finfo(np.float64).tiny) / _FLATNESS) ** 2)


def _outside_votes(points: Array, directions: Array, around: Indices, seed: int) -> _Votes:
    """Votes of extreme points and of rays; points lie in the cube [-1, 1]^3."""
    extremes = _sphere_directions(_EXTREMES)
    parts = np.array_split(extremes, 1 + len(points) * _EXTREMES // _BATCH)
    farthest = np.concatenate([(points @ part.T).argmax(0) for part in parts])
    balance, weight = np.zeros(len(points)), np.zeros(len(points))
    cosines = np.einsum("nd,nd->n", directions[farthest], extremes)
    np.add.at(balance, farthest, cosines)
    np.add.at(weight, farthest, np.abs(cosines))
    rows = np.random.default_rng(seed).permutation(len(points))[:_RAY_POINTS]
    width = float(np.median(np.linalg.norm(points[around[:, -1]] - points, axis=1)))
    balance[rows] += _RAY_WEIGHT * _ray_votes(points, rows, directions, width)
    weight[rows] += _RAY_WEIGHT
    return _Votes(balance, weight)


def _ray_votes(points: Array, rows: Indices, directions: Array, width: float) -> Array:
    """Mean cosine (W,) between directions and rays from some points that leave an occupancy lattice of the points."""
    side = int(np.clip(2 / (2 * max(width, 1e-9)), 12, 96))
    occupied, cell = np.zeros((side, side, side), dtype=bool), 2 / side
    occupied[tuple(_cells(points, side).T)] = True
    rays = _sphere_directions(_RAYS)
    cosines = directions[rows] @ rays.T
    # Rays along the surface would hit its own cells.
    pairs = np.argwhere(np.abs(cosines) > 0.25)
    origins, steps = points[rows[pairs[:, 0]]], rays[pairs[:, 1]]
    free = np.ones(len(pairs), dtype=bool)
    active = np.arange(len(pairs))
    for step in range(int(2 * side)):
        samples = origins[active] + (2.5 + step) * cell * steps[active]
        inside = (np.abs(samples) < 1).all(1)
        active, samples = active[inside], samples[inside]
        if not len(active):
            break
        hit = occupied[tuple(_cells(samples, side).T)]
        free[active[hit]] = False
        active = active[~hit]
    votes = np.zeros(len(rows))
    np.add.at(votes, pairs[free, 0], cosines[pairs[free, 0], pairs[free, 1]])
    return votes / _RAYS


def _sphere_directions(count: int) -> Array:
    """Directions (count, 3) spread evenly over the sphere, along a golden spiral."""
    steps = np.arange(count) + 0.5
    height = 1 - 2 * steps / count
    angle = np.pi * (1 + 5**0.5) * steps
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], 1)


def _cells(points: Array, side: int) -> Indices:
    return np.clip(((points + 1) * (side / 2)).astype(np.int64), 0, side - 1)
