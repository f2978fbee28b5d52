"""Gradients of independent parts of a batch, each part in a thread of its own on one core.

Small networks do not keep several cores busy inside one operation, but several of them do side by side: the work of
torch's operators lets go of Python's lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

Part = Callable[[Tensor], dict[str, Tensor]]
"""Rows (of codes) that a part works on -> its terms, named scalars."""


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool of threads of one core each, or None for one worker; torch's own threads rest meanwhile."""
    if count <= 1:
        yield None
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool
        finally:
            torch.set_num_threads(before)


def terms_of_parts(
    parts: Sequence[Part], rows: Tensor, shared: Sequence[Tensor], pool: ThreadPoolExecutor
) -> dict[str, Tensor]:
    """Mean terms of a batch split into parts, with the gradient of their sum already taken.

    Args:
        parts: one callable for each piece of rows, in order; they must not share random state.
        rows: (S, D), cut into as many pieces as there are parts, as `torch.tensor_split` cuts.
        shared: leaf tensors that the parts use beside their rows.
        pool: of `workers`.

    Returns:
        The terms, means over the S rows. `sum(terms).backward()` gives rows and shared tensors their gradients.
    """
    wanted = [tensor for tensor in shared if tensor.requires_grad]
    pieces = torch.tensor_split(rows.detach(), len(parts))

    def run(part: Part, piece: Tensor) -> tuple[dict[str, Tensor], list[Tensor | None]]:
        piece = piece.clone().requires_grad_(rows.requires_grad)
        with torch.enable_grad():
            terms = part(piece)
            total = torch.stack(list(terms.values())).sum()
        leaves = [piece, *wanted] if rows.requires_grad else wanted
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
        return {name: term.detach() for name, term in terms.items()}, list(gradients)

    results = list(pool.map(run, parts, pieces))
    shares = [len(piece) / len(rows) for piece in pieces]
    names = list(results[0][0])
    values = {
        name: torch.stack([share * terms[name] for share, (terms, _) in zip(shares, results, strict=True)]).sum()
        for name in names
    }
    leaves: list[Tensor] = list(wanted)
    gradients = [_weighted(shares, [found[-len(wanted) + i] for _, found in results]) for i in range(len(wanted))]
    if rows.requires_grad:
        of_rows = [
            torch.zeros_like(piece) if found[0] is None else share * found[0]
            for share, piece, (_, found) in zip(shares, pieces, results, strict=True)
        ]
        leaves.append(rows)
        gradients.append(torch.cat(of_rows))
    values[names[0]] = _Carried.apply(values[names[0]], gradients, *leaves)  # type: ignore[assignment]
    return values


class _Carried(torch.autograd.Function):
    """A value whose gradient is already known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor | None], *leaves: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(None if item is None else item * outer[0] for item in ctx.gradients))


def _weighted(shares: Sequence[float], gradients: Sequence[Tensor | None]) -> Tensor | None:
    total: Tensor | None = None
    for share, gradient in zip(shares, gradients, strict=True):
        if gradient is not None:
            total = gradient * share if total is None else total.add_(gradient, alpha=share)
    return total
