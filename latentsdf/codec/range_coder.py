"""Binary range coder with adaptive models, in integers alone: the same bytes and decisions on every machine.

Carry-propagating form of Martin's range coder (1979), in 32 bits; each model mixes two exponential averages of its
decisions, a fast and a slow one. A stream written once must stay readable, so nothing here may change: the numbers
below belong to the format (`docs/format.md`, "Residuals").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

ONE = 1 << 16
"""Scale of the probability states of a model."""
FAST, SLOW = 5, 7
"""Shifts of the two averages: each decision moves a state by 1/32 or 1/128 of its distance from 0 or `ONE`."""
_PRECISION = 15
_LEAST = 8
"""Least probability, of 2^15, that either decision is given."""
_TOP, _MASK = 1 << 24, (1 << 32) - 1
_PADDING = 4
"""Zero bytes that a decoder may read past the end; an encoder leaves no more of them out."""


class BinaryCoder(Protocol):
    """A coder of binary decisions, in either direction."""

    def bit(self, model: int, value: int) -> int:
        """Code a decision (0 or 1) under a model; returns it. A decoder ignores `value`."""
        ...

    def even(self, value: int) -> int:
        """Code a decision whose two values are equally likely, as `bit`."""
        ...

    def weighed(self, zero: int, value: int) -> int:
        """Code a decision whose value is 0 with a probability of `zero` / `ONE`, 0 < zero < `ONE`, as `bit`."""
        ...


class RangeEncoder:
    """An encoder of binary decisions.

    Args:
        start: probability of a 0, of `ONE`, that each model starts from.

    Example:
        >>> encoder = RangeEncoder([32768])
        >>> for value in (0, 1, 0, 0): encoder.bit(0, value)
        >>> decoder = RangeDecoder(encoder.finish(), [32768])
        >>> [decoder.bit(0) for _ in range(4)]
        [0, 1, 0, 0]
    """

    def __init__(self, start: Sequence[int]):
        self._fast, self._slow = list(start), list(start)
        self._low, self._range = 0, _MASK
        self._out = bytearray()

    def bit(self, model: int, value: int) -> int:
        """Write a decision, 0 or 1, under a model, which adapts to it; returns the decision."""
        bound = (self._range >> _PRECISION) * _probability(self._fast[model], self._slow[model])
        _adapt(self._fast, self._slow, model, value)
        self._narrow(bound, value)
        return value

    def even(self, value: int) -> int:
        """Write a decision whose two values are equally likely; returns it."""
        self._narrow(self._range >> 1, value)
        return value

    def weighed(self, zero: int, value: int) -> int:
        """Write a decision that is 0 with a probability of `zero` / `ONE`; returns it."""
        self._narrow((self._range >> 16) * zero, value)
        return value

    def finish(self) -> bytes:
        """End the stream: the shortest bytes from which the decisions can be read."""
        for count in range(5):
            unit = 1 << (32 - 8 * count)
            value = -(-self._low // unit) * unit
            if value < self._low + self._range:
                break
        if value >> 32:
            self._carry()
        return bytes(self._out) + (value & _MASK).to_bytes(4, "big")[:count]

    def _narrow(self, bound: int, value: int) -> None:
        if value:
            self._low += bound
            self._range -= bound
            if self._low > _MASK:
                self._low &= _MASK
                self._carry()
        else:
            self._range = bound
        while self._range < _TOP:
            self._out.append(self._low >> 24)
            self._low = (self._low << 8) & _MASK
            self._range <<= 8

    def _carry(self) -> None:
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1


class RangeDecoder:
    """A decoder of what `RangeEncoder` wrote.

    Args:
        data: the stream.
        start: probabilities that each model starts from, those of the encoder.
    """

    def __init__(self, data: bytes, start: Sequence[int]):
        self._fast, self._slow = list(start), list(start)
        self._data, self._place = data, 0
        self._range, self._code = _MASK, 0
        for _ in range(4):
            self._code = self._code << 8 | self._next()

    def bit(self, model: int, value: int = 0) -> int:
        """Read a decision, 0 or 1, under a model, which adapts to it.

        Raises:
            ValueError: the stream is over; so does `even`.
        """
        bound = (self._range >> _PRECISION) * _probability(self._fast[model], self._slow[model])
        value = self._choose(bound)
        _adapt(self._fast, self._slow, model, value)
        return value

    def even(self, value: int = 0) -> int:
        """Read a decision whose two values are equally likely."""
        return self._choose(self._range >> 1)

    def weighed(self, zero: int, value: int = 0) -> int:
        """Read a decision that is 0 with a probability of `zero` / `ONE`."""
        return self._choose((self._range >> 16) * zero)

    def finish(self) -> None:
        """Check that the stream ends here.

        Raises:
            ValueError: bytes are left.
        """
        if self._place < len(self._data):
            raise ValueError(f"a coded stream has {len(self._data) - self._place} bytes too many; it is damaged")

    def _choose(self, bound: int) -> int:
        if self._code < bound:
            value, self._range = 0, bound
        else:
            value = 1
            self._code -= bound
            self._range -= bound
        while self._range < _TOP:
            self._range <<= 8
            self._code = (self._code << 8 | self._next()) & _MASK
        return value

    def _next(self) -> int:
        place = self._place
        self._place += 1
        if place < len(self._data):
            return self._data[place]
        if place >= len(self._data) + _PADDING:
            raise ValueError(f"a coded stream of {len(self._data)} bytes ends too early; it is cut short or damaged")
        return 0


def _probability(fast: int, slow: int) -> int:
    """Probability of a 0, of 2^15, of a model of two states."""
    return min(max((fast + slow) >> 2, _LEAST), (1 << _PRECISION) - _LEAST)


def _adapt(fast: list[int], slow: list[int], model: int, value: int) -> None:
    if value:
        fast[model] -= fast[model] >> FAST
        slow[model] -= slow[model] >> SLOW
    else:
        fast[model] += (ONE - fast[model]) >> FAST
        slow[model] += (ONE - slow[model]) >> SLOW
