"""Objective of a training stage: the loss terms of a step, the gradients of parts of its batch taken in threads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.optimize import gradient_norm
from ..core.ranks import Ranks
from ..core.threads import terms_of_parts, with_gradients
from ..dataset.dataset import Draw
from ..decoder.base import Decoder
from .batch_sampler import BatchSampler, mixed_seed
from .config import CODE_PRIOR
from .loss import distance_loss
from .rehearsal import Rehearsal
from .sharding import Sharding
from .stages import Stage
from .state import TrainState


class _Draw(NamedTuple):
    """What is random in a step, of the whole batch: the same however it is divided among threads and processes.

    Attributes:
        offsets: (B, groups) of each branch, where the runs of samples begin.
        indices: (K, N) of each branch, numbers of the samples of rehearsed shapes.
        mask: (B + K, D) numbers of the codes that are kept; None keeps all.
    """

    offsets: dict[str, Tensor]
    indices: dict[str, Tensor]
    mask: Tensor | None


class StageObjective:
    """Terms of a step, a function of the step's number and the parameters alone.

    Of several processes each takes the shapes that it owns; terms and gradients of the decoder are sums over all.

    Args:
        state: decoder, codes and dataset of the run; of this process.
        stage: branches that are fitted, sample groups and learning rates.
        rehearsal: of a start space; None without.
        sharding: of the run; None is that of one process.
        count, pool: threads that a batch is split over, and `core.threads.workers` of them.
    """

    def __init__(
        self,
        state: TrainState,
        stage: Stage,
        rehearsal: Rehearsal | None,
        sharding: Sharding | None = None,
        count: int = 1,
        pool: ThreadPoolExecutor | None = None,
    ):
        self._state, self._stage, self._index = state, stage, state.stage
        # Where the codes alone are trained the decoder cannot forget.
        self._rehearsal = rehearsal if set(stage.rates) != {"codes"} else None
        self._count, self._pool = count, pool
        dataset = state.dataset if sharding is None else sharding.dataset
        stored = 0 if rehearsal is None else len(rehearsal.codes)
        # Each keeps the last orders that it was asked for, and `draws` is called steps ahead, in another thread.
        self._sampler, self._sampler_ahead = (BatchSampler(state.config, len(dataset), stored) for _ in range(2))
        self._sharding = sharding or Sharding(Ranks(), dataset, self._sampler.batch)
        self._counts = {
            branch: {group: round(part * state.config.points_per_shape) for group, part in groups.items()}
            for branch, groups in stage.losses.items()
        }
        self._squares = torch.zeros(())
        groups = state.decoder.groups()
        self._weights = [tensor for name, tensors in groups.items() if name in stage.rates for tensor in tensors]

    @property
    def samples_per_step(self) -> int:
        """Points through the network in a step, all branches and processes together."""
        shapes = self._sampler.batch + (self._sampler.rehearsed_per_step if self._rehearsal is not None else 0)
        return shapes * self._state.config.points_per_shape * len(self._stage.losses)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Loss terms of a step: a scalar for each branch, and one for the prior of the codes."""
        sharding, table = self._sharding, self._state.codes
        rows = self._sampler.rows(self._index, step)
        rehearsed = self._sampler.rehearsed_rows(self._index, step) if self._rehearsal is not None else torch.arange(0)
        draw = self._draw(step, len(rows), len(rehearsed))
        sharding.count_codes(rows, len(rehearsed))
        own, others = sharding.own(rows), sharding.own_rehearsed(len(rehearsed))
        codes = table(sharding.local(rows[own]).to(table.weight.device))
        leaf = codes if sharding.ranks.size == 1 else codes.detach().requires_grad_("codes" in self._stage.rates)
        terms = self._terms(step, leaf, _Batch(rows, rehearsed, own, others), draw)
        if "codes" in self._stage.rates:
            share = len(own) / len(rows)
            terms["prior"] = CODE_PRIOR * share * leaf.square().mean() if len(own) else leaf.sum()
        return terms if leaf is codes else self._summed(terms, leaf, codes)

    def draws(self, step: int) -> Iterator[Draw]:
        """The samples of the dataset that this process reads in a step, part after part as its threads do."""
        rows = self._sampler_ahead.rows(self._index, step)
        offsets = self._offsets(len(rows), self._generator(step, 0))
        for part in self._parts_of(self._sharding.own(rows)):
            yield from self._reads(rows, offsets, part).values()

    def norm(self, tensors: Sequence[Tensor]) -> float:
        """Norm, a scalar, of the gradients of this step, of parameters of which this process may hold some columns."""
        copied = gradient_norm([tensor for tensor in tensors if not self._sharding.is_divided(tensor)])
        return math.sqrt(copied * copied + float(self._squares))

    def _draw(self, step: int, count: int, rehearsed: int) -> _Draw:
        generator, size = self._generator(step, 0), self._state.codes.weight.shape[1]
        offsets, indices = self._offsets(count, generator), {}
        for branch, counts in self._counts.items() if rehearsed else ():
            assert self._rehearsal is not None
            shape = rehearsed, sum(counts.values())
            indices[branch] = torch.randint(self._rehearsal.points, shape, generator=generator)
        mask = self._sampler.prefix_mask(count + rehearsed, size, self._generator(step, 1))
        return _Draw(offsets, indices, mask)

    def _generator(self, step: int, number: int) -> torch.Generator:
        """One of the sources of randomness of a step."""
        return torch.Generator().manual_seed(mixed_seed(self._state.config.seed, self._index, step, number))

    def _offsets(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Where the runs of samples of each shape begin: (count, groups) of each branch, the first that is drawn."""
        return {
            branch: torch.rand(count, len(counts), dtype=torch.float64, generator=generator)
            for branch, counts in self._counts.items()
        }

    def _parts_of(self, own: Tensor) -> tuple[Tensor, ...]:
        """Positions (S,) of own shapes in a batch, divided for the threads; one part at least."""
        return torch.tensor_split(own, max(1, min(self._count, len(own))))

    def _reads(self, rows: Tensor, offsets: dict[str, Tensor], part: Tensor) -> dict[str, Draw]:
        """What the branches read of own shapes, by their positions (S,) in the rows (B,) of a batch."""
        local = self._sharding.local(rows[part])
        return {branch: (local, counts, offsets[branch][part]) for branch, counts in self._counts.items()}

    def _terms(self, step: int, codes: Tensor, batch: _Batch, draw: _Draw) -> dict[str, Tensor]:
        """This process's part of the terms, of the codes (S, D) of its shapes."""
        owned = self._parts_of(batch.own)
        count = len(owned)
        pieces = list(zip(owned, torch.tensor_split(batch.others, count), strict=True))
        order = torch.cat([torch.cat([own, len(batch.rows) + others]) for own, others in pieces])
        share = len(order) / (len(batch.rows) + len(batch.rehearsed))
        if not len(order):
            nothing = self._state.decoder.flat_state(codes).sum()  # the other processes wait for its exchange
            return dict.fromkeys(self._counts, nothing)
        codes = self._with_rehearsed(codes, batch, count)
        if draw.mask is not None:
            codes = codes * draw.mask[order].to(codes)
        flat = self._state.decoder.flat_state(codes)
        parts = [partial(self._part, batch, draw, *piece) for piece in pieces]
        if self._pool is not None and len(parts) > 1:
            sizes = [len(own) + len(others) for own, others in pieces]
            terms = terms_of_parts(parts, flat.split(sizes), self._weights, self._pool)
        else:
            with torch.random.fork_rng(devices=[flat.device] if flat.device.type == "cuda" else []):
                torch.manual_seed(mixed_seed(self._state.config.seed, self._index, step) + self._sharding.ranks.rank)
                terms = parts[0](flat)
        return terms if share == 1.0 else {name: share * term for name, term in terms.items()}

    def _with_rehearsed(self, codes: Tensor, batch: _Batch, count: int) -> Tensor:
        """Codes (S, D) of own shapes and those of rehearsed ones, a part of each after the other."""
        if not len(batch.others):
            return codes
        assert self._rehearsal is not None
        others = self._rehearsal.codes[batch.rehearsed[batch.others].to(codes.device)]
        pairs = zip(torch.tensor_split(codes, count), torch.tensor_split(others, count), strict=True)
        return torch.cat([part for pair in pairs for part in pair])

    def _part(self, batch: _Batch, draw: _Draw, own: Tensor, others: Tensor, flat: Tensor) -> dict[str, Tensor]:
        """Terms of a part: positions own (S,) and others (K,) in the batch, states (S + K, F)."""
        state, device = self._state, flat.device
        prepared = state.decoder.state_of(flat)
        terms = {}
        for branch, read in self._reads(batch.rows, draw.offsets, own).items():
            points, distances = state.dataset.sample_at(*read)
            if len(others):
                assert self._rehearsal is not None
                more = self._rehearsal.sample_at(batch.rehearsed[others], draw.indices[branch][others])
                points, distances = torch.cat([points, more[0]]), torch.cat([distances, more[1]])
            predicted = state.decoder.query(prepared, points.to(device), branch)
            terms[branch] = distance_loss(predicted, distances.to(device), state.config)
        return terms

    def _summed(self, terms: dict[str, Tensor], leaf: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """Terms summed over all processes, with the gradients of the decoder summed and those of own codes (S, D)."""
        leaves = [*self._weights, leaf] if leaf.requires_grad else self._weights
        loss, gradients = torch.stack(list(terms.values())).sum(), [None] * len(leaves)
        if loss.requires_grad:
            gradients = list(torch.autograd.grad(loss, leaves, allow_unused=True))
        of_weights = [
            torch.zeros_like(weights) if found is None else found
            for weights, found in zip(self._weights, gradients[: len(self._weights)], strict=True)
        ]
        copied = [i for i, weights in enumerate(self._weights) if not self._sharding.is_divided(weights)]
        squares = [torch.linalg.vector_norm(found) ** 2 for i, found in enumerate(of_weights) if i not in copied]
        values = torch.stack([*(term.detach() for term in terms.values()), sum(squares, torch.zeros_like(loss))])
        *sums, values = self._sharding.ranks.sum([*(of_weights[i] for i in copied), values.detach()])
        *values, self._squares = values
        for i, found in zip(copied, sums, strict=True):
            of_weights[i] = found
        summed = dict(zip(terms, values, strict=True))
        first, targets = next(iter(summed)), [*self._weights, codes] if leaf.requires_grad else self._weights
        summed[first] = with_gradients(summed[first], [*of_weights, *gradients[len(self._weights) :]], targets)
        return summed


class _Batch(NamedTuple):
    """Rows (B,) of a step in the collection and rehearsed ones (K,), and positions there of those of this process."""

    rows: Tensor
    rehearsed: Tensor
    own: Tensor
    others: Tensor


def thread_count(decoder: Decoder, device: torch.device) -> int:
    """Threads that a step is spread over: torch's own count on a CPU; one where dropout shares a random state."""
    drops = any(isinstance(module, nn.Dropout) and module.p > 0 for module in decoder.modules())
    return 1 if drops or device.type != "cpu" else torch.get_num_threads()
