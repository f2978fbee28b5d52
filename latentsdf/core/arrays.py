"""Types of NumPy arrays that signatures name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Real numbers in double precision; the shape stands in the docstring."""
Indices = NDArray[np.int64]
"""Row numbers; the shape stands in the docstring."""
Mask = NDArray[np.bool_]
"""One truth value per row; the shape stands in the docstring."""
