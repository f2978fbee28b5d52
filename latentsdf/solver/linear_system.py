"""The normal equations of a quadratic energy over a stack of B-spline levels, applied without being assembled.

The unknowns are the own coefficients of all levels at once. Since the levels overlap, what a coarse function feels of a
finer level comes through the refinement weights, so that one pass down and one pass up the stack apply the whole
matrix. The preconditioner is the sum of the inverse diagonals of all levels, coarser lattices included (Bramble,
Pasciak and Xu, "Parallel multilevel preconditioners", 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from ..core.arrays import Array
from .bspline import Level, Sparse
from .levels import Stack

DIRECT = 1500
"""Systems of one level and up to so many unknowns are solved by a dense Cholesky factorisation."""


class Reading:
    """Values and slopes of a field at fixed points, as a linear map of its total coefficients.

    Args:
        levels: coarsest first; each point is read from the finest that is complete there.
        points: (N, 3) in the cube.
        slopes: also read the slope along x, y and z; rows are then N values, N slopes along x, and so on.
    """

    def __init__(self, levels: Sequence[Level], points: Array, slopes: bool):
        self.points, self.blocks = points, 4 if slopes else 1
        self.parts: list[tuple[int, NDArray[np.int64], Sparse]] = []
        self._turned: list[Sparse] = []
        left = np.arange(len(points))
        for number in range(len(levels) - 1, -1, -1):
            cells, inside = levels[number].locate(points[left])
            here = cells >= 0
            if here.any():
                matrices = levels[number].readings(cells[here], inside[here], derivatives=int(slopes))
                rows = (left[here][None] + len(points) * np.arange(self.blocks)[:, None]).reshape(-1)
                self.parts.append((number, rows, sparse.vstack(matrices, format="csr")))
                self._turned.append(self.parts[-1][2].T)
            left = left[~here]
            if not len(left):
                break

    def __call__(self, totals: Sequence[Array]) -> Array:
        """(N,) values, or (4 N,) values and slopes."""
        result = np.empty(len(self.points) * self.blocks)
        for number, rows, matrix in self.parts:
            result[rows] = matrix @ totals[number]
        return result

    def add_transposed(self, values: Array, into: list[Array]) -> None:
        """Add the transposed map of values (N,) or (4 N,) to vectors (E,) over each level's places."""
        for (number, rows, _), turned in zip(self.parts, self._turned, strict=True):
            into[number] += turned @ values[rows]


@dataclass(frozen=True, eq=False)
class Misfit:
    """Weighted squares: the sum of weights * (reading - targets)^2.

    Attributes:
        reading: of N points.
        weights: (N,) or (4 N,), one a row of the reading; not negative.
        targets: as many.
    """

    reading: Reading
    weights: Array
    targets: Array


class System:
    """Equations A c = b of the least of: misfits + bending * integral over the cube of |Hess f|^2.

    A is symmetric, and positive definite on fields as soon as the misfits pin a linear function: c . A c is zero only
    where the field of c is zero. Such c other than zero exist where a band is wide enough to hold all parts of a
    coarse function; conjugate gradients do not mind, and the field is unique.

    Args:
        stack: the lattices.
        bendings: `Level.bending()` of each of its levels.
        bending: the weight of the integral.
        misfits: the squares.
    """

    def __init__(self, stack: Stack, bendings: Sequence[Sparse], bending: float, misfits: Sequence[Misfit]):
        self.stack, self.levels = stack, stack.levels
        self.bendings, self.bending, self.misfits = bendings, bending, misfits
        self._turned = [matrix.T for matrix in bendings]
        bounds = np.concatenate([[0], np.cumsum([len(level.own) for level in self.levels])])
        self.slices = [slice(low, high) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]

    @property
    def unknowns(self) -> int:
        """Length K of c."""
        return int(self.slices[-1].stop)

    @property
    def direct(self) -> bool:
        """Whether the system is small enough to be solved without iterating."""
        return len(self.levels) == 1 and self.unknowns <= DIRECT

    def totals(self, coefficients: Array) -> list[Array]:
        """Total coefficients of each level, (E,) each, from all own ones (K,)."""
        totals: list[Array] = []
        for level, own in zip(self.levels, self.slices, strict=True):
            total = level.parents @ totals[-1] if totals else np.zeros(len(level.places))
            total[level.own] += coefficients[own]
            totals.append(total)
        return totals

    def gathered(self, vectors: Sequence[Array]) -> Array:
        """The transpose of `totals`: from vectors (E,) over each level's places to own coefficients (K,)."""
        result = np.empty(self.unknowns)
        finer = 0.0
        for number in range(len(self.levels) - 1, -1, -1):
            level = self.levels[number]
            here = vectors[number] + finer
            result[self.slices[number]] = here[level.own]
            if number:
                finer = level.children @ here
        return result

    def __call__(self, coefficients: Array) -> Array:
        """A c, (K,)."""
        totals = self.totals(coefficients)
        vectors, from_coarser = [], np.zeros(self.unknowns)
        for number, (level, own) in enumerate(zip(self.levels, self.slices, strict=True)):
            vectors.append(self.bending * (self._turned[number] @ coefficients[own]))
            if number:
                coarse = totals[number].copy()
                coarse[level.own] -= coefficients[own]
                from_coarser[own] = self.bending * (self.bendings[number] @ coarse)
        for misfit in self.misfits:
            misfit.reading.add_transposed(misfit.weights * misfit.reading(totals), vectors)
        return self.gathered(vectors) + from_coarser

    @cached_property
    def right(self) -> Array:
        """b, (K,)."""
        vectors = [np.zeros(len(level.places)) for level in self.levels]
        for misfit in self.misfits:
            misfit.reading.add_transposed(misfit.weights * misfit.targets, vectors)
        return self.gathered(vectors)

    def matrix(self) -> Array:
        """A as a dense array (K, K), assembled: for small systems."""
        unit: Sparse = sparse.eye_array(self.unknowns, format="csr")
        spans: list[Sparse] = []
        total: Sparse = sparse.csr_array((self.unknowns, self.unknowns))
        for number, (level, own) in enumerate(zip(self.levels, self.slices, strict=True)):
            placed = sparse.csr_array(
                (np.ones(len(level.own)), (level.own, np.arange(own.start, own.stop))),
                shape=(len(level.places), self.unknowns),
            )
            spans.append(placed if not spans else sparse.csr_array(level.parents @ spans[-1]) + placed)
            felt = self.bending * (sparse.csr_array(self.bendings[number]) @ spans[-1])
            alone = self.bending * (sparse.csr_array(self.bendings[number]) @ placed)
            total = total + unit[:, own] @ felt + (unit[:, own] @ (felt - alone)).T
        for misfit in self.misfits:
            for number, rows, read in misfit.reading.parts:
                lines = sparse.csr_array(read) @ spans[number]
                total = total + lines.T @ sparse.diags_array(misfit.weights[rows]) @ lines
        return total.toarray()

    def energy(self, coefficients: Array) -> float:
        """Misfits and bending of a field."""
        totals = self.totals(coefficients)
        constant = sum(float(m.weights @ (m.targets * (m.targets - 2 * m.reading(totals)))) for m in self.misfits)
        return float(coefficients @ self(coefficients)) + constant

    @cached_property
    def _diagonals(self) -> list[Array]:
        """Diagonals of A for the own functions of the coarse lattices and then of the levels."""
        return [self._diagonal(level) for level in (*self.stack.coarse, *self.levels)]

    def _diagonal(self, level: Level) -> Array:
        entries = self.bending * level.bending_diagonal()
        for misfit in self.misfits:
            cells, inside = level.locate(misfit.reading.points)
            here = np.flatnonzero(cells >= 0)
            squares = np.zeros(len(level.places))
            reads = level.readings(cells[here], inside[here], derivatives=int(misfit.reading.blocks == 4))
            for block, read in enumerate(reads):
                read.data **= 2
                squares += read.T @ misfit.weights[here + block * len(misfit.reading.points)]
            entries += squares[level.own]
        return entries

    def preconditioned(self, residual: Array) -> Array:
        """The multilevel preconditioner: inverse diagonals of all levels, summed, (K,) -> (K,)."""
        count = len(self.stack.coarse)
        result = np.concatenate(
            [residual[own] / diagonal for own, diagonal in zip(self.slices, self._diagonals[count:], strict=True)]
        )
        here, below = residual[self.slices[0]], []
        for level in (self.levels[0], *self.stack.coarse[:0:-1])[:count]:
            here = level.children @ here
            below.append(here)
        correction = 0.0
        for number, part in enumerate(reversed(below)):
            finer = self.stack.coarse[number + 1] if number + 1 < count else self.levels[0]
            correction = finer.parents @ (correction + part / self._diagonals[number])
        result[self.slices[0]] += correction
        return result

    def solve(self, right: Array, start: Array | None, tolerance: float, limit: int) -> tuple[Array, int, float]:
        """Solve A c = right by preconditioned conjugate gradients; small systems directly.

        Args:
            right: (K,).
            start: (K,) first guess, or None.
            tolerance: stop when the residual is so many times the right-hand side, both in the norm of the
                preconditioner.
            limit: the most iterations.

        Returns:
            c (K,), iterations (0 when solved directly), relative residual.
        """
        if self.direct:
            return self._direct(right)
        solution = np.zeros(self.unknowns) if start is None else start.copy()
        residual = right.copy() if start is None else right - self(solution)
        whole = float(np.sqrt(right @ self.preconditioned(right)))
        reduced = self.preconditioned(residual)
        size = float(residual @ reduced)
        direction, iterations = reduced, 0
        while np.sqrt(max(size, 0.0)) > tolerance * whole and iterations < limit:
            image = self(direction)
            step = size / float(direction @ image)
            solution += step * direction
            residual -= step * image
            reduced = self.preconditioned(residual)
            before, size = size, float(residual @ reduced)
            direction = reduced + (size / before) * direction
            iterations += 1
        return solution, iterations, float(np.sqrt(max(size, 0.0))) / whole if whole > 0 else 0.0

    def _direct(self, right: Array) -> tuple[Array, int, float]:
        solution = linalg.cho_solve(linalg.cho_factor(self.matrix()), right)
        whole = float(np.linalg.norm(right))
        return solution, 0, float(np.linalg.norm(right - self(solution))) / whole if whole > 0 else 0.0
