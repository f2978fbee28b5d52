"""Codes in the principal directions of the stored ones, and decoders of them."""

from __future__ import annotations

import torch

from latentsdf.decoder import CoarseVolumes, VolumesConfig, build_decoder
from latentsdf.inference.objective import Guess
from latentsdf.inference.short_codes import shortened


def decoder_of(code_size: int):
    torch.manual_seed(0)
    volumes = CoarseVolumes(resolutions=(4, 6), channels=(3, 2), width=16, depth=2, warp=3)
    return build_decoder(VolumesConfig(code_size=code_size, volumes=volumes)).eval().requires_grad_(False)


def test_a_restricted_decoder_has_the_fields_and_derivatives_of_the_whole_one():
    decoder, directions = decoder_of(12), torch.randn(5, 12)
    short, numbers, points = decoder.restricted(directions), torch.randn(3, 5), torch.rand(3, 40, 3) * 2 - 1
    assert short is not None
    assert short.code_size == 5
    whole = decoder.linearizer()(numbers @ directions, points)
    own = short.linearizer()(numbers, points)
    torch.testing.assert_close(own.values, whole.values, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(own.of_codes, whole.of_codes @ directions.T, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.of_points, whole.of_points, rtol=1e-4, atol=1e-4)


def test_codes_in_the_span_of_the_directions_survive_shortening():
    torch.manual_seed(1)
    stored = torch.randn(3, 12) + 2.0
    stored = torch.cat([stored, torch.rand(20, 3).softmax(1) @ stored])  # of two dimensions around their mean
    short = shortened(decoder_of(12), stored, 2)
    assert short is not None
    guess = Guess(stored)
    assert short.shorten(guess).codes.shape == (23, 3)
    torch.testing.assert_close(short.lengthen(short.shorten(guess)).codes, stored, rtol=1e-4, atol=1e-4)
    spread = (short.shorten(guess).codes[:, :2]).var(0)
    torch.testing.assert_close(spread, short.variances, rtol=1e-3, atol=1e-4)


def test_nothing_is_shortened_where_it_saves_nothing():
    decoder = decoder_of(12)
    assert shortened(decoder, torch.randn(6, 12), 6) is None  # as many directions as stored codes
    assert shortened(decoder, torch.randn(40, 12), 7) is None  # more than half of the code
