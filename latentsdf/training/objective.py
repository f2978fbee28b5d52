"""Objective of a training stage: the loss terms of a step, the gradients of parts of its batch taken in threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from ..core.threads import terms_of_parts
from ..dataset.dataset import Draw
from ..decoder.base import Decoder
from .batch_sampler import BatchSampler, mixed_seed
from .config import CODE_PRIOR
from .loss import distance_loss
from .rehearsal import Rehearsal
from .stages import Stage
from .state import TrainState


class StageObjective:
    """Terms of a step, a function of the step's number and the parameters alone.

    Args:
        state: decoder, codes and dataset of the run.
        stage: branches that are fitted, sample groups and learning rates.
        rehearsal: of a start space; None without.
        count, pool: threads that a batch is split over, and `core.threads.workers` of them.
    """

    def __init__(
        self,
        state: TrainState,
        stage: Stage,
        rehearsal: Rehearsal | None,
        count: int = 1,
        pool: ThreadPoolExecutor | None = None,
    ):
        self._state, self._stage, self._index = state, stage, state.stage
        # Where the codes alone are trained the decoder cannot forget.
        self._rehearsal = rehearsal if set(stage.rates) != {"codes"} else None
        self._count, self._pool = count, pool
        stored = 0 if rehearsal is None else len(rehearsal.codes)
        self._sampler = BatchSampler(state.config, len(state.dataset), stored)
        self._counts = {
            branch: {group: round(part * state.config.points_per_shape) for group, part in groups.items()}
            for branch, groups in stage.losses.items()
        }
        groups = state.decoder.groups()
        self._weights = [tensor for name, tensors in groups.items() if name in stage.rates for tensor in tensors]

    @property
    def samples_per_step(self) -> int:
        """Points through the network in a step, all branches together."""
        shapes = self._sampler.batch + (self._sampler.rehearsed_per_step if self._rehearsal is not None else 0)
        return shapes * self._state.config.points_per_shape * len(self._stage.losses)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Loss terms of a step: a scalar for each branch, and one for the prior of the codes."""
        seed, table = self._state.config.seed, self._state.codes
        device = table.weight.device
        rows = self._sampler.rows(self._index, step)
        codes = table(rows.to(device))
        owned = self._parts_of(rows)
        count = len(owned)
        rehearsed = self._sampler.rehearsed_rows(self._index, step) if self._rehearsal is not None else torch.arange(0)
        pieces = list(zip(owned, torch.tensor_split(rehearsed, count), strict=True))
        parts = [partial(self._part, *piece, self._generator(step, number)) for number, piece in enumerate(pieces)]
        generator = torch.Generator().manual_seed(mixed_seed(seed, self._index, step, len(parts)))
        flat = self._state.decoder.flat_state(
            self._sampler.truncate_codes(self._with_rehearsed(codes, rehearsed, count), generator)
        )
        if self._pool is not None and len(parts) > 1:
            sizes = [len(own) + len(others) for own, others in pieces]
            terms = terms_of_parts(parts, flat.split(sizes), self._weights, self._pool)
        else:
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(mixed_seed(seed, self._index, step))
                terms = parts[0](flat)
        if "codes" in self._stage.rates:
            terms["prior"] = CODE_PRIOR * codes.square().mean()
        return terms

    def draws(self, step: int) -> Iterator[Draw]:
        """The samples of the dataset that a step draws."""
        for number, part in enumerate(self._parts_of(self._sampler.rows(self._index, step))):
            generator = self._generator(step, number)
            for counts in self._counts.values():
                yield part, counts, generator

    def _parts_of(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows (B,) of a step, divided for its threads."""
        return torch.tensor_split(rows, min(self._count, len(rows)))

    def _generator(self, step: int, number: int) -> torch.Generator:
        """Randomness of a part of a step."""
        return torch.Generator().manual_seed(mixed_seed(self._state.config.seed, self._index, step, number))

    def _with_rehearsed(self, codes: Tensor, rehearsed: Tensor, count: int) -> Tensor:
        """Codes (S, D) of the batch and those of rehearsed shapes (K,), a part of each after the other."""
        if not len(rehearsed):
            return codes
        assert self._rehearsal is not None
        others = self._rehearsal.codes[rehearsed.to(codes.device)]
        pairs = zip(torch.tensor_split(codes, count), torch.tensor_split(others, count), strict=True)
        return torch.cat([part for pair in pairs for part in pair])

    def _part(self, rows: Tensor, rehearsed: Tensor, generator: torch.Generator, flat: Tensor) -> dict[str, Tensor]:
        """Terms of a part of the batch: rows (S,) of the collection, rehearsed ones (K,), states (S + K, F)."""
        state, device = self._state, flat.device
        rehearsal = self._rehearsal if len(rehearsed) else None
        prepared = state.decoder.state_of(flat)
        # Drawn before anything else is, so that `draws` knows them ahead.
        drawn = {branch: state.dataset.sample(rows, counts, generator) for branch, counts in self._counts.items()}
        terms = {}
        for branch, (points, distances) in drawn.items():
            if rehearsal is not None:
                more = rehearsal.sample(rehearsed, points.shape[1], generator)
                points, distances = torch.cat([points, more[0]]), torch.cat([distances, more[1]])
            predicted = state.decoder.query(prepared, points.to(device), branch)
            terms[branch] = distance_loss(predicted, distances.to(device), state.config)
        return terms


def thread_count(decoder: Decoder, device: torch.device) -> int:
    """Threads that a step is spread over: torch's own count on a CPU; one where dropout shares a random state."""
    drops = any(isinstance(module, nn.Dropout) and module.p > 0 for module in decoder.modules())
    return 1 if drops or device.type != "cpu" else torch.get_num_threads()
