"""One writer at a time: a lock file beside the file that is written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_SECONDS = 10.0
"""How long a second writer waits for the first."""
_POLL_SECONDS = 0.02


@contextlib.contextmanager
def exclusive_writer(path: str | Path, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock on writing a file; the system releases it when the process ends, however it ends.

    The lock is `flock` on `.NAME.lock` beside the file, which the holder removes. Systems without it (Windows) have no
    lock.

    Args:
        path: of the file, which need not exist.
        wait: seconds to wait for another holder.

    Raises:
        TimeoutError: another process, or another thread, still holds the lock.
        OSError: the lock file cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = Path(path)
    lock, deadline = path.with_name(f".{path.name}.lock"), time.monotonic() + wait
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError as error:
            raise OSError(f"could not write {path}: its folder {path.parent} does not exist") from error
        except OSError as error:
            text = f"could not write {path}: {error.strerror} ({lock.name} beside it)"
            raise OSError(f"{text}; the file that was there is unchanged") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, lock):
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise TimeoutError(
                    f"another process is writing {path} and did not end within {wait:g} s; try again when it is done"
                ) from None
        os.close(handle)
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        # Removed while it is held: whoever waits on this file finds that it is not at its place any more.
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
