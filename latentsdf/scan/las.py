"""Point clouds of laser scanning: LAS and LAZ, read with laspy."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from .point_table import NORMAL_NAMES, PointTable, named_columns

MISSING = "reading {ending} needs the packages laspy and lazrs: pip install 'latentsdf[las]'"


def read_las(path: Path) -> PointTable:
    """Read the points of a LAS or LAZ file in its own coordinates, with colours, and normals where it has such columns.

    Raises:
        ImportError: laspy, or for LAZ lazrs, is not installed.
        ValueError: damaged.
    """
    try:
        laspy: Any = importlib.import_module("laspy")
    except ImportError as error:
        raise ImportError(f"{path.name}: {MISSING.format(ending=path.suffix.lower())}") from error
    if path.suffix.lower() == ".laz" and not laspy.LazBackend.detect_available():
        raise ImportError(f"{path.name}: {MISSING.format(ending='.laz')}")
    cloud = laspy.read(path)
    present = {name.lower(): name for name in cloud.point_format.dimension_names}
    wanted = {"x": cloud.x, "y": cloud.y, "z": cloud.z}
    colored = {name: np.asarray(cloud[name]) for name in ("red", "green", "blue") if name in present}
    if len(colored) == 3 and any(values.any() for values in colored.values()):  # all zero: never set
        wanted |= colored
    for names in NORMAL_NAMES:
        if all(name in present for name in names):
            wanted |= {name: cloud[present[name]] for name in names}
            break
    return named_columns(list(wanted), lambda name: np.asarray(wanted[name]))
