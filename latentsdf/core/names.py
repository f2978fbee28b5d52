"""Names of shapes: the class of a name, and the nearest known name to an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def class_of(name: str) -> str:
    """Class of a shape: the first folder of its name, "" for a name without folder."""
    return name.split("/", 1)[0] if "/" in name else ""


class UnknownShape(KeyError):
    """Lookup of a shape by an unknown name; the message suggests the nearest known one.

    Args:
        name: the unknown name.
        names: the known names.
        source: file or space that holds the known names, for the message.
    """

    def __init__(self, name: str, names: Collection[str], source: str):
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"no shape named {name!r} in {source}; {hint}({len(names)} shapes)")

    def __str__(self) -> str:
        return self.args[0]
