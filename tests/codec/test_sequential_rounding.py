"""Sequential rounding: exact for diagonal forms, better than the nearest integers for others."""

from __future__ import annotations

import torch

from latentsdf.codec.sequential_rounding import round_sequentially


def test_a_diagonal_form_takes_the_nearest_integers() -> None:
    vectors = torch.randn(5, 12, generator=torch.Generator().manual_seed(0)) * 10
    steps = torch.logspace(-1, 1, 12)
    whole = round_sequentially(vectors, steps, torch.diag(torch.logspace(0, 3, 12))[None])
    assert torch.equal(whole, (vectors / steps).round().long())


def test_numbers_that_do_alike_make_up_for_each_other() -> None:
    """Of f = (a + b) / 2 with a = b = 0.4 one becomes 1 and one 0, where the nearest integers lose all of it."""
    form = torch.full((1, 2, 2), 0.25)
    assert round_sequentially(torch.full((1, 2), 0.4), torch.ones(2), form).sum() == 1


def test_the_form_is_smaller_than_of_the_nearest_integers() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(40, 30, generator=generator) * 5
    slopes = torch.randn(40, 60, 30, generator=generator) + 2 * torch.randn(40, 60, 1, generator=generator)
    forms = slopes.mT @ slopes / 60
    whole = round_sequentially(vectors, torch.ones(30), forms)

    def cost(numbers: torch.Tensor) -> float:
        error = numbers - vectors
        return float(torch.einsum("sd,sde,se->s", error, forms, error).mean())

    assert cost(whole.float()) < 0.6 * cost(vectors.round())
    assert (whole - vectors).abs().max() < 4
