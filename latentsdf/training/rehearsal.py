"""Rehearsal: samples of a trained space's own fields, trained on beside a new collection so that it is not forgotten.

Pseudo-rehearsal by the network's own answers: Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal", 1995.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..core.lattice import lattice_vertices
from ..decoder.base import Decoder
from ..space.space import LatentSpace
from .config import TrainConfig
from .initialization import fresh_decoder
from .warm_start import copy_weights, resize_codes

LATTICE = 20
"""Vertices per axis of the lattice on which a stored shape's surface is located."""
NEAR = 0.8
"""Part of the samples that lie near the surface; the rest is uniform in the cube."""


class Rehearsal:
    """Samples of the shapes that a decoder already decodes; those of a shape are made when first asked for.

    Args:
        decoder: as it is before training; it does not change.
        codes: (K, D) of the shapes.
        points: samples a shape.
        seed: of the samples; those of a shape depend on the seed and its row alone.
    """

    def __init__(self, decoder: Decoder, codes: Tensor, points: int = 8192, seed: int = 0):
        self.decoder, self.codes = decoder, codes
        self.points, self.seed = points, seed
        self._cache: dict[int, tuple[Tensor, Tensor]] = {}

    def sample(self, rows: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random samples of some shapes, with replacement.

        Args:
            rows: (S,) of the codes.
            count: N, samples a shape.
            generator: the only source of randomness.

        Returns:
            points (S, N, 3) and signed distances (S, N).
        """
        return self.sample_at(rows, torch.randint(self.points, (len(rows), count), generator=generator))

    def sample_at(self, rows: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """As `sample`, with given numbers (S, N) of the samples of each shape, below `points`."""
        points, distances = zip(*[self._samples(int(row)) for row in rows], strict=True)
        sampled = torch.stack([part[index] for part, index in zip(points, indices, strict=True)])
        return sampled, torch.stack([part[index] for part, index in zip(distances, indices, strict=True)])

    @torch.no_grad()
    def _samples(self, row: int) -> tuple[Tensor, Tensor]:
        if row not in self._cache:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + row)
            state = self.decoder.prepare(self.codes[row : row + 1])
            step = 2.0 / (LATTICE - 1)
            lattice = lattice_vertices(LATTICE)
            size = self._field(state, lattice).abs()
            near = lattice[size < max(step, float(size.min()) + 0.5 * step)]
            count = round(NEAR * self.points)
            # Twice as many candidates as samples, of which those nearer to the surface are more likely kept.
            candidates = near[torch.randint(len(near), (2 * count,), generator=generator)]
            candidates = (candidates + step * (torch.rand(2 * count, 3, generator=generator) - 0.5)).clamp(-1.0, 1.0)
            distances = self._field(state, candidates)
            best = (distances.abs() * torch.rand(len(distances), generator=generator)).argsort()[:count]
            uniform = 2.0 * torch.rand(self.points - count, 3, generator=generator) - 1.0
            self._cache[row] = (
                torch.cat([candidates[best], uniform]),
                torch.cat([distances[best], self._field(state, uniform)]),
            )
        return self._cache[row]

    def _field(self, state: object, points: Tensor) -> Tensor:
        device = self.codes.device
        return self.decoder.query(state, points[None].to(device), self.decoder.branches[-1])[0].cpu()


def make_rehearsal(config: TrainConfig, start: LatentSpace | None, device: torch.device) -> Rehearsal | None:
    """Rehearsal of the shapes of a start space, at the code size of the run; None where nothing is rehearsed.

    Raises:
        ValueError: the space's decoder is of another form than the config's.
    """
    if start is None or len(start) == 0 or not config.rehearsal:
        return None
    decoder = fresh_decoder(config)
    copy_weights(decoder, start.decoder)
    codes = resize_codes(start.codes(), decoder.code_size)
    return Rehearsal(decoder.to(device).eval().requires_grad_(False), codes.to(device), seed=config.seed)


def fingerprint(space: LatentSpace) -> str:
    """Short digest of a space's decoder and codes: a run resumes only with the start space that it was begun from."""
    digest = hashlib.sha256()
    for name, value in sorted(space.decoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(space.codes().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
