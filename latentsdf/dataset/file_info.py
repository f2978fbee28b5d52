"""Names in a dataset file by h5py alone: `latentsdf info` reads them without loading PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from ..core.hdf5 import one_line, open_checked

FORMAT = "latentsdf-dataset"
VERSION = 1


def dataset_names(path: str | Path) -> tuple[str, ...]:
    """Names of the shapes of a dataset file, in its order.

    Raises:
        FileNotFoundError, ValueError: as `Dataset`; samples are not read.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            return tuple(str(group.attrs["name"]) for _, group in sorted(file["shapes"].items()))
        except (KeyError, OSError, RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is a damaged dataset ({damage(file, error)}); prepare it again") from error


def damage(file: Any, error: BaseException) -> str:
    """The reason in one line why an opened dataset file cannot be read: a shard that is not there, or the error."""
    folder = Path(file.filename).parent
    for key in file.get("shapes", ()):
        link = file["shapes"].get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink) and not (folder / link.filename).exists():
            return f"its shard {link.filename} is not beside it; put that back"
    return one_line(error)
