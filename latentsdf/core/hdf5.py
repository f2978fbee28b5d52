"""HDF5 files that are never half written: atomic replacement, and a marker and version checked on opening."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import psutil

from .interrupt import held_interrupt


@contextlib.contextmanager
def atomic_replace(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not.

    Raises:
        OSError: the disk refused; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    remove_stale(path)
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, (OSError, RuntimeError)) and not isinstance(error, FileNotFoundError):
            raise OSError(f"could not write {path}: {one_line(error)}; the file that was there is unchanged") from error
        if isinstance(error, FileNotFoundError):
            raise OSError(f"could not write {path}: its folder {path.parent} does not exist") from error
        raise


@contextlib.contextmanager
def atomic_write(path: str | Path, *, start: str | Path | None = None) -> Iterator[Any]:
    """An open HDF5 file that takes the place of `path` when the block ends well; Ctrl-C waits for the end.

    Args:
        path: the file.
        start: a file whose content the new one begins with; None begins empty.

    Raises:
        OSError: the disk refused; `path` is as it was.
    """
    with held_interrupt(), atomic_replace(path) as temporary:
        if start is not None:
            shutil.copyfile(start, temporary)
        with open(temporary, "wb+" if start is None else "rb+", buffering=0) as handle:
            disk = _Disk(handle)
            try:
                with h5py.File(disk, "w" if start is None else "r+") as file:
                    yield file
            finally:
                if disk.refusal is not None:
                    raise disk.refusal


class _Disk:
    """A file under HDF5 that keeps the disk's refusal for later: HDF5 crashes when it cannot write what it holds."""

    def __init__(self, handle: Any):
        self.handle = handle
        self.refusal: OSError | None = None
        self.seek, self.tell, self.flush = handle.seek, handle.tell, handle.flush
        self.read, self.readinto = handle.read, handle.readinto

    def write(self, data: Any) -> int:
        left = memoryview(data)
        try:
            while len(left) and self.refusal is None:
                left = left[self.handle.write(left) :]
        except OSError as error:
            self.refusal = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return self.handle.truncate(size)
        except OSError as error:
            self.refusal = self.refusal or error
            return size


def remove_stale(path: Path) -> None:
    """Remove what killed processes left half written beside a file."""
    for litter in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = litter.name.split(".")[-2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            with contextlib.suppress(OSError):
                litter.unlink()


@contextlib.contextmanager
def open_checked(path: str | Path, form: str, newest: int) -> Iterator[Any]:
    """An HDF5 file of ours, opened for reading after its marker and version were checked.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable HDF5 file, another program's, another kind of ours, or of a later version.
    """
    with _open(Path(path), form) as file:
        mark = _mark(file)
        if mark != form:
            kind = f"it is a {mark}" if mark else "it carries no 'format' mark, so another program wrote it"
            raise ValueError(f"{path} is not a {form} file: {kind}")
        number = int(file.attrs.get("version", 0))
        if number > newest:
            raise ValueError(
                f"{path} has format version {number}, this latentsdf reads up to {newest}; upgrade latentsdf to read it"
            )
        yield file


def format_of(path: str | Path) -> str:
    """The format mark of an HDF5 file; "" where it carries none.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable HDF5 file.
    """
    with _open(Path(path), "latentsdf") as file:
        return _mark(file)


def _open(path: Path, form: str) -> h5py.File:
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, a {form} file is wanted")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file (truncated, or of another kind)") from error


def _mark(file: h5py.File) -> str:
    mark = file.attrs.get("format")
    return mark if isinstance(mark, str) else ""


def library_version() -> str:
    """The version of this library, as installed."""
    try:
        return version("latentsdf")
    except PackageNotFoundError:
        return "0+source"


def one_line(error: BaseException) -> str:
    """An exception's text on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
