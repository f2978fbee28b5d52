"""Reading of point clouds from files, by their endings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

from ..core.interrupt import delay_interrupt
from .e57 import read_e57
from .las import read_las
from .numpy_points import read_numpy_points
from .pcd import read_pcd
from .point_table import PointTable, named_columns
from .text_points import read_obj_points, read_text_points


def read_points(path: Path) -> PointTable | None:
    """Read the points of a file with one of `SCAN_ENDINGS` or `MESH_ENDINGS`; None where it holds a mesh.

    Raises:
        ImportError: the package that reads this format is not installed.
        ValueError: the file cannot be read.
    """
    ending = path.suffix.lower()
    try:
        return _READERS.get(ending, _read_with_trimesh)(path)
    except ImportError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path.name}: not a readable {ending} scan ({reason})") from error


def _read_with_trimesh(path: Path) -> PointTable | None:
    if path.suffix.lower() == ".3mf":
        return None
    with delay_interrupt():
        loaded = trimesh.load(path, process=False)
    if not isinstance(loaded, trimesh.PointCloud):
        return PointTable(np.empty((0, 3))) if isinstance(loaded, trimesh.Scene) and not loaded.geometry else None
    raw = loaded.metadata.get("_ply_raw", {}).get("vertex", {}).get("data")
    names = getattr(getattr(raw, "dtype", None), "names", None) or tuple(raw or ())
    if raw is None or not {"x", "y", "z"} <= {name.lower() for name in names}:
        return PointTable(np.asarray(loaded.vertices, dtype=np.float64))
    return named_columns(list(names), lambda name: np.asarray(raw[name]))


_READERS: dict[str, Callable[[Path], PointTable | None]] = {
    **dict.fromkeys((".xyz", ".txt", ".csv", ".asc", ".pts"), read_text_points),
    **dict.fromkeys((".npy", ".npz"), read_numpy_points),
    **dict.fromkeys((".las", ".laz"), read_las),
    ".obj": read_obj_points,
    ".pcd": read_pcd,
    ".e57": read_e57,
}
