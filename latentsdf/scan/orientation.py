"""Sides of the normals of bare points, from neighbours, outside points, and winding numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import KDTree

from ..core.arrays import Array, Indices
from ..core.field import SDF, Jet
from .surface_winding import SurfaceWinding
from .winding import openness

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
_CURRENT_SIDE = 0.3
"""Votes for the current side of a normal, against one of a prior that passes through its point."""
_PRIOR_NEIGHBOURS = 13
"""Points among which signs agree beside a prior."""
_WINDING_WEIGHT = 1.0
"""Weight of winding numbers against the agreement of neighbours, summed over equal numbers of points."""
_OPEN = 0.2
"""Openness by the signs of winding numbers from which on they are not used: a single view has 0.2 to 0.4."""
_SIXTH = 6
"""Column of the sixth neighbour, among neighbours that begin with the point itself."""
_LEAST = 50
"""Fewer points than this have no winding numbers."""
_ITERATIONS, _WINDING_ITERATIONS = 800, 100
"""The most iterations of a solve for signs, without and with winding numbers."""


def orient_normals(
    points: Array,
    directions: Array,
    around: Indices,
    sensor: Array | None = None,
    *,
    seed: int = 0,
    noise: float | None = None,
) -> Array:
    """Choose signs so that neighbours agree and the whole points outward.

    Without a sensor the signs s in [-1, 1] minimise sum_ij w_ij (s_i - r_ij s_j)^2 + sum_i u_i (s_i - v_i)^2 over pairs
    of neighbours, one sparse solve, in which points count by how flat their neighbourhood is. A pair agrees (r = 1) as
    on a circle through both points (Koenig and Gumhold, "Consistent propagation of normal orientations in point
    clouds", 2009), which joins sides across creases and the two faces of a thin wall too. Votes v come from the
    farthest points in all directions, whose outside is known, and from rays: more of them leave a point's outside than
    its inside. Unlike propagation along a tree, no single wrong pair flips a whole part. A second solve, begun at the
    first, adds sum_i (w_i(s) - 1/2)^2 over winding numbers at the points (`SurfaceWinding`), which tell parts from one
    another that no pair of neighbours joins. Its signs count unless they leave the surface open (`winding.openness`):
    winding numbers are not 1/2 there.

    Args:
        points: (M, 3) in any frame.
        directions: (M, 3) unit, signs arbitrary.
        around: (M, K) neighbours of each point.
        sensor: (3,) where all points were seen from, or (M, 3) where each was, same frame: every normal then faces
            its sensor.
        seed: of the choice of points that cast rays.
        noise: `noise_level` of the points, where known.

    Returns:
        (M, 3) unit normals.
    """
    if sensor is not None:
        facing = np.einsum("nd,nd->n", sensor - points, directions) >= 0
        return np.where(facing[:, None], directions, -directions)
    low, high = points.min(0), points.max(0)
    scale = 2 / max(float((high - low).max()), np.finfo(np.float64).tiny)
    centred = (points - (low + high) / 2) * scale
    votes = _outside_votes(centred, directions, around, seed)
    equations = _SignEquations.of(centred, directions, around, votes)
    normals = equations.oriented()
    if len(points) < _LEAST or around.shape[1] <= _SIXTH:
        return normals
    distances = np.linalg.norm(centred[around[:, _SIXTH]] - centred, axis=1)
    if not distances.min() > 0:
        return normals
    closed = equations.oriented(SurfaceWinding.of(centred, directions, distances, seed))
    distinct = np.unique(centred, axis=0, return_index=True)[1]  # `openness` takes no point twice
    known = None if noise is None else noise * scale
    missing = openness(centred[distinct], closed[distinct], distances[distinct], known)
    return closed if missing < _OPEN else normals


def orient_by_prior(points: Array, normals: Array, prior: SDF, *, near: float = 0.05) -> Array:
    """Orient normals along the gradient of a prior, where its surface is near; elsewhere they keep their sides.

    Args:
        points: (M, 3) in the unit frame.
        normals: (M, 3) unit, on the side that they keep away from the prior.
        prior: an SDF in the unit frame.
        near: size of the prior's value at which the weight of its gradient falls to e^-1.

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
    around = np.asarray(KDTree(points).query(points, min(_PRIOR_NEIGHBOURS, len(points)))[1], dtype=np.int64)
    votes = _Votes(weight * cosine + _CURRENT_SIDE, weight * np.abs(cosine) + _CURRENT_SIDE)
    return _SignEquations.of(points, normals, around, votes).oriented()


class _Votes(NamedTuple):
    """Votes for the side of each direction: the sum (M,) of signed votes, and that of their weights (M,)."""

    balance: Array
    weight: Array


@dataclass(eq=False)
class _SignEquations:
    """Linear equations A s = b for the sides s in [-1, 1] of directions.

    Attributes:
        directions: (M, 3) unit.
        matrix: A, sparse, of neighbours and votes.
        right: (M,) b.
        diagonal: (M,) of A.
        solution: (M,) of the last solve.
    """

    directions: Array
    matrix: sparse.csr_array
    right: Array
    diagonal: Array
    solution: Array

    @staticmethod
    def of(points: Array, directions: Array, around: Indices, votes: _Votes) -> _SignEquations:
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
        matrix = sparse.csr_array(sparse.diags_array(diagonal) - links)
        return _SignEquations(directions, matrix, _VOTE_WEIGHT * flatness * votes.balance, diagonal, np.zeros(count))

    def matrix_of(self, winding: SurfaceWinding, weight: float) -> LinearOperator:
        """The matrix with the normal equations of winding numbers added."""
        count = len(self.right)
        build: Any = LinearOperator  # the stubs of SciPy do not know its form that takes a function
        return build(
            (count, count),
            dtype=np.float64,
            matvec=lambda signs: self.matrix @ signs + weight * winding.product(signs),
        )

    def oriented(self, winding: SurfaceWinding | None = None) -> Array:
        """The directions on their sides (M, 3), by neighbours and votes, and winding numbers where they are given."""
        count = len(self.right)
        if winding is None:
            preconditioner = sparse.diags_array(1 / self.diagonal)
            self.solution, _ = cg(self.matrix, self.right, rtol=1e-4, maxiter=_ITERATIONS, M=preconditioner)
        else:
            weight = _WINDING_WEIGHT / winding.share
            operator = self.matrix_of(winding, weight)
            right = self.right + weight * winding.target(count)
            preconditioner = sparse.diags_array(1 / (self.diagonal + weight * winding.diagonal(count)))
            self.solution, _ = cg(
                operator, right, self.solution, rtol=1e-3, maxiter=_WINDING_ITERATIONS, M=preconditioner
            )
        return self.directions * np.where(self.solution < 0, -1.0, 1.0)[:, None]


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
