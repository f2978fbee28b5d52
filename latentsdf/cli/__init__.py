"""The command line: `latentsdf VERB ...`. Exit 0 done, 2 user error (one line), 130 interrupted with work kept."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .parser import build_parser

AFTER_DIVERGING = {
    "train": "check the data, or train with another --seed",
    "base": "check the data, or begin anew in another --work with another --seed",
    "reconstruct": "the mesh is of the field before it; give smaller --term weights, another --preset or --seed",
}
"""Remedy for a descent that diverged, by verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    options = build_parser().parse_args(arguments)
    from .verbs import run

    try:
        _check_json(options.json)
        result = run(options)
        _write_json(options.json, result)
    except KeyboardInterrupt:
        sys.stderr.write("latentsdf: interrupted; finished work is kept\n")
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if options.debug:
            raise
        sys.stderr.write(f"latentsdf {options.verb}: {_sentence(error)}\n")
        return 2
    if result.get("diverged"):
        sys.stderr.write(f"latentsdf {options.verb}: {result['stop']}; {AFTER_DIVERGING[options.verb]}\n")
        return 2
    return 130 if result.get("interrupted") else 0


def _check_json(path: str | None) -> None:
    """Refuse a path that the result cannot be written to, before the work."""
    if path is not None and (Path(path).is_dir() or not Path(path).parent.is_dir()):
        wrong = "it is a folder" if Path(path).is_dir() else f"its folder {Path(path).parent} does not exist; make it"
        raise ValueError(f"cannot write --json {path}: {wrong}")


def _write_json(path: str | None, result: dict[str, Any]) -> None:
    if path is not None:
        text = json.dumps(_without_nan(result), indent=1, allow_nan=False, default=_plain)
        Path(path).write_text(text + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """The value with null in place of NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError, KeyError, ImportError)) and text:
        return text
    return f"{type(error).__name__}: {text}; this is not expected, run with --debug to see where it comes from"
