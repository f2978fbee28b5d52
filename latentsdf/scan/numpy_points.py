"""Point clouds as NumPy arrays: NPY and NPZ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .point_table import PointTable, eight_bit_colors, named_columns, numbered_columns

_POINTS, _NORMALS, _COLORS = ("points", "xyz", "vertices", "pos"), ("normals", "normal"), ("colors", "rgb", "color")


def read_numpy_points(path: Path) -> PointTable:
    """Read an array (M, 3), (M, 6) or (M, 9), one with named fields, or an archive of arrays.

    An archive holds `points` (or `xyz`, `vertices`, `pos`), and may hold `normals`, `colors` (or `rgb`) and `sensor`,
    of one or of each point; or one array alone.

    Raises:
        ValueError: no points among the arrays, or arrays of other shapes.
    """
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return _of_array(loaded)
    with loaded as archive:
        arrays = {name.lower(): archive[name] for name in archive.files}
    points = _first(arrays, _POINTS)
    if points is None and len(arrays) == 1:
        return _of_array(next(iter(arrays.values())))
    if points is None:
        raise ValueError(f"it holds no array named {' or '.join(_POINTS)}; it holds {', '.join(arrays) or 'nothing'}")
    table = numbered_columns(points)
    normals, colors, sensor = _first(arrays, _NORMALS), _first(arrays, _COLORS), arrays.get("sensor")
    if normals is not None:
        table = table._replace(normals=np.asarray(normals, dtype=np.float64))
    if colors is not None:
        table = table._replace(colors=eight_bit_colors(colors[:, :3]))
    return table._replace(sensor=None if sensor is None else np.asarray(sensor, dtype=np.float64))


def _of_array(array: NDArray[Any]) -> PointTable:
    if array.dtype.names:
        return named_columns(array.dtype.names, lambda name: array[name])
    return numbered_columns(array)


def _first(arrays: dict[str, NDArray[Any]], names: tuple[str, ...]) -> NDArray[Any] | None:
    return next((arrays[name] for name in names if name in arrays), None)
