"""Digits that the coordinates of a mesh need in a file, and places too far from the origin for single precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array

FINE, COARSE = 1e-5, 1e-3
"""Rounding, as a share of a mesh's extent, that a file should stay below, and that no file may exceed."""


def single_precision_error(vertices: Array) -> float:
    """Half the spacing of float32 numbers at the farthest coordinate of vertices (V, 3), over their extent."""
    extent, farthest = float(np.ptp(vertices, axis=0).max()), float(np.abs(vertices).max())
    return 2.0**-24 * farthest / extent if extent > 0 else 0.0


def decimal_format(vertices: Array) -> str:
    """Format of a coordinate of vertices (V, 3) in text: digits enough for a hundred-millionth of the extent."""
    extent, farthest = float(np.ptp(vertices, axis=0).max()), float(np.abs(vertices).max())
    digits = 8 + math.ceil(math.log10(max(farthest / extent, 1.0))) if extent > 0 else 9
    return f"%.{min(max(digits, 9), 17)}g"


def text_rows(template: str, rows: NDArray[Any]) -> str:
    """One line for each row (N, K) of numbers, by a template with K places."""
    return "".join([template % tuple(row) for row in rows.tolist()])
