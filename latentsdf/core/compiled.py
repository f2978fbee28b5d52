"""Compilation of numeric loops to machine code by Numba, kept on disk where the disk allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nnan", "nsz"}}


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers at its first call; later processes load the result from the disk."""
    try:
        return numba.njit(cache=True, **_FLAGS)(function)
    except RuntimeError:  # neither the folder of the source nor that of the user can be written
        return numba.njit(**_FLAGS)(function)
