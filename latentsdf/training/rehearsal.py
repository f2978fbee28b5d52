"""What a trained space says of its own shapes, kept as samples: practised beside new shapes, it is not forgotten."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..core.lattice import lattice_vertices
from ..decoder.base import Decoder
from ..space.space import LatentSpace

LATTICE = 20
"""Vertices per axis of the lattice on which a stored shape's surface is found."""
NEAR = 0.8
"""Part of the samples that lie near the surface; the rest is uniform in the cube."""


class Rehearsal:
    """Samples of the shapes that a decoder can already decode, made when they are first asked for.

    Training on them beside other shapes holds the decoder to what it knew (rehearsal by the network's own answers:
    Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal", 1995).

    Args:
        decoder: as it is before training; it is kept as it is.
        codes: (K, D) of the shapes to hold it to.
        points: samples a shape.
        seed: of the samples; those of a shape depend on the seed and its row alone.
    """

    def __init__(self, decoder: Decoder, codes: Tensor, points: int = 8192, seed: int = 0):
        self.decoder, self.codes = decoder, codes
        self.points, self.seed = points, seed
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def draw(self, rows: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Samples of some shapes: points (R, count, 3) and signed distances (R, count)."""
        points, distances = zip(*[self._samples(int(row)) for row in rows], strict=True)
        chosen = torch.randint(self.points, (len(rows), count), generator=random)
        picked = torch.stack([part[index] for part, index in zip(points, chosen, strict=True)])
        return picked, torch.stack([part[index] for part, index in zip(distances, chosen, strict=True)])

    @torch.no_grad()
    def _samples(self, row: int) -> tuple[Tensor, Tensor]:
        if row not in self._known:
            random = torch.Generator().manual_seed(self.seed * 1_000_003 + row)
            state = self.decoder.prepare(self.codes[row : row + 1])
            step = 2.0 / (LATTICE - 1)
            lattice = lattice_vertices(LATTICE)
            size = self._field(state, lattice).abs()
            near = lattice[size < max(step, float(size.min()) + 0.5 * step)]
            count = round(NEAR * self.points)
            around = near[torch.randint(len(near), (2 * count,), generator=random)]
            around = (around + step * (torch.rand(2 * count, 3, generator=random) - 0.5)).clamp(-1.0, 1.0)
            distances = self._field(state, around)
            kept = (distances.abs() * torch.rand(len(distances), generator=random)).argsort()[:count]
            uniform = 2.0 * torch.rand(self.points - count, 3, generator=random) - 1.0
            self._known[row] = (
                torch.cat([around[kept], uniform]),
                torch.cat([distances[kept], self._field(state, uniform)]),
            )
        return self._known[row]

    def _field(self, state: object, points: Tensor) -> Tensor:
        device = self.codes.device
        return self.decoder.query(state, points[None].to(device), self.decoder.branches[-1])[0].cpu()


def fingerprint(space: LatentSpace) -> str:
    """A short digest of a space's decoder and codes: whether a file still holds what a run was begun from."""
    digest = hashlib.sha256()
    for name, value in sorted(space.decoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(space.codes().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
