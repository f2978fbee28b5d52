"""Batch sampler: the shapes of a training step, and the prefixes of their codes, from seed, stage and step alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .config import NESTING, TrainConfig


def mixed_seed(*numbers: int) -> int:
    """A seed made of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class BatchSampler(NamedTuple):
    """Rows of the shapes of every step; stateless, so that a resumed run takes the same ones.

    Attributes:
        config: of the run.
        shapes: S, in the collection.
        stored: K, of the start space that are rehearsed; 0 where nothing is.
    """

    config: TrainConfig
    shapes: int
    stored: int

    @property
    def batch(self) -> int:
        """Shapes of the collection in a step."""
        size = self.config.shapes_per_batch
        return min(size if not self.stored else max(1, size - self.rehearsed_per_step), self.shapes)

    @property
    def rehearsed_per_step(self) -> int:
        """Stored shapes rehearsed in a step."""
        return round(self.config.rehearsal * self.config.shapes_per_batch) if self.stored else 0

    def rows(self, stage: int, step: int) -> Tensor:
        """Rows (B,) in the collection: every pass is a new random order of all shapes."""
        batch, count = self.batch, self.shapes
        first = step * batch
        rows, passes = [], {first // count, (first + batch - 1) // count}
        for number in sorted(passes):
            generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, number, 1))
            order = torch.randperm(count, generator=generator)
            low = max(0, first - number * count)
            rows.append(order[low : min(count, first + batch - number * count)])
        return torch.cat(rows)

    def rehearsed_rows(self, stage: int, step: int) -> Tensor:
        """Rows (K,) of the stored shapes rehearsed in a step, drawn with replacement."""
        if not self.stored:
            return torch.arange(0)
        generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, step, 2, 0))
        return torch.randint(self.stored, (self.rehearsed_per_step,), generator=generator)

    def truncate_codes(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Codes (S, D), a random part of them truncated to one of the prefix sizes that the space is trained for."""
        sizes = self.config.nested
        if not sizes:
            return codes
        size = codes.shape[1]
        lengths = torch.tensor([*sizes, size])
        truncated = torch.rand(len(codes), generator=generator) < NESTING
        choice = torch.where(truncated, torch.randint(len(sizes), (len(codes),), generator=generator), len(sizes))
        mask = torch.arange(size) < lengths[choice][:, None]
        return codes * mask.to(codes)
