"""Progress on standard error: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """One bar with a free text beside it.

    Args:
        title: what is going on.
        quiet: show nothing.
        total: units of work.
    """

    def __init__(self, title: str, quiet: bool, total: float = 1.0):
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal and not quiet
        self._lines = not self._live and not quiet
        self._title, self._total, self._last = title, total, 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task(title, total=total, note="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, done: float, note: str = "") -> None:
        """Say how much is done."""
        if self._live:
            self._progress.update(self._task, completed=done, note=note)
        elif self._lines and (time.monotonic() - self._last > 5.0 or done >= self._total):
            self._last = time.monotonic()
            sys.stderr.write(f"{self._title} {100 * done / self._total:3.0f}% {note}\n")
            sys.stderr.flush()

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._live:
            self._progress.console.print(text, markup=False, highlight=False)
        elif self._lines:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def say(text: str = "") -> None:
    """A line of result on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
