"""Roundings of a fitted code to what a file of its space can hold."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..decoder.linearize import code_hessians
from ..space.code_format import SHIFTS, CodeFormat
from ..space.quantize import code_unit, quantize_codes, restore_codes
from ..space.space import LatentSpace
from .code_fitting import TRUNCATION
from .objective import Guess
from .residuals import SignedSamples, into_cube

ROUNDING_SAMPLES, ROUNDING_BATCH = 768, 8
"""Samples of a shape whose values the rounding of its code is to change little, and shapes at once."""
_LENGTH = 2
"""Bytes of the length of a stream."""
_STEP = 4
"""Bytes of the step of a code in eight bits."""


class RoundedCode(NamedTuple):
    """A code (D,) as a file holds it, and its bytes there."""

    code: Tensor
    nbytes: int


class CodeRounding(NamedTuple):
    """Roundings of one code, from fine to coarse.

    Attributes:
        code: (D,), not rounded.
        form: of the space's streams, or the unit (D,) of codes in eight bits.
        hessian: (D, D) of what the rounding is to change little; with a form alone.
    """

    code: Tensor
    form: CodeFormat | Tensor
    hessian: Tensor | None = None

    @property
    def shifts(self) -> range:
        """Arguments of `at`."""
        return range(SHIFTS if isinstance(self.form, CodeFormat) else 1)

    def at(self, shift: int) -> RoundedCode:
        """The code rounded to 2^shift times the steps of the form."""
        codes = self.code[None]
        if isinstance(self.form, CodeFormat):
            hessians = None if self.hessian is None else self.hessian[None]
            rounded = self.form.rounded(codes, hessians, shift)
            return RoundedCode(rounded[0], len(self.form.pack(rounded)[0]) + _LENGTH)
        rounded = restore_codes(quantize_codes(codes, self.form), self.form).to(codes)
        return RoundedCode(rounded[0], len(self.code) + _STEP)


def code_roundings(space: LatentSpace, guess: Guess, samples: SignedSamples, seed: int = 0) -> list[CodeRounding]:
    """Roundings of the codes of S fitted shapes to what a file of the space can hold, in the order of the shapes.

    Args:
        space: without a code format codes are rounded to eight bits.
        guess: codes and poses.
        samples: of the shapes.
        seed: of the samples whose values the rounding is to change little.
    """
    if space.code_format is None:
        unit = code_unit(space.codes()).cpu()
        return [CodeRounding(code, unit) for code in guess.codes]
    linearize, out = space.decoder.linearizer(), []
    (group,) = samples.to(guess.codes.device).sample(ROUNDING_SAMPLES, torch.Generator().manual_seed(seed))
    for rows in torch.arange(len(guess.codes), device=guess.codes.device).split(ROUNDING_BATCH):
        part = guess.select(rows)
        points = group.points[rows] if part.pose is None else into_cube(part.pose.apply(group.points[rows]))[0]
        hessians = code_hessians(linearize, part.codes, points, TRUNCATION)
        pairs = zip(part.codes, hessians, strict=True)
        out += [CodeRounding(code, space.code_format, hessian) for code, hessian in pairs]
    return out
