"""Batch sampler: the shapes of a training step, and the prefixes of their codes, from seed, stage and step alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .config import NESTING, TrainConfig


def mixed_seed(*numbers: int) -> int:
    """A seed made of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True)
class BatchSampler:
    """Rows of the shapes of every step, functions of its number, so that a resumed run takes the same ones.

    Attributes:
        config: of the run.
        shapes: S, in the collection.
        stored: K, of the start space that are rehearsed; 0 where nothing is.
    """

    config: TrainConfig
    shapes: int
    stored: int
    _orders: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False, compare=False)

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
        """Rows (B,) in the collection: every pass is a new random order of all shapes.

        Within a pass each batch has one shape of every residue class modulo B (stratified sampling), so that processes
        which own such classes (`sharding`) have equal parts of it.
        """
        batch, count = self.batch, self.shapes
        first = step * batch
        rows, passes = [], {first // count, (first + batch - 1) // count}
        for number in sorted(passes):
            low = max(0, first - number * count)
            rows.append(self._order(stage, number)[low : min(count, first + batch - number * count)])
        return torch.cat(rows)

    def _order(self, stage: int, number: int) -> Tensor:
        """Order (S,) of all shapes in a pass; those of the last two passes are kept."""
        if (stage, number) not in self._orders:
            while len(self._orders) > 1:
                self._orders.pop(next(iter(self._orders)))
            generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, number, 1))
            order = torch.randperm(self.shapes, generator=generator)
            classes = order % self.batch
            order = order[torch.argsort(classes, stable=True)]
            sizes = torch.bincount(classes, minlength=self.batch)
            turn = torch.arange(self.shapes) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
            self._orders[stage, number] = order[torch.argsort(turn, stable=True)]
        return self._orders[stage, number]

    def rehearsed_rows(self, stage: int, step: int) -> Tensor:
        """Rows (K,) of the stored shapes rehearsed in a step, drawn with replacement."""
        if not self.stored:
            return torch.arange(0)
        generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, stage, step, 2, 0))
        return torch.randint(self.stored, (self.rehearsed_per_step,), generator=generator)

    def prefix_mask(self, count: int, size: int, generator: torch.Generator) -> Tensor | None:
        """Mask (S, D) of the numbers kept of S codes, a random part of which is cut to a prefix; None keeps all."""
        sizes = self.config.nested
        if not sizes:
            return None
        lengths = torch.tensor([*sizes, size])
        truncated = torch.rand(count, generator=generator) < NESTING
        choice = torch.where(truncated, torch.randint(len(sizes), (count,), generator=generator), len(sizes))
        return torch.arange(size) < lengths[choice][:, None]
