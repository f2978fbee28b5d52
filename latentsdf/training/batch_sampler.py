"""Which shapes a training step takes, and how much of their codes: a function of seed, stage and step alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .config import TrainConfig


def mixed_seed(*numbers: int) -> int:
    """A seed made of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class BatchSampler(NamedTuple):
    """The draws of a run.

    Attributes:
        config: of the run.
        shapes: S, in the collection.
        rehearsed: K, that the run's start can decode already; 0 where nothing is rehearsed.
    """

    config: TrainConfig
    shapes: int
    rehearsed: int

    @property
    def batch(self) -> int:
        """Shapes of the collection in a step."""
        room = self.config.shapes_per_batch
        return min(room if not self.rehearsed else max(1, room - self.rehearsed_per_step), self.shapes)

    @property
    def rehearsed_per_step(self) -> int:
        """Shapes rehearsed in a step."""
        return round(self.config.rehearsal * self.config.shapes_per_batch) if self.rehearsed else 0

    def rows(self, stage: int, step: int) -> Tensor:
        """Rows in the collection (batch,): a fresh random order every pass, the same whenever it is asked for."""
        batch, count = self.batch, self.shapes
        first = step * batch
        rows, passes = [], {first // count, (first + batch - 1) // count}
        for number in sorted(passes):
            random = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, number, 1))
            order = torch.randperm(count, generator=random)
            low = max(0, first - number * count)
            rows.append(order[low : min(count, first + batch - number * count)])
        return torch.cat(rows)

    def rehearsed_rows(self, stage: int, step: int) -> Tensor:
        """Rows of the shapes rehearsed in a step, (again,)."""
        if not self.rehearsed:
            return torch.arange(0)
        random = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, step, 2, 0))
        return torch.randint(self.rehearsed, (self.rehearsed_per_step,), generator=random)

    def nested(self, codes: Tensor, random: torch.Generator) -> Tensor:
        """Codes (S, D), some of them cut to one of the lengths that they are to be readable at."""
        sizes = self.config.nested
        if not sizes:
            return codes
        size = codes.shape[1]
        lengths = torch.tensor([*sizes, size])
        cut = torch.rand(len(codes), generator=random) < self.config.nesting
        choice = torch.where(cut, torch.randint(len(sizes), (len(codes),), generator=random), len(sizes))
        kept = torch.arange(size) < lengths[choice][:, None]
        return codes * kept.to(codes)
