"""Atomic HDF5 files with a format marker and a version that are checked on opening."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import psutil

from .interrupt import delay_interrupt
from .segments import read_at


@contextlib.contextmanager
def atomic_replace(path: str | Path) -> Iterator[Path]:
    """Write a temporary file beside `path` that replaces it when the block succeeds and is removed when it fails.

    Raises:
        OSError: the file could not be written; `path` is unchanged.
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
def atomic_write(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file that replaces `path` when the block succeeds; Ctrl-C is delayed until then.

    Args:
        path: the file.

    Raises:
        OSError: the file could not be written; `path` is unchanged.
    """
    with (
        delay_interrupt(),
        atomic_replace(path) as temporary,
        open(temporary, "wb+", buffering=0) as handle,
        _ErrorHoldingFile(handle) as guarded,
        h5py.File(guarded, "w") as file,
    ):
        yield file


def copy_contents(source: Any, file: Any, without: Sequence[str] = ()) -> None:
    """Copy attributes and contents of an open HDF5 file into an empty one, without what earlier writes freed.

    Args:
        source: the file that is read.
        file: the file that is written.
        without: names that are left out.

    Raises:
        OSError: a file cannot be read or written.
    """
    for name, value in source.attrs.items():
        file.attrs[name] = value
    for name in source:
        if name not in without:
            source.copy(name, file)


class _ErrorHoldingFile:
    """A file for HDF5 that raises a write error at its end: HDF5 crashes when it cannot flush its buffers."""

    def __init__(self, handle: Any):
        self.handle = handle
        self.error: OSError | None = None
        self.seek, self.tell, self.flush = handle.seek, handle.tell, handle.flush
        self.read, self.readinto = handle.read, handle.readinto

    def __enter__(self) -> _ErrorHoldingFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self.error is not None:
            raise self.error

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while len(rest) and self.error is None:
                rest = rest[self.handle.write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return self.handle.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size


def remove_stale(path: Path) -> None:
    """Remove the temporary files that killed processes left beside a file."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = temporary.name.split(".")[-2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def file_handle(file: Any) -> Iterator[int]:
    """Handle of the very file that an open HDF5 file is, even where another has taken its name since."""
    if hasattr(os, "pread"):
        yield file.id.get_vfd_handle()
        return
    # Without it reading moves the place in the file that HDF5 counts on.
    handle = os.open(file.filename, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield handle
    finally:
        os.close(handle)


def end_of_hdf5(handle: int) -> int:
    """Where the HDF5 part of an open file ends, by its superblock; other bytes may follow, which HDF5 ignores.

    Raises:
        ValueError: it has no superblock that is known.
    """
    head = read_at(handle, 52, 0)
    place = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8] if len(head) == 52 else -1)
    if not head.startswith(b"\x89HDF\r\n\x1a\n") or place is None:
        raise ValueError("the file has no HDF5 superblock of version 0 to 3 at its beginning")
    return int.from_bytes(head[place : place + 8], "little")


@contextlib.contextmanager
def open_checked(path: str | Path, format_name: str, newest: int) -> Iterator[Any]:
    """Open an HDF5 file of this library for reading, after its format marker and version were checked.

    Args:
        path: the file.
        format_name: required value of the attribute `format`.
        newest: latest version of the format that the caller reads.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, not a readable HDF5 file, another format, or a later version.
    """
    with _open(Path(path), format_name) as file:
        marker = _marker(file)
        if marker != format_name:
            kind = f"it is a {marker}" if marker else "it carries no 'format' mark, so another program wrote it"
            raise ValueError(f"{path} is not a {format_name} file: {kind}")
        number = int(file.attrs.get("version", 0))
        if number > newest:
            raise ValueError(
                f"{path} has format version {number}, this latentsdf reads up to {newest}; upgrade latentsdf to read it"
            )
        yield file


def format_of(path: str | Path) -> str:
    """Read the format marker of an HDF5 file; "" where it has none.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable HDF5 file.
    """
    with _open(Path(path), "latentsdf") as file:
        return _marker(file)


def _open(path: Path, format_name: str) -> h5py.File:
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, a {format_name} file is wanted")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file (truncated, or of another kind)") from error


def _marker(file: h5py.File) -> str:
    marker = file.attrs.get("format")
    return marker if isinstance(marker, str) else ""


def library_version() -> str:
    """The installed version of this library; "0+source" where it is not installed."""
    try:
        return version("latentsdf")
    except PackageNotFoundError:
        return "0+source"


def one_line(error: BaseException) -> str:
    """The message of an exception on one line, or the name of its type where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
