"""Verbs, kinds, options and arguments of the command line as a table, read from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = ("NAME", "A", "B")
"""Placeholders of positional arguments that stand for shapes of the space that was given first."""
_NAMES_OR_FILES = "NAME_OR_MESH_OR_SCAN_OR_DIR"
_FOLDERS = ("DIR", "MESH_DIR")
_NO_FILES = ("N", "K", "T", "D", "P", "R", "S", "M", "GIB", "X", "UP", "NAME=WEIGHT", "CLASS")
"""Placeholders of values for which there is nothing to propose, as are those without a placeholder."""


class Option(NamedTuple):
    """One option of a command.

    Attributes:
        flags: `--out`, `-o`.
        text: its help.
        value: `none`, `any`, `files`, `folders`, or words divided by spaces.
    """

    flags: tuple[str, ...]
    text: str
    value: str


class Command(NamedTuple):
    """A verb, or a kind of a verb.

    Attributes:
        words: `("plot", "map")`.
        text: its help.
        options: all of them.
        kinds: words that must follow.
        positionals: of its arguments in order, as `Option.value`, `names`, or `names|files`; the last is repeated where
            `repeats`.
        repeats: whether the last may be given several times.
    """

    words: tuple[str, ...]
    text: str
    options: tuple[Option, ...]
    kinds: tuple[str, ...]
    positionals: tuple[str, ...]
    repeats: bool


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), text: str = "") -> Iterator[Command]:
    """All commands below a parser, itself first.

    Args:
        parser: of `build_parser`, or of one of its verbs.
        words: that lead to it.
        text: its help.
    """
    options, positionals, below, repeats = [], [], {}, False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {item.dest: item.help or "" for item in action._choices_actions}
            below = {name: (item, helps.get(name, "")) for name, item in action.choices.items()}
        elif action.option_strings:
            options.append(Option(tuple(action.option_strings), action.help or "", _value(action)))
        else:
            positionals.append(_value(action))
            repeats = action.nargs in ("*", "+")
    yield Command(words, text, tuple(options), tuple(below), tuple(positionals), repeats)
    for name, (item, help_text) in below.items():
        yield from commands(item, (*words, name), help_text)


def _value(action: argparse.Action) -> str:
    """What the value of an argument may be."""
    if action.nargs == 0:
        return "none"
    if action.choices:
        return " ".join(str(choice) for choice in action.choices)
    metavar = action.metavar[0] if isinstance(action.metavar, tuple) else action.metavar
    if metavar in _NAMES and not action.option_strings:
        return "names"
    if metavar == _NAMES_OR_FILES:
        return "names|files"
    if metavar in _FOLDERS:
        return "folders"
    return "any" if metavar is None or metavar in (*_NO_FILES, *_NAMES) else "files"
