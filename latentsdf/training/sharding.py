"""Division of a run among processes: the decoder copied to all, each shape with its code and moments in one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.ranks import Ranks
from ..dataset.dataset import Dataset
from .config import config_from_dict, config_to_dict
from .initialization import fresh_decoder
from .state import FACTS, TrainState

_CODES = "codes/"
"""Beginning of the names of the moments of codes."""


class Sharding(NamedTuple):
    """Division of shapes among processes: shape s belongs to process (s mod B) mod W.

    Within a pass a batch has one shape of each residue class modulo B (`BatchSampler.rows`), so every process has its
    part of each batch, to one shape.

    Attributes:
        ranks: W processes.
        dataset: all shapes of the collection, as they are stored.
        batch: B, shapes of the collection in a step.
    """

    ranks: Ranks
    dataset: Dataset
    batch: int

    def owned(self) -> list[Tensor]:
        """Rows of each process in the collection, ascending."""
        rows = torch.arange(len(self.dataset))
        owners = rows % self.batch % self.ranks.size
        return [rows[owners == rank] for rank in range(self.ranks.size)]

    def own(self, rows: Tensor) -> Tensor:
        """Positions in a batch, rows (B,) of the collection, of the shapes that are this process's."""
        return torch.nonzero(rows % self.batch % self.ranks.size == self.ranks.rank)[:, 0]

    def own_rehearsed(self, count: int) -> Tensor:
        """Positions of this process's part of rehearsed shapes, the last process first."""
        return torch.arange(count)[self.ranks.size - 1 - self.ranks.rank :: self.ranks.size]

    def local(self, rows: Tensor) -> Tensor:
        """Rows in the tables of this process, of own rows of the collection."""
        turns, classes = rows // self.batch, rows % self.batch
        size, rank = self.ranks.size, self.ranks.rank
        per_turn = len(range(rank, self.batch, size))
        return turns * per_turn + (classes - rank) // size


def scatter_state(state: TrainState | None, dataset: Dataset, batch: int, ranks: Ranks) -> tuple[TrainState, Sharding]:
    """Give each process its part of the state that rank 0 made or restored.

    Args:
        state: of rank 0, whole; None of the others.
        dataset: the shapes as they are stored, the same for all.
        batch: shapes of the collection in a step, as rank 0 says.
        ranks: of the run.

    Returns:
        The state of this process, with its own shapes alone, and the division.

    Raises:
        ValueError: the dataset is not that of rank 0, or there are more processes than shapes in a batch.
        ConnectionError: another process no longer answers.
    """
    if ranks.size == 1:
        assert state is not None
        return state, Sharding(ranks, dataset, batch)
    digest = hashlib.sha256("\n".join(dataset.fingerprints).encode()).hexdigest()
    header: dict[str, Any] = {}
    if state is not None:
        moments = {name: [list(value.shape), str(value.dtype)] for name, value in state.moments.items()}
        header = {"dataset": digest, "config": config_to_dict(state.config), "moments": moments}
        header |= {"facts": {name: getattr(state, name) for name in FACTS}, "rotated": state.rotations is not None}
        header["batch"] = batch
    header = ranks.share(header)
    batch = header["batch"]
    if header["dataset"] != digest:
        raise ValueError(f"process {ranks.rank} reads other shapes in {dataset.path} than process 0; give all one file")
    if ranks.size > batch:
        raise ValueError(f"{ranks.size} processes for batches of {batch} shapes; start {batch} or fewer")
    sharding = Sharding(ranks, dataset, batch)
    config, owned = config_from_dict(header["config"]), sharding.owned()
    decoder = fresh_decoder(config).to(ranks.device) if state is None else state.decoder
    for tensor in decoder.state_dict().values():
        ranks.broadcast(tensor)
    rotations = None
    if header["rotated"]:
        rotations = torch.zeros(len(dataset), 3, 3) if state is None or state.rotations is None else state.rotations
        ranks.broadcast(rotations)
    whole = dataset if rotations is None else dataset.rotated(rotations.cpu())
    row = torch.zeros(0, decoder.code_size, device=ranks.device)
    own = ranks.scatter(None if state is None else state.codes.weight.detach(), owned, row)
    part = TrainState(
        whole.subset(owned[ranks.rank]),
        config,
        decoder,
        nn.Embedding(len(own), decoder.code_size, sparse=True, _weight=own),
        rotations,
        **header["facts"],
    )
    for name, (shape, kind) in header["moments"].items():
        given = None if state is None else state.moments[name]
        if name.startswith(_CODES) and shape:
            part.moments[name] = ranks.scatter(given, owned, row)
        else:
            value = torch.zeros(shape, dtype=getattr(torch, kind.removeprefix("torch."))) if given is None else given
            ranks.broadcast(value)
            part.moments[name] = value.to(ranks.device)
    return part, sharding


def gather_state(part: TrainState, sharding: Sharding) -> TrainState | None:
    """The whole state of a run, for rank 0; None for the others.

    Args:
        part: state of this process.
        sharding: of the run.

    Raises:
        ConnectionError: another process no longer answers.
    """
    ranks, dataset = sharding.ranks, sharding.dataset
    if ranks.size == 1:
        return part
    owned = sharding.owned()
    codes = ranks.gather(part.codes.weight, owned)
    moments = {
        name: ranks.gather(value, owned) if name.startswith(_CODES) and value.ndim else value
        for name, value in part.moments.items()
    }
    if codes is None:
        return None
    whole = dataset if part.rotations is None else dataset.rotated(part.rotations.cpu())
    table = nn.Embedding(len(codes), codes.shape[1], sparse=True, _weight=codes)
    return replace(part, dataset=whole, codes=table, moments=moments)
