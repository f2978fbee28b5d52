"""Adaptive mixture model of the integer coordinates of mesh vertices, in integers alone.

A coordinate is coded as a walk down a binary tree over its range. The probability of each turn is a ratio of masses of
a mixture: kernels around predictions, the coordinates of vertices nearby, those of all vertices so far and their mirror
images, and a uniform part. Weights of the parts adapt by their responsibilities, as in online EM.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

from .range_coder import ONE, BinaryCoder

UNIT = 8
"""Parts of a lattice step in which centres and scales of kernels are given."""
_RATE = 5
"""Each coordinate moves a weight by 1/32 of its distance from the responsibility of its part."""
_LEAST_WEIGHT = 16


class Kernel(NamedTuple):
    """A kernel of density proportional to (1 + |x - center| / (4 scale))^-5; numbers in 1/`UNIT` of a step."""

    center: int
    scale: int

    def above(self, value: int) -> int:
        """Mass, of `ONE`, of the coordinates from `value` on."""
        distance = UNIT * value - UNIT // 2 - self.center
        reach = 4 * self.scale
        part = reach * ONE // (reach + abs(distance))
        part = part * part >> 16
        part = part * part >> 17
        return part if distance > 0 else ONE - part


class CoordinateModel:
    """Model of one axis of a lattice.

    Args:
        size: coordinates are 0 to size - 1.
    """

    def __init__(self, size: int):
        self.size = size
        self._seen: list[int] = []

    def code(
        self, coder: BinaryCoder, weights: list[int], kernels: Sequence[Kernel], near: Sequence[int], value: int
    ) -> int:
        """Code a coordinate.

        Args:
            coder: an encoder or a decoder.
            weights: of the kernels, of `near`, of the coordinates so far, of their mirror images, and of the uniform
                part; changed in place.
            kernels: around predictions.
            near: coordinates of vertices nearby.
            value: the coordinate; a decoder ignores it.

        Returns:
            The coordinate.
        """
        low, high = 0, self.size
        bounds = [(kernel.above(low), kernel.above(high)) for kernel in kernels]
        while high - low > 1:
            middle = (low + high) >> 1
            cuts = [kernel.above(middle) for kernel in kernels]
            left = self._mass(weights, [a - c for (a, _), c in zip(bounds, cuts, strict=True)], near, low, middle)
            right = self._mass(weights, [c - b for (_, b), c in zip(bounds, cuts, strict=True)], near, middle, high)
            zero = min(max((left << 16) // (left + right), 1), ONE - 1)
            if coder.weighed(zero, int(value >= middle)):
                low, bounds = middle, [(c, b) for (_, b), c in zip(bounds, cuts, strict=True)]
            else:
                high, bounds = middle, [(a, c) for (a, _), c in zip(bounds, cuts, strict=True)]
        self._adapt(weights, [a - b for a, b in bounds], near, low)
        insort(self._seen, low)
        return low

    def _mass(self, weights: list[int], masses: list[int], near: Sequence[int], low: int, high: int) -> int:
        return sum(weight * mass for weight, mass in zip(weights, self._parts(masses, near, low, high), strict=True))

    def _parts(self, masses: list[int], near: Sequence[int], low: int, high: int) -> list[int]:
        """Mass, of `ONE`, of each part of the mixture from `low` to `high` - 1."""
        seen, last = self._seen, self.size - 1
        count = max(1, len(seen))
        same = bisect_left(seen, high) - bisect_left(seen, low)
        mirrored = bisect_left(seen, last - low + 1) - bisect_left(seen, last - high + 1)
        spikes = [ONE if low <= item < high else 0 for item in near]
        return [*masses, *spikes, same * ONE // count, mirrored * ONE // count, (high - low) * ONE // self.size]

    def _adapt(self, weights: list[int], masses: list[int], near: Sequence[int], value: int) -> None:
        shares = [w * m for w, m in zip(weights, self._parts(masses, near, value, value + 1), strict=True)]
        total = max(1, sum(shares))
        for place, share in enumerate(shares):
            weights[place] = max(_LEAST_WEIGHT, weights[place] + ((share * ONE // total - weights[place]) >> _RATE))
