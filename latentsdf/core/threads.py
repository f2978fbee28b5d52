"""Data-parallel gradients: each part of a batch in a thread of its own.

One operation of a small network does not keep several cores busy, but several networks side by side do: torch's
operators release Python's global lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

Part = Callable[[Tensor], dict[str, Tensor]]
"""Rows (of codes) of one part -> its loss terms, named scalars."""


_POOL: ContextVar[tuple[ThreadPoolExecutor, int] | None] = ContextVar("pool", default=None)
"""Pool of the `workers` that are open in this thread, and their number."""


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool of single-core threads, or None for one worker; torch uses one thread per operation meanwhile.

    So does the calling thread: threads of its own operations would wait for cores that the pool, or another program,
    holds, which takes several times as long as the operations.
    """
    if count <= 1:
        yield None
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            torch.set_num_threads(1)
            token = _POOL.set((pool, count))
            yield pool
        finally:
            _POOL.reset(token)
            torch.set_num_threads(before)


def for_ranges(function: Callable[[int, int], None], count: int) -> None:
    """Call a function with the bounds of ranges that make up [0, count), side by side within `workers`.

    Args:
        function: (first, end) -> None; its calls must not write to the same places.
        count: of what is divided.
    """
    opened = _POOL.get()
    if opened is None:
        function(0, count)
        return
    pool, parts = opened
    bounds = [count * number // parts for number in range(parts + 1)]
    list(pool.map(function, bounds[:-1], bounds[1:]))


def map_rows(function: Callable[[Tensor], Tensor], rows: Tensor, chunk: int) -> Tensor:
    """Join a function's results for chunks of rows, without a graph, on as many threads as torch is set to.

    Args:
        function: (n, ...) -> (n, ...); it is called in several threads at once.
        rows: (N, ...), at least one.
        chunk: the most rows a call is given.

    Returns:
        What the function returns for all rows at once.
    """

    def without_graph(part: Tensor) -> Tensor:
        with torch.no_grad():
            return function(part)

    threads = torch.get_num_threads() if rows.device.type == "cpu" else 1
    rounds = -(-len(rows) // (chunk * threads))
    parts = rows.tensor_split(min(len(rows), threads * rounds))
    with workers(threads) as pool:
        return torch.cat(list(map(without_graph, parts) if pool is None else pool.map(without_graph, parts)))


def terms_of_parts(
    parts: Sequence[Part], pieces: Sequence[Tensor], shared: Sequence[Tensor], pool: ThreadPoolExecutor
) -> dict[str, Tensor]:
    """Loss terms of a batch that is split into parts, with the gradient of their sum already computed.

    Args:
        parts: one callable per piece, in order; they must not share a generator.
        pieces: rows (S, F) of each part, all with a gradient or none; S may differ.
        shared: leaf tensors that the parts use besides their rows.
        pool: see `workers`.

    Returns:
        The terms, means over all rows. `sum(terms).backward()` gives pieces and shared tensors their gradients.

    Raises:
        Exception: the first error that a part raised.
    """
    wanted = [tensor for tensor in shared if tensor.requires_grad]
    total, moving = sum(map(len, pieces)), any(piece.requires_grad for piece in pieces)
    shares = [len(piece) / total for piece in pieces]

    def run(part: Part, piece: Tensor, share: float) -> tuple[dict[str, Tensor], list[Tensor | None]]:
        piece = piece.detach().requires_grad_(moving)
        with torch.enable_grad():
            terms = part(piece)
            loss = share * torch.stack(list(terms.values())).sum()
        leaves = [piece, *wanted] if moving else wanted
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        return {name: term.detach() for name, term in terms.items()}, _own_memory(gradients)

    results = list(pool.map(run, parts, pieces, shares))
    names = list(results[0][0])
    values = {
        name: torch.stack([share * terms[name] for share, (terms, _) in zip(shares, results, strict=True)]).sum()
        for name in names
    }
    leaves: list[Tensor] = list(wanted)
    gradients = [_sum([slopes[-len(wanted) + i] for _, slopes in results]) for i in range(len(wanted))]
    if moving:
        leaves += pieces
        gradients += [slopes[0] for _, slopes in results]
    values[names[0]] = with_gradients(values[names[0]], gradients, leaves)
    return values


def with_gradients(value: Tensor, gradients: Sequence[Tensor | None], leaves: Sequence[Tensor]) -> Tensor:
    """A scalar whose backward pass gives tensors gradients that are already known, for use once."""
    return _KnownGradient.apply(value, list(gradients), *leaves)  # type: ignore[return-value]


class _KnownGradient(torch.autograd.Function):
    """A value with precomputed gradients in its leaves."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor | None], *leaves: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        # In place, since a large tensor takes longer to allocate than to scale; this graph is walked once.
        # Not kept here, since autograd copies a gradient that others hold.
        scale, gradients, ctx.gradients = float(outer[0]), ctx.gradients, None
        return (None, None, *(item if item is None or scale == 1.0 else item.mul_(scale) for item in gradients))


def _own_memory(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients, copied where two share their memory or one is expanded: each can be changed in place."""
    taken: set[int] = set()
    out: list[Tensor | None] = []
    for gradient in gradients:
        if gradient is not None:
            if gradient.data_ptr() in taken or not gradient.is_contiguous():
                gradient = gradient.clone(memory_format=torch.contiguous_format)
            taken.add(gradient.data_ptr())
        out.append(gradient)
    return out


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Sum of those that are there, in the memory of the first."""
    total: Tensor | None = None
    for gradient in gradients:
        if gradient is not None:
            total = gradient if total is None else total.add_(gradient)
    return total
