"""Products of codes and large tensors that are linear in the code, their columns shared among threads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..core.threads import for_ranges


def code_product(codes: Tensor, basis: Tensor) -> Tensor:
    """Product (S, F) of codes (S, D) and a basis (D, F), differentiable once; columns of F are shared among threads.

    The basis is what a decoder reads most memory for; it is read once forward and once backward.
    """
    if codes.device.type != "cpu" or not basis.requires_grad or not torch.is_grad_enabled():
        return codes @ basis
    return _CodeProduct.apply(codes, basis)  # type: ignore[no-any-return]


class _CodeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, basis: Tensor) -> Tensor:
        ctx.save_for_backward(codes, basis)
        return product(codes.detach(), basis.detach())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        codes, basis = (tensor.detach() for tensor in ctx.saved_tensors)
        return product_gradients(codes, basis, gradients[0], ctx.needs_input_grad)


def product(codes: Tensor, basis: Tensor) -> Tensor:
    """Product (S, F) of codes (S, D) and a basis (D, F) without gradients."""
    out = codes.new_empty(len(codes), basis.shape[1])

    def columns(first: int, end: int) -> None:
        out[:, first:end] = codes @ basis[:, first:end]

    for_ranges(columns, basis.shape[1])
    return out


def product_gradients(
    codes: Tensor, basis: Tensor, gradient: Tensor, needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients in codes (S, D) and basis (D, F) of their product, from that in it (S, F); those that are needed."""
    of_basis = torch.empty_like(basis) if needed[1] else None
    of_codes: dict[int, Tensor] = {}

    def columns(first: int, end: int) -> None:
        part = gradient[:, first:end]
        if of_basis is not None:
            torch.mm(codes.T, part, out=of_basis[:, first:end])
        if needed[0]:
            of_codes[first] = part @ basis[:, first:end].T

    for_ranges(columns, basis.shape[1])
    # Summed in the order of the columns, whichever thread was first.
    parts = [of_codes[first] for first in sorted(of_codes)]
    return (torch.stack(parts).sum(0) if parts else None), of_basis
