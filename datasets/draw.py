"""Random numbers of one generated shape, and tables of their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Thing = TypeVar("Thing")
Table = Mapping[str, Any]
"""Ranges by name: two whole numbers or two floats are the ends of a uniform distribution, words are equally likely
choices, and one float is the probability of True."""


@dataclass
class Draw:
    """Random numbers of one body."""

    rng: np.random.Generator

    def __call__(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A random integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def jitter(self, size: float) -> Vector:
        """A small random vector."""
        return self.rng.normal(0.0, size, 3)

    def log(self, low: float, high: float) -> float:
        """A random number whose logarithm is uniform."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def often(self, share: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < share)

    def one(self, things: Sequence[Thing]) -> Thing:
        """A random one of several things."""
        return things[int(self.rng.integers(len(things)))]

    def sign(self) -> float:
        """1 or -1."""
        return 1.0 if self.often(0.5) else -1.0

    def sample(self, table: Table) -> SimpleNamespace:
        """One value of each range of a table."""
        values: dict[str, Any] = {}
        for name, entry in table.items():
            if isinstance(entry, float):
                values[name] = self.often(entry)
            elif isinstance(entry[0], str):
                values[name] = self.one(entry)
            elif all(isinstance(end, int) for end in entry):
                values[name] = self.whole(*entry)
            else:
                values[name] = self(*entry)
        return SimpleNamespace(**values)


def at(*numbers: float) -> Vector:
    """A point or direction."""
    return np.array(numbers, dtype=np.float64)
