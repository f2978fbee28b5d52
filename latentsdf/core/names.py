"""Names of shapes: the class that a name carries, and the nearest known name to an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def class_of(name: str) -> str:
    """The class of a shape: the first folder of its name, "" where it lies in none."""
    return name.split("/", 1)[0] if "/" in name else ""


class UnknownShape(KeyError):
    """No shape of a name; the text suggests the nearest known one.

    Args:
        name: that was asked for.
        names: that are known.
        source: of the known names, as a file is called.
    """

    def __init__(self, name: str, names: Collection[str], source: str):
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"no shape named {name!r} in {source}; {hint}({len(names)} shapes)")

    def __str__(self) -> str:
        return self.args[0]
