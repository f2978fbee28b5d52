"""Verbs by name, each loaded when it is called: options in, printed lines and a JSON-ready result out."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from typing import Any

MODULES = {
    "build": ("prepare", "train"),
    "base": ("base",),
    "encode": ("encode",),
    "pack": ("pack",),
    "mesh": ("mesh",),
    "query": ("interpolate",),
    "view": ("view",),
    "search": ("search",),
    "export": ("export",),
    "map": ("map",),
    "plot": ("plot",),
    "duplicates": ("duplicates",),
    "reconstruct": ("reconstruct",),
    "report": ("info", "evaluate"),
    "demo": ("demo",),
    "doctor": ("doctor",),
    "completion": ("completion",),
}
"""Verbs by the module of this package that defines them, as functions of the same names."""


def run(options: Namespace) -> dict[str, Any]:
    """Run the verb that the options name; missing files and unknown names are refused before PyTorch is loaded.

    Raises:
        FileNotFoundError, NotADirectoryError: a file or folder that does not exist.
        KeyError: a name that the space does not hold.
        ValueError: options that exclude each other, or data that cannot be used.
        OSError: an output that cannot be written.
        ImportError: an optional dependency that is not installed.
        KeyboardInterrupt: Ctrl-C; finished work is kept.
    """
    module = next(name for name, verbs in MODULES.items() if options.verb in verbs)
    return getattr(import_module(f".{module}", __package__), options.verb)(options)
