"""Values of queries, and answers as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Query = Mapping[str, Sequence[str]]
"""Values of the query part of an address by name, as `urllib.parse.parse_qs` gives them."""
CELLS = (16, 256)
"""Range of the lattice cells per axis of a mesh."""


class Answer(NamedTuple):
    """Body of a response, its type, and the name under which a browser keeps it."""

    body: bytes
    type: str = "application/octet-stream"
    filename: str | None = None


def as_json(value: Any) -> Answer:
    """An answer of JSON values; numbers that are not finite become null."""
    return Answer(json.dumps(_finite(value), allow_nan=False).encode(), "application/json; charset=utf-8")


def one(query: Query, name: str) -> str:
    """The value of a query by its name, the first of several; ValueError where it is not there."""
    if not query.get(name):
        raise ValueError(f"the request lacks {name}=")
    return query[name][0]


def number(query: Query, name: str, default: float) -> float:
    """A finite number of a query by its name; ValueError where it is none."""
    text = query.get(name, [str(default)])[0]
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {text}")
    return value


def cells_of(query: Query, default: int = 48) -> int:
    """Lattice cells per axis that a query asks for; ValueError out of the range of `CELLS`."""
    value = number(query, "cells", default)
    if value != int(value) or not CELLS[0] <= value <= CELLS[1]:
        raise ValueError(f"cells must be a whole number from {CELLS[0]} to {CELLS[1]}, got {value:g}")
    return int(value)


def _finite(value: Any) -> Any:
    """JSON values with null in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
