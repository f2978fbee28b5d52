"""Eight-bit quantisation: errors of half a step, exact ends of rows, zeros kept."""

from __future__ import annotations

import torch

from latentsdf.space.quantize import code_unit, quantize_codes, quantize_rows, restore_codes, restore_rows


def test_rows_are_within_half_a_step() -> None:
    rows = torch.randn(7, 50, 3, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 7)[:, None, None]
    kept = quantize_rows(rows)
    assert kept.values.dtype == torch.int8
    error = (restore_rows(kept) - rows).abs().flatten(1).amax(1)
    assert (error <= 0.5001 * kept.steps).all()
    assert (kept.values.flatten(1).abs().amax(1) == 127).all()


def test_quantising_twice_changes_nothing() -> None:
    rows = torch.randn(5, 9, generator=torch.Generator().manual_seed(1))
    once = restore_rows(quantize_rows(rows))
    torch.testing.assert_close(restore_rows(quantize_rows(once)), once, rtol=1e-6, atol=0)


def test_zero_rows_and_empty_tables_are_kept() -> None:
    assert restore_rows(quantize_rows(torch.zeros(2, 4))).eq(0).all()
    assert code_unit(torch.zeros(0, 3)).tolist() == [1.0, 1.0, 1.0]
    empty = quantize_codes(torch.zeros(0, 3), torch.ones(3))
    assert restore_codes(empty, torch.ones(3)).shape == (0, 3)


def test_small_dimensions_do_not_drown_in_large_ones() -> None:
    """A dimension a hundred times smaller than another keeps the same relative error."""
    codes = torch.randn(400, 2, generator=torch.Generator().manual_seed(2)) * torch.tensor([100.0, 1.0])
    unit = code_unit(codes)
    error = (restore_codes(quantize_codes(codes, unit), unit) - codes).square().mean(0).sqrt() / unit
    assert float(error.max()) < 0.01
    assert float(error.max() / error.min()) < 1.5
