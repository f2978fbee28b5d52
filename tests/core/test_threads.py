"""Gradients taken in parts, side by side, are the gradients of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentsdf.core.threads import Part, map_rows, terms_of_parts, workers


def whole(rows: Tensor, weight: Tensor) -> dict[str, Tensor]:
    value = (rows @ weight).tanh().square().mean(1)
    return {"first": value.mean(), "second": 0.5 * rows.abs().mean(1).mean()}


@pytest.mark.parametrize("count", [2, 3])
def test_parts_have_the_terms_and_gradients_of_the_whole(count: int) -> None:
    random = torch.Generator().manual_seed(0)
    table = nn.Embedding(9, 4, sparse=True, _weight=torch.randn(9, 4, generator=random))
    weight = torch.randn(4, 5, generator=random).requires_grad_(True)
    resting = torch.randn(3)
    rows = torch.tensor([1, 4, 4, 7, 8])  # five rows do not divide evenly, and one is there twice
    parts: list[Part] = [lambda piece: whole(piece, weight)] * count
    with workers(2) as pool:
        assert pool is not None
        terms = terms_of_parts(parts, torch.tensor_split(table(rows), count), [weight, resting], pool)
        sum(terms.values(), torch.zeros(())).backward()
    expected = whole(table(rows), weight)
    for name, term in expected.items():
        torch.testing.assert_close(terms[name].detach(), term.detach())
    assert weight.grad is not None
    assert table.weight.grad is not None
    of_weight, of_table = torch.autograd.grad(sum(expected.values(), torch.zeros(())), (weight, table.weight))
    torch.testing.assert_close(weight.grad, of_weight)
    torch.testing.assert_close(table.weight.grad.to_dense(), of_table.to_dense())


def test_rows_that_rest_and_tensors_that_are_not_used() -> None:
    weight, unused = torch.randn(4, 5, requires_grad=True), torch.randn(2, requires_grad=True)
    with workers(2) as pool:
        assert pool is not None
        terms = terms_of_parts(
            [lambda rows: whole(rows, weight)] * 2, torch.randn(4, 4).split(2), [weight, unused], pool
        )
        sum(terms.values(), torch.zeros(())).backward()
    assert weight.grad is not None
    assert unused.grad is None


def test_an_error_in_a_part_reaches_the_caller() -> None:
    def broken(rows: Tensor) -> dict[str, Tensor]:
        raise ValueError("no such branch")

    with workers(2) as pool:
        assert pool is not None
        with pytest.raises(ValueError, match="no such branch"):
            terms_of_parts([broken, broken], torch.randn(4, 2).split(2), [], pool)


def test_torch_has_its_threads_back_afterwards() -> None:
    before = torch.get_num_threads()
    with workers(2):
        pass
    assert torch.get_num_threads() == before
    with workers(1) as pool:
        assert pool is None


def test_gradients_that_share_their_memory_are_summed_apart() -> None:
    left, right = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)

    def part(rows: Tensor) -> dict[str, Tensor]:
        return {"sum": (left + right).sum() * rows.mean()}

    rows = torch.ones(3, 2)
    with workers(2) as pool:
        assert pool is not None
        sum(terms_of_parts([part, part], rows.split([2, 1]), [left, right], pool).values(), torch.zeros(())).backward()
    for tensor in (left, right):
        torch.testing.assert_close(tensor.grad, torch.ones(3, 2))


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_mapped_in_chunks_are_those_mapped_at_once(threads: int) -> None:
    before, weight = torch.get_num_threads(), torch.randn(2, 4, requires_grad=True)
    rows, lengths = torch.randn(101, 2), []

    def function(part: Tensor) -> Tensor:
        lengths.append(len(part))
        return part @ weight

    torch.set_num_threads(threads)
    try:
        mapped = map_rows(function, rows, 20)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(mapped, rows @ weight)
    assert not mapped.requires_grad
    assert sum(lengths) == 101
    assert max(lengths) <= 20
    assert len(lengths) % threads == 0
