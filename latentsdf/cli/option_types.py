"""Types of options, with errors of one line; importing them loads no numeric library."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

CELLS = (4, 1024)
"""Range of `extract_mesh`, repeated here since importing that module loads numeric libraries."""


_DIRECTIONS = ("--up", "--space-up")


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose directions are one word or three numbers."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        return super().parse_known_args(_joined(sys.argv[1:] if args is None else list(args)), namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def number(text: str, kind: type[int] | type[float]) -> Any:
    """A number of a kind."""
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None


def count(text: str) -> int:
    """A whole number of at least 1."""
    value = number(text, int)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def cells(text: str) -> int:
    """Lattice cells per axis."""
    value = count(text)
    if not CELLS[0] <= value <= CELLS[1]:
        raise argparse.ArgumentTypeError(f"must lie from {CELLS[0]} to {CELLS[1]}, got {value}")
    return value


def positive(text: str) -> float:
    """A positive number."""
    value = number(text, float)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return value


def tolerance(text: str) -> float:
    """A distance in the unit frame."""
    value = positive(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"must be below 1, the half width of the unit frame, got {text}")
    return value


def tolerances(text: str) -> tuple[float, ...]:
    """Tolerances in ascending order, each below 1."""
    values = [0.0 if part.strip() in ("0", "0.0") else tolerance(part) for part in text.split(",")]
    return tuple(sorted(set(values)))


def coordinate(text: str) -> float:
    """A finite number."""
    value = number(text, float)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be finite, got {text}")
    return value


def direction(text: str) -> str | tuple[float, ...]:
    """A letter of an axis, or three numbers with commas between them."""
    if text in ("x", "y", "z"):
        return text
    parts = text.split(",")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is no direction; give x, y, z or three numbers X Y Z")
    vector = tuple(coordinate(part) for part in parts)
    if not any(vector):
        raise argparse.ArgumentTypeError("0 0 0 points nowhere; give x, y, z or the vector that points up")
    return vector


def _joined(words: list[str]) -> list[str]:
    """Words in which three numbers behind an option of a direction are one, with commas, and belong to it."""
    out, rest = [], words
    while rest:
        first, numbers = rest[0], rest[1:4]
        if first in _DIRECTIONS and len(numbers) == 3 and all(map(_is_number, numbers)):
            out, rest = [*out, f"{first}={','.join(numbers)}"], rest[4:]
        else:
            out, rest = [*out, first], rest[1:]
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def weight(text: str) -> tuple[str, float]:
    """A term and its weight, NAME=WEIGHT."""
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name or not 0 <= weight < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a term and its weight, as eikonal=0.1 is")
    return name, weight


def seed(text: str) -> int:
    """A seed."""
    value = number(text, int)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must lie in [0, 2^63), got {value}")
    return value


def share(text: str) -> float:
    """A number from -1 to 1."""
    value = number(text, float)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie from -1 to 1, in radii from the centre, got {text}")
    return value


def resolution(parser: argparse.ArgumentParser, default: int) -> None:
    """Add `--resolution`."""
    help_text = f"lattice cells per axis (default {default})"
    parser.add_argument("--resolution", type=cells, default=default, metavar="R", help=help_text)
