"""HDF5 files that are never half written: atomic replacement, and a marker and version checked on opening."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not.

    Raises:
        OSError: the disk refused; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
def opened(path: str | Path, form: str, newest: int) -> Iterator[Any]:
    """An HDF5 file of ours, opened for reading after its marker and version were checked.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable HDF5 file, another program's, another kind of ours, or of a later version.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, a {form} file is wanted")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file (truncated, or of another kind)") from error
    with file:
        found = file.attrs.get("format")
        if found != form:
            kind = f"it is a {found}" if found else "it carries no 'format' mark, so another program wrote it"
            raise ValueError(f"{path} is not a {form} file: {kind}")
        number = int(file.attrs.get("version", 0))
        if number > newest:
            raise ValueError(
                f"{path} has format version {number}, this latentsdf reads up to {newest}; upgrade latentsdf to read it"
            )
        yield file


def library_version() -> str:
    """The version of this library, as installed."""
    try:
        return version("latentsdf")
    except PackageNotFoundError:
        return "0+source"


def one_line(error: BaseException) -> str:
    """An exception's text on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
