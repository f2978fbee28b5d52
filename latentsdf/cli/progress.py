"""Progress on standard error: a live bar on a terminal, a line every five seconds in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Bar:
    """One progress bar with a note beside it.

    Args:
        title: of the bar.
        quiet: show nothing.
        total: units of work.
    """

    def __init__(self, title: str, quiet: bool, total: float = 1.0):
        self._quiet, self._title, self._total, self._last = quiet, title, total, 0.0
        self._live: Any = _live_bar() if sys.stderr.isatty() and not quiet else None
        if self._live is not None:
            self._task = self._live.add_task(title, total=total, note="")

    def __enter__(self) -> Bar:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, done: float, note: str = "") -> None:
        """Show the units of work done, with a note."""
        if self._live is not None:
            self._live.update(self._task, completed=done, note=note)
        elif time.monotonic() - self._last > 5.0 or done >= self._total:
            self._last = time.monotonic()
            self.line(f"{self._title} {100 * done / self._total:3.0f}% {note}")

    def line(self, text: str) -> None:
        """Write a line that stays."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        elif not self._quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _live_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


def say(text: str = "") -> None:
    """Write a line of result on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
