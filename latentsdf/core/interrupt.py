"""Ctrl-C at the right moment: held back over a block that it would break, or asked for by a loop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C (or SIGTERM) back until the loop asks for it; a second Ctrl-C raises at once.

    Outside the main thread, where handlers cannot be set, Ctrl-C acts as usual.
    """
    caught = False

    def handler(number: int, frame: Any) -> None:
        nonlocal caught
        if caught:
            raise KeyboardInterrupt
        caught = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: caught
    finally:
        for number, action in previous.items():
            signal.signal(number, action)


@contextlib.contextmanager
def held_interrupt() -> Iterator[None]:
    """Deliver a Ctrl-C of the block after it: inside a write of HDF5 it would be a crash, and trimesh swallows it."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if caught:
            signal.raise_signal(signal.SIGINT)
