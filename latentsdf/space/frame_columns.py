"""Frames in a space file: rotation, scale and centre, in the precision that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.frame import Frame

NEEDED = 1e-6
"""Change of a scale, or of a centre over the scale, by single precision, up to which that is enough."""
_ITEMS = {"rotation": (3, 3), "scale": (), "center": (3,)}


def create_frames(group: Any, compact: bool) -> None:
    """Create the columns of frames, empty; compact ones are in single precision as long as that is enough."""
    for key, item in _ITEMS.items():
        # Rotations are the identity unless a pose was fitted.
        packing = {"compression": "gzip"} if compact or key == "rotation" else {}
        kind = "f4" if compact and key != "rotation" else "f8"
        group.create_dataset(key, (0, *item), kind, maxshape=(None, *item), chunks=(64, *item), **packing)


def frame_count(group: Any) -> int:
    """Shapes of a file, S."""
    return len(group["scale"])


def write_frames(group: Any, start: int, frames: Sequence[Frame]) -> None:
    """Write frames to the rows from `start` on; columns grow, and become float64 for the first frame that needs it."""
    values = {
        "rotation": np.array([frame.rotation for frame in frames], dtype=np.float64).reshape(-1, 3, 3),
        "scale": np.array([frame.scale for frame in frames], dtype=np.float64),
        "center": np.array([frame.center for frame in frames], dtype=np.float64).reshape(-1, 3),
    }
    end = start + len(frames)
    for key, rows in values.items():
        column = group[key]
        if column.dtype == np.float32 and not _is_enough(rows, values["scale"]):
            column = _doubled(group, key)
        if end > len(column):
            column.resize(end, axis=0)
        column[start:end] = rows


def read_frames(group: Any) -> list[Frame]:
    """All frames of a file; ValueError where one is not valid."""
    columns = [group[key][:].astype(np.float64) for key in _ITEMS]
    return [Frame(rotation, float(scale), center) for rotation, scale, center in zip(*columns, strict=True)]


def frame_bytes(group: Any) -> int:
    """Bytes of all frames as stored."""
    return sum(group[key].id.get_storage_size() for key in _ITEMS)


def _is_enough(rows: Any, scales: Any) -> bool:
    with np.errstate(over="ignore"):
        change = np.abs(rows.astype(np.float32).astype(np.float64) - rows)
    return bool((change <= NEEDED * scales.reshape(-1, *[1] * (rows.ndim - 1))).all())


def _doubled(group: Any, key: str) -> Any:
    """The column in float64, in place of the one that was there."""
    rows = group[key][:]
    del group[key]
    limits = {"maxshape": (None, *_ITEMS[key]), "chunks": (64, *_ITEMS[key])}
    return group.create_dataset(key, data=rows.astype(np.float64), compression="gzip", **limits)
