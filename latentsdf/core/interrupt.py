"""Ctrl-C at a safe moment: polled by a loop, or delayed to the end of a block."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def poll_interrupt() -> Iterator[Callable[[], bool]]:
    """Record the first Ctrl-C (or SIGTERM) for a loop that polls it; the second raises KeyboardInterrupt at once.

    Outside the main thread, where handlers cannot be set, Ctrl-C acts as usual.

    Yields:
        A function that says whether a signal has arrived.
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
def delay_interrupt() -> Iterator[None]:
    """Deliver a Ctrl-C only after the block: inside a write it would crash HDF5, and trimesh swallows it."""
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
