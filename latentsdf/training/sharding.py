"""Division of a run among processes: each shape with its code in one, large tables by columns, all else in each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.ranks import Ranks
from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.column_exchange import ColumnExchange
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
        tables: those of the decoder of which each process holds some columns, and their whole widths; the rest of it is
            copied to all.
        exchange: of their products.
    """

    ranks: Ranks
    dataset: Dataset
    batch: int
    tables: Mapping[Tensor, int] = MappingProxyType({})
    exchange: ColumnExchange | None = None

    def owned(self) -> list[Tensor]:
        """Rows (N,) of each process in the collection, ascending."""
        rows = torch.arange(len(self.dataset))
        owners = rows % self.batch % self.ranks.size
        return [rows[owners == rank] for rank in range(self.ranks.size)]

    def count_codes(self, rows: Tensor, rehearsed: int) -> None:
        """Tell the exchange the number of codes of each process in a batch: rows (B,), and rehearsed shapes."""
        if self.exchange is not None:
            size = self.ranks.size
            owners = torch.bincount(rows % self.batch % size, minlength=size).tolist()
            others = [len(range(size - 1 - rank, rehearsed, size)) for rank in range(size)]
            self.exchange.counts = [own + other for own, other in zip(owners, others, strict=True)]

    def is_divided(self, tensor: Tensor) -> bool:
        """True for a parameter (D, F) of the decoder of which this process holds some columns, and not all."""
        return tensor in self.tables

    def own(self, rows: Tensor) -> Tensor:
        """Positions in a batch, rows (B,) of the collection, of the shapes that are this process's."""
        return torch.nonzero(rows % self.batch % self.ranks.size == self.ranks.rank)[:, 0]

    def own_rehearsed(self, count: int) -> Tensor:
        """Positions (K,) of this process's part of rehearsed shapes, the last process first."""
        return torch.arange(count)[self.ranks.size - 1 - self.ranks.rank :: self.ranks.size]

    def local(self, rows: Tensor) -> Tensor:
        """Rows (N,) in the tables of this process, of own rows (N,) of the collection."""
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
    exchange = ColumnExchange(ranks)
    widths = {parameter: parameter.shape[-1] for parameter in decoder.parameters()}
    tables = {table: widths[table] for table in decoder.divide(exchange)}
    sharding = sharding._replace(tables=tables, exchange=exchange if tables else None)
    for name, (shape, kind) in header["moments"].items():
        given = None if state is None else state.moments[name]
        if name.startswith(_CODES) and shape:
            part.moments[name] = ranks.scatter(given, owned, row)
            continue
        value = torch.zeros(shape, dtype=getattr(torch, kind.removeprefix("torch."))) if given is None else given
        ranks.broadcast(value)
        table = _table_of(name, decoder, sharding) if shape else None
        kept = value if table is None else value[:, exchange.columns(tables[table])]
        part.moments[name] = kept.to(ranks.device).contiguous()
    return part, sharding


def _table_of(moment: str, decoder: Decoder, sharding: Sharding) -> nn.Parameter | None:
    """The divided table that a moment, by its name `group/index/key`, belongs to; None where it is of another one."""
    group, index, _ = moment.rsplit("/", 2)
    parameters = decoder.groups().get(group, [])
    return parameters[int(index)] if parameters and sharding.is_divided(parameters[int(index)]) else None


def gather_state(part: TrainState, sharding: Sharding) -> TrainState:
    """The whole state of a run, for rank 0; for the others their own shapes with the whole decoder, without moments.

    Args:
        part: state of this process.
        sharding: of the run.

    Raises:
        ConnectionError: another process no longer answers.
    """
    ranks, dataset = sharding.ranks, sharding.dataset
    if ranks.size == 1:
        return part
    owned, decoder = sharding.owned(), _whole_decoder(part, sharding)
    codes = ranks.gather(part.codes.weight, owned)
    moments: dict[str, Any] = {}
    for name, value in part.moments.items():
        table = _table_of(name, part.decoder, sharding) if value.ndim else None
        if name.startswith(_CODES) and value.ndim:
            moments[name] = ranks.gather(value, owned)
        else:
            moments[name] = value if table is None else _whole_table(value, sharding.tables[table], ranks)
    if codes is None:
        return replace(part, decoder=decoder, moments={})
    whole = dataset if part.rotations is None else dataset.rotated(part.rotations.cpu())
    rows = nn.Embedding(len(codes), codes.shape[1], sparse=True, _weight=codes)
    return replace(part, dataset=whole, decoder=decoder, codes=rows, moments=moments)


def _whole_decoder(part: TrainState, sharding: Sharding) -> Decoder:
    """The decoder of a run, with whole tables."""
    if not sharding.tables:
        return part.decoder
    decoder = fresh_decoder(part.config).to(sharding.ranks.device)
    with torch.no_grad():
        for whole, own in zip(decoder.parameters(), part.decoder.parameters(), strict=True):
            divided = sharding.is_divided(own)
            whole.copy_(_whole_table(own.detach(), sharding.tables[own], sharding.ranks) if divided else own)
        for whole, own in zip(decoder.buffers(), part.decoder.buffers(), strict=True):
            whole.copy_(own)
    return decoder


def _whole_table(columns: Tensor, width: int, ranks: Ranks) -> Tensor:
    """A table (D, width) of which each process holds some columns."""
    whole = columns.new_zeros(len(columns), width)
    whole[:, ColumnExchange(ranks).columns(width)] = columns
    return ranks.sum([whole])[0]
