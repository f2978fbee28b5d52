"""Layouts of a code of 64 numbers, compared by principal components: flat, tokens of octants, aligned shapes.

    python benchmarks/linear_codes.py BASE.h5 DATASET.h5

Both are datasets of `latentsdf prepare`. The components are those of all shapes of the first and of the training share
of the second; the figure is their error near the surface on the held-out share. Takes about an hour on one core.
"""

from __future__ import annotations

import itertools
import sys
from typing import NamedTuple

import torch
from split import split
from torch import Tensor

from latentsdf.core.cube_rotations import cube_rotations, rotate_lattice
from latentsdf.dataset.dataset import Dataset

CELLS, TRUNCATION, NUMBERS = 32, 0.1, 64
HALF = CELLS // 2
ROUNDS = (2, 4, 8, 16, 32, 64, 64, 64)
"""Components by round, while shapes are rotated to where these explain them best."""


class Components(NamedTuple):
    """A mean (V,) and orthonormal columns (V, K)."""

    mean: Tensor
    basis: Tensor

    @staticmethod
    def of(rows: Tensor, count: int) -> Components:
        """The first principal components of rows (S, V)."""
        mean = rows.mean(0)
        centred = rows - mean
        vectors = torch.linalg.eigh((centred @ centred.T).double())[1][:, -count:].float()
        basis = centred.T @ vectors
        return Components(mean, basis / basis.norm(dim=0))

    def project(self, rows: Tensor) -> Tensor:
        """Rows (S, V) as their codes give them back."""
        return self.mean + ((rows - self.mean) @ self.basis) @ self.basis.T


def main() -> None:
    """Read, try, print."""
    base, own = (Dataset(path, memory=0.0) for path in sys.argv[1:3])
    row_of = {name: row for row, name in enumerate(own.names)}
    training, held_out = split(list(own.names))
    lattices = own.lattices(resolution=CELLS).clamp(-TRUNCATION, TRUNCATION)
    seen = torch.cat(
        [base.lattices(resolution=CELLS).clamp(-TRUNCATION, TRUNCATION), lattices[[row_of[name] for name in training]]]
    )
    unseen = lattices[[row_of[name] for name in held_out]]
    for count in (16, 32, NUMBERS, 128):
        parts = Components.of(seen.flatten(1), count)
        print(f"flat {count}: held-out {error(unseen, parts):.2f}, seen {error(seen[::10], parts):.2f}", flush=True)
    for flat in (0, 16, 32, 48):
        print(f"{flat} flat numbers and 8 tokens: {tokens(seen, unseen, flat):.2f}", flush=True)
    parts = Components.of(seen.flatten(1), NUMBERS)
    print(f"held-out shapes rotated: {error(rotate_nearest(unseen, parts), parts):.2f}", flush=True)
    for count in ROUNDS:
        seen = rotate_nearest(seen, Components.of(seen.flatten(1), count))
    parts = Components.of(seen.flatten(1), NUMBERS)
    print(f"all shapes rotated: {error(rotate_nearest(unseen, parts), parts):.2f}", flush=True)


def error(lattices: Tensor, parts: Components) -> float:
    """Mean error near the surface, times 1000."""
    return difference(lattices.flatten(1), parts.project(lattices.flatten(1)))


def difference(rows: Tensor, others: Tensor) -> float:
    """Mean difference where the rows are near zero, times 1000."""
    near = rows.abs() < 0.9 * TRUNCATION
    return float((((rows - others).abs() * near).sum(1) / near.sum(1)).mean()) * 1e3


def tokens(seen: Tensor, unseen: Tensor, flat: int) -> float:
    """Error with some flat numbers, and the rest of the 64 in eight tokens, each for what is left in one octant."""
    first = [rows.flatten(1) for rows in (seen, unseen)]
    guess = [torch.zeros_like(rows) for rows in first]
    if flat:
        parts = Components.of(first[0], flat)
        guess = [parts.project(rows) for rows in first]
    left = [(rows - part).view(-1, CELLS, CELLS, CELLS) for rows, part in zip(first, guess, strict=True)]
    whole = guess[1].view(-1, CELLS, CELLS, CELLS).clone()
    for corner in itertools.product((slice(0, HALF), slice(HALF, CELLS)), repeat=3):
        inside = [rows[(slice(None), *corner)] for rows in left]
        parts = Components.of(inside[0].flatten(1), (NUMBERS - flat) // 8)
        whole[(slice(None), *corner)] += parts.project(inside[1].flatten(1)).view_as(inside[1])
    return difference(first[1], whole.flatten(1))


def rotate_nearest(lattices: Tensor, parts: Components) -> Tensor:
    """Each lattice in the rotation of the cube group that the components explain best."""
    best, least = lattices.clone(), torch.full((len(lattices),), torch.inf)
    for rotation in cube_rotations():
        rotated = rotate_lattice(lattices, rotation)
        residual = (rotated.flatten(1) - parts.project(rotated.flatten(1))).square().sum(1)
        better = residual < least
        best[better], least = rotated[better], torch.minimum(least, residual)
    return best


if __name__ == "__main__":
    main()
