"""NumPy array types of signatures; the shape of each array stands in the docstring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
"""Real numbers in double precision."""
Indices = NDArray[np.int64]
"""Row numbers."""
Mask = NDArray[np.bool_]
"""One truth value per row."""
Rows = ArrayLike | Sequence[Sequence[float]]
"""Anything that is an array of rows: an array, or a list of points."""
