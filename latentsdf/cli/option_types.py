"""Types of options, with errors of one line; importing them loads no numeric library."""

from __future__ import annotations

import argparse
import math
from typing import Any, NoReturn

CELLS = (4, 1024)
"""Range of `extract_mesh`, repeated here since importing that module loads numeric libraries."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

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
