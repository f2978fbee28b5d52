"""Columns of a point cloud as a file holds them, and colours brought to eight bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.arrays import Array


class PointTable(NamedTuple):
    """Points of a file, with what else it says of them.

    Attributes:
        points: (M, 3).
        normals: (M, 3), of any length, or None.
        colors: (M, 3) sRGB, or None.
        sensor: (3,) or (M, 3), or None.
        cropped: whether the sensor may have missed parts that it faced.
        notes: on the reading, one line each.
    """

    points: Array
    normals: Array | None = None
    colors: NDArray[np.uint8] | None = None
    sensor: Array | None = None
    cropped: bool = False
    notes: tuple[str, ...] = ()


NORMAL_NAMES = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"), ("normalx", "normaly", "normalz"))
COLOR_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))


def named_columns(names: Sequence[str], column: Callable[[str], ArrayLike]) -> PointTable:
    """Points, normals and colours of named columns.

    Args:
        names: of the columns, in any case.
        column: values (M,) by the name as given.

    Raises:
        ValueError: there is no x, y or z.
    """
    by_name: Mapping[str, str] = {name.strip().lower(): name for name in reversed(names)}

    def stacked(*choices: tuple[str, str, str]) -> Array | None:
        for chosen in choices:
            if all(name in by_name for name in chosen):
                return np.stack([np.asarray(column(by_name[name])).reshape(-1) for name in chosen], axis=1)
        return None

    points = stacked(("x", "y", "z"), ("points_x", "points_y", "points_z"))
    if points is None:
        raise ValueError(f"a scan needs columns x, y and z; it has {', '.join(names) or 'none'}")
    normals, colors = stacked(*NORMAL_NAMES), stacked(*COLOR_NAMES)
    return PointTable(
        points.astype(np.float64),
        None if normals is None else normals.astype(np.float64),
        None if colors is None else eight_bit_colors(colors),
    )


def numbered_columns(rows: ArrayLike) -> PointTable:
    """Points of rows x y z, with the normals and colours that follow; other columns are left out.

    Three numbers are a colour where they are integers from 0 to 255 and mostly longer than a normal, else a normal. One
    number between the point and a colour is an intensity.

    Args:
        rows: (M, K), K at least 3.

    Raises:
        ValueError: rows of another form.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] < 3:
        raise ValueError(f"a scan needs rows of 3 numbers, or 6 with normals; got an array of shape {rows.shape}")
    normals = colors = None
    width, start = rows.shape[1], 3
    if width == 7 and _are_colors(rows[:, 4:7]) or width == 10 and _are_colors(rows[:, 4:7]):
        start = 4
    for first in range(start, width - 2, 3):
        block = rows[:, first : first + 3]
        if colors is None and _are_colors(block):
            colors = eight_bit_colors(block.astype(np.int64))
        elif normals is None:
            normals = block
    return PointTable(rows[:, :3], normals, colors)


def _are_colors(block: Array) -> bool:
    finite = block[np.isfinite(block).all(1)]
    whole = len(finite) > 0 and (finite == np.floor(finite)).all() and finite.min() >= 0 and finite.max() <= 255
    return bool(whole and np.median(np.linalg.norm(finite, axis=1)) > 3)


def eight_bit_colors(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours (M, 3) from 0 to 255, of shares of one, of eight-bit, or of sixteen-bit numbers.

    Integers are taken for eight-bit ones as long as none is above 255, as many writers of LAS store them.
    """
    values = np.nan_to_num(np.asarray(values, dtype=np.float64) if values.dtype.kind == "f" else np.asarray(values))
    if values.dtype.kind == "f" and values.size and values.max() <= 1.0:
        return np.round(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    if values.size and values.max() > 255:
        return np.clip(values / 257.0 + 0.5, 0, 255).astype(np.uint8)
    return np.clip(values, 0, 255).astype(np.uint8)
