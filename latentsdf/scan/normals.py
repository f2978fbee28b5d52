"""Normals of bare points: a plane through the neighbours of each, then a side for all of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from ..core.field import SDF, Jet
from .neighbourhoods import local_pca, neighbour_distances, noise_level

_WATCHED = 4000
"""Points that look about."""
_RAYS = 128
"""Directions in which each of them looks."""
_ENDS = 400
"""Directions whose farthest point has its outside there."""
_AT_ONCE = 10_000_000
"""Heights of points held at a time."""
_SEEN = 0.3
"""Weight of what a point sees, against that of being the farthest in one direction."""
_VOTES = 1e-2
"""Weight of votes against the agreement of neighbours."""
_FLAT = 0.1
"""Share of a neighbourhood's variance across its plane at which it counts half; strays have a third."""
_FEW, _MANY = 13, 30
"""Neighbours to a plane, of points with little noise and with much."""
_ROUGH = 1 / 3
"""Share of the points' spacing from which on their noise is much."""
_KEPT = 0.3
"""Votes for the side that a normal has, against one of a prior that is met exactly."""


def estimate_normals(points: Array, neighbours: int = _FEW, tree: KDTree | None = None) -> tuple[Array, Indices]:
    """Directions of least spread among the nearest neighbours of each point, signs arbitrary (Hoppe et al. 1992).

    Args:
        points: (M, 3) in any frame, finite.
        neighbours: points a plane is laid through, the point itself included; more smooths noise and rounds edges.
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
    its inside. Unlike signs handed on along a tree, no single pair turns a whole part over.

    Args:
        points: (M, 3) in any frame.
        directions: (M, 3) unit, signs arbitrary.
        around: (M, K) neighbours of each point.
        sensor: (3,) where all points were seen from, or (M, 3) where each was, same frame: every normal then faces
            its sensor.
        seed: of the choice of points that send rays.

    Returns:
        (M, 3) unit normals.
    """
    if sensor is not None:
        facing = np.einsum("nd,nd->n", sensor - points, directions) >= 0
        return np.where(facing[:, None], directions, -directions)
    low, high = points.min(0), points.max(0)
    place = (points - (low + high) / 2) * (2 / max(float((high - low).max()), np.finfo(np.float64).tiny))
    votes = _votes(place, directions, around, seed)
    return directions * _signs(place, directions, around, votes)[:, None]


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
    """Unit normals (M, 3) of bare points (M, 3): `estimate_normals`, then `orient_normals`.

    Args:
        points: in any frame.
        sensor: as for `orient_normals`.
        neighbours: to a plane; None takes 13, or 30 of 1,500 points or more whose noise is above a third of their
            spacing.
        seed: of the choice of points that send rays.
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
            neighbours = _MANY if noise > _ROUGH * float(np.median(distances)) else _FEW
    directions, around = estimate_normals(points, neighbours, tree)
    return orient_normals(points, directions, around, sensor, seed=seed)


def orient_by_prior(points: Array, normals: Array, prior: SDF, *, near: float = 0.05, neighbours: int = _FEW) -> Array:
    """Normals turned to where a prior rises, as far as the prior is near, and as they were elsewhere.

    Args:
        points: (M, 3) in the unit frame.
        normals: (M, 3) unit, on the side that counts where the prior does not.
        prior: an SDF in the unit frame.
        near: distance at which the prior's word falls to e^-1.
        neighbours: that share their votes.

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
    around = np.asarray(KDTree(points).query(points, min(neighbours, len(points)))[1], dtype=np.int64)
    votes = _Votes(trust * along + _KEPT, trust * np.abs(along) + _KEPT)
    return normals * _signs(points, normals, around, votes)[:, None]


@dataclass(frozen=True, eq=False)
class _Votes:
    """For the side that each direction has.

    Attributes:
        balance: (M,) sum of signed votes.
        count: (M,) how much was voted.
    """

    balance: Array
    count: Array


def _signs(points: Array, directions: Array, around: Indices, votes: _Votes) -> Array:
    """+1 or -1 (M,) for directions, by the agreement of neighbours and by votes."""
    many, each = around.shape
    first, second = np.repeat(np.arange(many), each), around.reshape(-1)
    pairs = np.unique(np.minimum(first, second) * many + np.maximum(first, second))
    first, second = pairs // many, pairs % many
    first, second = first[first != second], second[first != second]
    along = points[second] - points[first]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    one, other = directions[first], directions[second]
    alike = np.einsum("nd,nd->n", one, other)
    alike -= 2 * np.einsum("nd,nd->n", along, one) * np.einsum("nd,nd->n", along, other)
    flat = _flat(points, directions, around)
    firm = np.sign(alike) * alike**2 * flat[first] * flat[second]
    links = sparse.coo_array((firm, (first, second)), shape=(many, many)).tocsr()
    links = links + links.T
    diagonal = np.asarray(abs(links).sum(1)).reshape(-1) + flat * (_VOTES * votes.count + 1e-4)
    left = sparse.diags_array(diagonal) - links
    signs, _ = cg(left, _VOTES * flat * votes.balance, rtol=1e-4, maxiter=800, M=sparse.diags_array(1 / diagonal))
    return np.where(signs < 0, -1.0, 1.0)


def _flat(points: Array, directions: Array, around: Indices) -> Array:
    """How far (M,) each point's neighbourhood lies in the plane across its direction, from 0 to 1."""
    local = points[around] - points[around].mean(1, keepdims=True)
    across = (np.einsum("nka,na->nk", local, directions) ** 2).sum(1)
    return 1 / (1 + (across / np.maximum((local**2).sum((1, 2)), np.finfo(np.float64).tiny) / _FLAT) ** 2)


def _votes(points: Array, directions: Array, around: Indices, seed: int) -> _Votes:
    """Votes of the farthest points and of those that look about; points lie in the cube [-1, 1]^3."""
    ends = _sphere(_ENDS)
    parts = np.array_split(ends, 1 + len(points) * _ENDS // _AT_ONCE)
    farthest = np.concatenate([(points @ part.T).argmax(0) for part in parts])
    balance, count = np.zeros(len(points)), np.zeros(len(points))
    found = np.einsum("nd,nd->n", directions[farthest], ends)
    np.add.at(balance, farthest, found)
    np.add.at(count, farthest, np.abs(found))
    watched = np.random.default_rng(seed).permutation(len(points))[:_WATCHED]
    width = float(np.median(np.linalg.norm(points[around[:, -1]] - points, axis=1)))
    balance[watched] += _SEEN * _looking_out(points, watched, directions, width)
    count[watched] += _SEEN
    return _Votes(balance, count)


def _looking_out(points: Array, watched: Indices, directions: Array, width: float) -> Array:
    """Mean cosine between directions and the ways in which watched points (W,) see out of a lattice of the points."""
    side = int(np.clip(2 / (2 * max(width, 1e-9)), 12, 96))
    occupied = np.zeros((side, side, side), dtype=bool)
    cell = 2 / side
    occupied[tuple(_cells(points, side).T)] = True
    rays = _sphere(_RAYS)
    facing = directions[watched] @ rays.T
    # Rays along the surface would hit its own cells.
    pairs = np.argwhere(np.abs(facing) > 0.25)
    starts, ways = points[watched[pairs[:, 0]]], rays[pairs[:, 1]]
    free = np.ones(len(pairs), dtype=bool)
    going = np.arange(len(pairs))
    for step in range(int(2 * side)):
        place = starts[going] + (2.5 + step) * cell * ways[going]
        inside = (np.abs(place) < 1).all(1)
        going, place = going[inside], place[inside]
        if not len(going):
            break
        hit = occupied[tuple(_cells(place, side).T)]
        free[going[hit]] = False
        going = going[~hit]
    votes = np.zeros(len(watched))
    np.add.at(votes, pairs[free, 0], facing[pairs[free, 0], pairs[free, 1]])
    return votes / _RAYS


def _sphere(count: int) -> Array:
    """Directions (count, 3) spread evenly over the sphere, along a golden spiral."""
    steps = np.arange(count) + 0.5
    height = 1 - 2 * steps / count
    angle = np.pi * (1 + 5**0.5) * steps
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], 1)


def _cells(points: Array, side: int) -> Indices:
    return np.clip(((points + 1) * (side / 2)).astype(np.int64), 0, side - 1)
