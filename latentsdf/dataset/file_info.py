"""Names in a dataset file by h5py alone: `latentsdf info` reads them without loading PyTorch."""

from __future__ import annotations

from pathlib import Path

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
            raise ValueError(f"{path} is a damaged dataset ({one_line(error)}); prepare it again") from error
