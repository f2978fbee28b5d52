"""Codes in the principal directions of the stored ones, for the first part of a fit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..decoder.base import Decoder
from .objective import Guess


class ShortCodes(NamedTuple):
    """Codes z (P + 1,) of the first P principal directions and 1: the code is mean + sum_i z_i u_i.

    Derivatives of a field in P numbers instead of D, and normal equations of them, take less time.

    Attributes:
        decoder: of the short codes.
        directions: (P + 1, D); the mean of the stored codes is the last.
        variances: (P,) of the stored codes in the directions.
    """

    decoder: Decoder
    directions: Tensor
    variances: Tensor

    def shorten(self, guess: Guess) -> Guess:
        """Guesses of the nearest short codes."""
        numbers = (guess.codes - self.directions[-1]) @ self.directions[:-1].T
        return guess._replace(codes=torch.cat([numbers, torch.ones_like(numbers[:, :1])], 1))

    def lengthen(self, guess: Guess) -> Guess:
        """Guesses of codes (S, D)."""
        return guess._replace(codes=guess.codes @ self.directions)


def shortened(decoder: Decoder, stored: Tensor, count: int) -> ShortCodes | None:
    """Short codes of a space.

    Args:
        decoder: of the space.
        stored: (K, D) codes.
        count: P, at most.

    Returns:
        None where they would save nothing, or the decoder has no restriction.
    """
    if min(len(stored) - 1, decoder.code_size // 2) < count:
        return None
    mean = stored.mean(0)
    _, deviations, directions = torch.linalg.svd(stored - mean, full_matrices=False)
    directions = torch.cat([directions[:count], mean[None]])
    short = decoder.restricted(directions)
    return None if short is None else ShortCodes(short, directions, deviations[:count].square() / (len(stored) - 1))
