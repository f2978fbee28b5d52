"""Matrix-free normal equations of a quadratic energy over a stack of B-spline levels.

The unknowns are the own coefficients of all levels at once. Levels overlap; their coupling passes through the
prolongation, so that one pass down and one pass up the stack apply the whole matrix. The preconditioner is the sum of
the inverse diagonals of all levels, coarser lattices included (Bramble, Pasciak and Xu, "Parallel multilevel
preconditioners", 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from ..core.arrays import Array, Indices
from .bending import Bending
from .bspline import Level, Sparse
from .levels import Stack, accumulate_totals

DIRECT = 1500
"""Systems of one level and up to this many unknowns are solved by a dense Cholesky factorisation."""


class PointEvaluation:
    """Values and slopes of a field at fixed points, as a linear map of its total coefficients.

    Args:
        levels: coarsest first; at each point the finest that is complete there is evaluated.
        points: (N, 3) in the cube.
        slopes: whether to evaluate slopes too; rows are then N values, N slopes along x, and so on.
    """

    def __init__(self, levels: Sequence[Level], points: Array, slopes: bool):
        self.points, self.blocks = points, 4 if slopes else 1
        self.parts: list[tuple[int, Indices, Sparse]] = []
        self._transposed: list[Sparse] = []
        rest = np.arange(len(points))
        for number in range(len(levels) - 1, -1, -1):
            cells, local = levels[number].locate(points[rest])
            here = cells >= 0
            if here.any():
                matrices = levels[number].evaluation_matrices(cells[here], local[here], derivatives=int(slopes))
                rows = (rest[here][None] + len(points) * np.arange(self.blocks)[:, None]).reshape(-1)
                self.parts.append((number, rows, sparse.vstack(matrices, format="csr")))
                self._transposed.append(self.parts[-1][2].T)
            rest = rest[~here]
            if not len(rest):
                break

    def __call__(self, totals: Sequence[Array]) -> Array:
        """(N,) values, or (4 N,) values and slopes."""
        result = np.empty(len(self.points) * self.blocks)
        for number, rows, matrix in self.parts:
            result[rows] = matrix @ totals[number]
        return result

    def add_transposed(self, values: Array, into: list[Array]) -> None:
        """Add the transposed map of values (N,) or (4 N,) to vectors (E,) over each level's nodes."""
        for (number, rows, _), matrix in zip(self.parts, self._transposed, strict=True):
            into[number] += matrix @ values[rows]


@dataclass(frozen=True, eq=False)
class Misfit:
    """Weighted squares: the sum of weights * (evaluation - targets)^2.

    Attributes:
        evaluation: of N points.
        weights: (N,) or (4 N,), one for each row of the evaluation; not negative.
        targets: (N,) or (4 N,).
    """

    evaluation: PointEvaluation
    weights: Array
    targets: Array


class System:
    """Normal equations A c = b of the minimum of: misfits + bending * integral over the cube of |Hess f|^2.

    A is symmetric, and positive definite on fields as soon as the misfits determine a linear function: c . A c is zero
    only for the zero field. It has a null space where a band holds all parts of a coarse function; conjugate gradients
    converge all the same, and the field is unique.

    Args:
        stack: the lattices.
        bendings: `bending_of` each of its levels.
        bending: weight of the integral.
        misfits: terms of the energy.
    """

    def __init__(self, stack: Stack, bendings: Sequence[Bending], bending: float, misfits: Sequence[Misfit]):
        self.stack, self.levels = stack, stack.levels
        self.bendings, self.bending, self.misfits = bendings, bending, misfits
        bounds = np.concatenate([[0], np.cumsum([len(level.own) for level in self.levels])])
        self.slices = [slice(low, high) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]

    @property
    def unknowns(self) -> int:
        """Length K of c."""
        return int(self.slices[-1].stop)

    @property
    def direct(self) -> bool:
        """Whether the system is small enough for a direct solve."""
        return len(self.levels) == 1 and self.unknowns <= DIRECT

    def totals(self, coefficients: Array) -> list[Array]:
        """Total coefficients (E,) of each level from the own ones (K,) of all."""
        return accumulate_totals(self.levels, [coefficients[own] for own in self.slices])

    def restrict(self, vectors: Sequence[Array]) -> Array:
        """Transpose of `totals`: from vectors (E,) over each level's nodes to own coefficients (K,)."""
        result = np.empty(self.unknowns)
        finer = 0.0
        for number in range(len(self.levels) - 1, -1, -1):
            level = self.levels[number]
            here = vectors[number] + finer
            result[self.slices[number]] = here[level.own]
            if number:
                finer = level.restriction @ here
        return result

    def __call__(self, coefficients: Array) -> Array:
        """Product A c, (K,)."""
        totals = self.totals(coefficients)
        vectors, from_coarser = [], np.zeros(self.unknowns)
        for number, (level, own) in enumerate(zip(self.levels, self.slices, strict=True)):
            vectors.append(self.bending * self.bendings[number].transposed(coefficients[own]))
            if number:
                coarse = totals[number].copy()
                coarse[level.own] -= coefficients[own]
                from_coarser[own] = self.bending * self.bendings[number](coarse)
        for misfit in self.misfits:
            misfit.evaluation.add_transposed(misfit.weights * misfit.evaluation(totals), vectors)
        return self.restrict(vectors) + from_coarser

    @cached_property
    def right_hand_side(self) -> Array:
        """Right-hand side b, (K,)."""
        vectors = [np.zeros(len(level.nodes)) for level in self.levels]
        for misfit in self.misfits:
            misfit.evaluation.add_transposed(misfit.weights * misfit.targets, vectors)
        return self.restrict(vectors)

    def matrix(self) -> Array:
        """Assemble A as a dense array (K, K), for small systems."""
        unit: Sparse = sparse.eye_array(self.unknowns, format="csr")
        spans: list[Sparse] = []
        total: Sparse = sparse.csr_array((self.unknowns, self.unknowns))
        for number, (level, own) in enumerate(zip(self.levels, self.slices, strict=True)):
            placed = sparse.csr_array(
                (np.ones(len(level.own)), (level.own, np.arange(own.start, own.stop))),
                shape=(len(level.nodes), self.unknowns),
            )
            spans.append(placed if not spans else sparse.csr_array(level.prolongation @ spans[-1]) + placed)
            weighted = self.bending * sparse.csr_array(self.bendings[number].matrix())
            coupled, alone = weighted @ spans[-1], weighted @ placed
            total = total + unit[:, own] @ coupled + (unit[:, own] @ (coupled - alone)).T
        for misfit in self.misfits:
            for number, rows, part in misfit.evaluation.parts:
                lines = sparse.csr_array(part) @ spans[number]
                total = total + lines.T @ sparse.diags_array(misfit.weights[rows]) @ lines
        return total.toarray()

    def energy(self, coefficients: Array) -> float:
        """Energy of a field with coefficients c (U,): c . A c - 2 b . c + the constant of the misfits."""
        totals = self.totals(coefficients)
        constant = sum(float(m.weights @ (m.targets * (m.targets - 2 * m.evaluation(totals)))) for m in self.misfits)
        return float(coefficients @ self(coefficients)) + constant

    @cached_property
    def _diagonals(self) -> list[Array]:
        """Diagonals of A for the own functions of the coarse lattices and then of the levels."""
        return [self._diagonal(level) for level in (*self.stack.coarse, *self.levels)]

    def _diagonal(self, level: Level) -> Array:
        entries = self.bending * level.bending_diagonal()
        for misfit in self.misfits:
            cells, local = level.locate(misfit.evaluation.points)
            here = np.flatnonzero(cells >= 0)
            squares = np.zeros(len(level.nodes))
            matrices = level.evaluation_matrices(
                cells[here], local[here], derivatives=int(misfit.evaluation.blocks == 4)
            )
            for block, matrix in enumerate(matrices):
                matrix.data **= 2
                squares += matrix.T @ misfit.weights[here + block * len(misfit.evaluation.points)]
            entries += squares[level.own]
        return entries

    def precondition(self, residual: Array) -> Array:
        """Apply the multilevel preconditioner, the sum of the inverse diagonals of all levels, (K,) -> (K,)."""
        count = len(self.stack.coarse)
        result = np.concatenate(
            [residual[own] / diagonal for own, diagonal in zip(self.slices, self._diagonals[count:], strict=True)]
        )
        here, below = residual[self.slices[0]], []
        for level in (self.levels[0], *self.stack.coarse[:0:-1])[:count]:
            here = level.restriction @ here
            below.append(here)
        correction = 0.0
        for number, part in enumerate(reversed(below)):
            finer = self.stack.coarse[number + 1] if number + 1 < count else self.levels[0]
            correction = finer.prolongation @ (correction + part / self._diagonals[number])
        result[self.slices[0]] += correction
        return result

    def solve(self, right: Array, guess: Array | None, tolerance: float, limit: int) -> tuple[Array, int, float]:
        """Solve A c = right by preconditioned conjugate gradients; small systems directly.

        Args:
            right: (K,).
            guess: (K,) initial guess, or None for zero.
            tolerance: of the residual relative to the right-hand side, both in the norm of the preconditioner.
            limit: the most iterations.

        Returns:
            c (K,), iterations (0 when solved directly), relative residual.
        """
        if self.direct:
            return self._direct(right)
        solution = np.zeros(self.unknowns) if guess is None else guess.copy()
        residual = right.copy() if guess is None else right - self(solution)
        whole = float(np.sqrt(right @ self.precondition(right)))
        reduced = self.precondition(residual)
        size = float(residual @ reduced)
        direction, iterations = reduced, 0
        while np.sqrt(max(size, 0.0)) > tolerance * whole and iterations < limit:
            image = self(direction)
            step = size / float(direction @ image)
            solution += step * direction
            residual -= step * image
            reduced = self.precondition(residual)
            before, size = size, float(residual @ reduced)
            direction = reduced + (size / before) * direction
            iterations += 1
        return solution, iterations, float(np.sqrt(max(size, 0.0))) / whole if whole > 0 else 0.0

    def _direct(self, right: Array) -> tuple[Array, int, float]:
        solution = linalg.cho_solve(linalg.cho_factor(self.matrix()), right)
        whole = float(np.linalg.norm(right))
        return solution, 0, float(np.linalg.norm(right - self(solution))) / whole if whole > 0 else 0.0
