"""Names of shapes: posix paths whose first folder is the class."""

from __future__ import annotations


def class_of(name: str) -> str:
    """The class of a shape: the first folder of its name, "" where it lies in none."""
    return name.split("/", 1)[0] if "/" in name else ""
