"""Names of shapes: the class of a name, and the nearest known name to an unknown one."""

from __future__ import annotations

import difflib
import string
from collections.abc import Collection, Container, Iterator

FEW = 2000
"""Names up to which all are compared with an unknown one."""
_NEAREST = 0.5
"""Least similarity (`difflib`) of a suggestion."""
_HITS = 50
"""Names at most that are compared for one piece of an unknown name."""
_LETTERS = string.ascii_letters + string.digits + "/_-. "


def class_of(name: str) -> str:
    """Class of a shape: the first folder of its name, "" for a name without folder."""
    return name.split("/", 1)[0] if "/" in name else ""


def nearest_name(name: str, names: Collection[str], known: Container[str] | None = None) -> str | None:
    """The known name most like an unknown one; None where none is like it.

    Among more than `FEW` names those are compared that are one edit away; where there is none, some of those that share
    the first, the last or the middle half of the unknown name.

    Args:
        name: the unknown name.
        names: the known names.
        known: the same, where whether it holds a name is found in no time; None makes a set of many names.
    """
    candidates: Collection[str] = names
    if len(names) > FEW:
        known = frozenset(names) if known is None else known
        candidates = {near for near in _edited(name) if near in known} or set(_sharing(name, names))
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=_NEAREST)
    return near[0] if near else None


class UnknownShape(KeyError):
    """Lookup of a shape by an unknown name; the message suggests the nearest known one.

    Args:
        name: the unknown name.
        names: the known names.
        source: file or space that holds the known names, for the message.
        known: as in `nearest_name`.
    """

    def __init__(self, name: str, names: Collection[str], source: str, known: Container[str] | None = None):
        near = nearest_name(str(name), names, known)
        hint = f"did you mean {near!r}? " if near else ""
        super().__init__(f"no shape named {name!r} in {source}; {hint}({len(names)} shapes)")

    def __str__(self) -> str:
        return self.args[0]


def _edited(name: str) -> Iterator[str]:
    """Names that one letter more, less or changed, or two swapped, make of a name."""
    for at in range(len(name) + 1):
        start, rest = name[:at], name[at:]
        yield start + rest[1:]
        yield start + rest[1:2] + rest[:1] + rest[2:]
        for letter in _LETTERS:
            yield start + letter + rest
            yield start + letter + rest[1:]


def _sharing(name: str, names: Collection[str]) -> Iterator[str]:
    """Some names with the first, the last or the middle half of a name."""
    text = "\n".join(names)
    text = f"\n{text}\n"
    half, quarter = -(-len(name) // 2), len(name) // 4
    for piece in (name[half:] + "\n", "\n" + name[:half], name[quarter : quarter + half]):
        at = -1
        for _ in range(_HITS):
            at = text.find(piece, at + 1)
            if at < 0 or len(piece) < 2:
                break
            start = at if text[at] == "\n" else text.rindex("\n", 0, at)
            yield text[start + 1 : text.index("\n", start + 1)]
