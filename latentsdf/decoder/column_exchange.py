"""Products of codes and large tables whose columns several processes divide among them.

Where the gradient of a table is larger than all codes and products of a batch together, it is cheaper to send those:
each process holds some columns of every table, multiplies the codes of all processes by them, and sends each process
its rows (tensor parallelism by columns: Shoeybi et al., Megatron-LM, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..core.ranks import Ranks
from .code_product import product, product_gradients


class ColumnExchange:
    """Exchange of rows and columns of products among processes; all of them call it in one order.

    Args:
        ranks: W processes.

    Attributes:
        counts: rows (codes) of each process in the present step.
    """

    def __init__(self, ranks: Ranks):
        self.ranks = ranks
        self.counts: list[int] = []

    def columns(self, width: int, rank: int | None = None) -> slice:
        """Columns of a table of some width that a process holds; this one if None."""
        number, size = self.ranks.rank if rank is None else rank, self.ranks.size
        return slice(width * number // size, width * (number + 1) // size)

    def products(self, codes: Tensor, tables: Sequence[Tensor], widths: Sequence[int]) -> Tensor:
        """Products of own codes and whole tables, beside each other; differentiable once.

        Args:
            codes: (S, D) of this process, S its number in `counts`.
            tables: (D, columns held) of each table.
            widths: of the whole tables.

        Returns:
            (S, F), F the sum of the widths.

        Raises:
            ConnectionError: another process no longer answers.
        """
        return _Products.apply(codes, self, list(widths), *tables)  # type: ignore[no-any-return]

    def all_rows(self, codes: Tensor) -> Tensor:
        """Codes (B, D) of all processes, those of rank 0 first."""
        padded = codes.new_zeros(max(self.counts), codes.shape[1])
        padded[: len(codes)] = codes
        parts = [torch.empty_like(padded) for _ in self.counts]
        with self.ranks.answered():
            dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, self.counts, strict=True)])

    def exchange(self, sent: Sequence[Tensor], shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Send a matrix (S, F) to each process, and receive one of a shape from each."""
        flat = torch.cat([part.reshape(-1) for part in sent])
        sizes = [rows * columns for rows, columns in shapes]
        received = flat.new_empty(sum(sizes))
        with self.ranks.answered():
            dist.all_to_all_single(received, flat, sizes, [part.numel() for part in sent])
        return [part.view(shape) for part, shape in zip(received.split(sizes), shapes, strict=True)]


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, exchange: ColumnExchange, widths: list[int], *tables: Tensor) -> Tensor:
        every = exchange.all_rows(codes.detach())
        ctx.save_for_backward(every, *tables)
        ctx.exchange, ctx.widths = exchange, widths
        held = torch.cat([product(every, table.detach()) for table in tables], dim=1)
        received = exchange.exchange(held.split(exchange.counts), _shapes(exchange, widths, len(codes)))
        pieces = [part.split(_held(exchange, widths, rank), dim=1) for rank, part in enumerate(received)]
        return torch.cat([piece[table] for table in range(len(widths)) for piece in pieces], dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,), exchange, widths = gradients, ctx.exchange, ctx.widths
        every, *tables = (tensor.detach() for tensor in ctx.saved_tensors)
        parts, ranks = gradient.split(widths, dim=1), range(exchange.ranks.size)
        sent = [
            torch.cat(
                [part[:, exchange.columns(width, rank)] for part, width in zip(parts, widths, strict=True)], dim=1
            )
            for rank in ranks
        ]
        own = sum(_held(exchange, widths, exchange.ranks.rank))
        held = torch.cat(exchange.exchange(sent, [(count, own) for count in exchange.counts]))
        of_held = held.split([table.shape[1] for table in tables], dim=1)
        needed, of_codes = ctx.needs_input_grad, None
        found = [
            product_gradients(every, table, part, (needed[0], wanted))
            for table, part, wanted in zip(tables, of_held, needed[3:], strict=True)
        ]
        if needed[0]:
            (total,) = exchange.ranks.sum([torch.stack([part for part, _ in found if part is not None]).sum(0)])
            of_codes = total.split(exchange.counts)[exchange.ranks.rank]
        return of_codes, None, None, *(part for _, part in found)


def _held(exchange: ColumnExchange, widths: Sequence[int], rank: int) -> list[int]:
    """Number of columns of each table that a process holds."""
    spans = [exchange.columns(width, rank) for width in widths]
    return [span.stop - span.start for span in spans]


def _shapes(exchange: ColumnExchange, widths: Sequence[int], rows: int) -> list[tuple[int, int]]:
    """Shape of the columns of each process, in some rows."""
    return [(rows, sum(_held(exchange, widths, rank))) for rank in range(exchange.ranks.size)]
