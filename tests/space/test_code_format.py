"""Stored form of codes: errors of half a step, sizes asked for, equal costs of all numbers."""

from __future__ import annotations

import pytest
import torch

from latentsdf.space.code_format import SHIFTS, CodeFormat


def codes(count: int = 300, size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, size, generator=generator) * torch.logspace(0, -3, size)


def test_rounding_is_within_half_a_step_and_what_streams_hold() -> None:
    steps = torch.logspace(-2, -4, 64)
    form = CodeFormat.of(codes(), steps)
    rounded = form.rounded(codes())
    assert ((rounded - codes()).abs() <= 0.5001 * steps).all()
    assert torch.equal(form.unpack(form.pack(codes())), rounded)
    assert torch.equal(form.rounded(rounded), rounded)
    assert form.rounded(codes()[0].double()).dtype == torch.float64


def test_steps_are_inverse_to_slopes_and_as_fine_as_the_size_allows() -> None:
    slopes = torch.logspace(0, 1, 64)
    for size in (20, 40, 80):
        form = CodeFormat.of_size(codes(), slopes, size)
        assert float((form.steps * slopes).std() / (form.steps * slopes).mean()) < 1e-5
        lengths = [len(stream) for stream in form.pack(codes())]
        assert 0.97 * size - 1 < sum(lengths) / len(lengths) <= size


def test_a_number_without_influence_costs_next_to_nothing() -> None:
    slopes = torch.ones(64)
    slopes[32:] = 0.0
    form = CodeFormat.of_size(codes(), slopes, 40)
    assert form.rounded(codes())[:, 32:].abs().max() == 0.0


def test_a_size_that_few_numbers_cannot_fill_keeps_the_largest_number() -> None:
    few = codes(size=8) + torch.tensor([50.0] + [0.0] * 7)
    form = CodeFormat.of_size(few, torch.ones(8), 140)
    torch.testing.assert_close(form.rounded(few), few, atol=2e-3, rtol=0.0)
    assert torch.equal(form.unpack(form.pack(few)), form.rounded(few))


def test_a_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="size of a code must be positive, got 0"):
        CodeFormat.of_size(codes(), torch.ones(64), 0)


def test_coarser_roundings_take_fewer_bytes_and_return_exactly() -> None:
    form = CodeFormat.of_size(codes(), torch.ones(64), 80)
    lengths = []
    for shift in range(SHIFTS):
        rounded = form.rounded(codes(), torch.eye(64)[None], shift)
        streams = form.pack(rounded)
        assert all(stream[0] >= shift for stream in streams)
        assert torch.equal(form.unpack(streams), rounded)
        lengths.append(sum(len(stream) for stream in streams) / len(streams))
    assert all(4 < before - after < 9 for before, after in zip(lengths[:3], lengths[1:4], strict=True)), lengths
    assert lengths == sorted(lengths, reverse=True)
    with pytest.raises(ValueError, match="shift of a code must lie from 0 to 5, got 6"):
        form.rounded(codes(), shift=6)
    with pytest.raises(ValueError, match="row 1 is damaged: it begins otherwise"):
        form.unpack([form.pack(codes()[:1])[0], b"\x09abc"])
