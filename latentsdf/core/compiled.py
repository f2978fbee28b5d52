"""Compilation of numeric loops to machine code by Numba, kept on disk where the disk allows it.

A kept function is compiled anew when its own file changes, not when a constant or function of another file does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_FLAGS = {"nogil": True, "error_model": "numpy"}
_FAST = {"contract", "nnan", "nsz"}


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers at its first call; later processes load the result from the disk.

    Products and sums may be fused, and no number may be undefined.
    """
    return _compiled(function, fastmath=_FAST)


def compiled_exactly(function: Function) -> Function:
    """Compile a function as `compiled`, every operation rounded as NumPy rounds it."""
    return _compiled(function, fastmath=False)


def _compiled(function: Function, **options: Any) -> Function:
    compile_kept: Any = numba.njit(cache=True, **_FLAGS, **options)
    try:
        return compile_kept(function)
    except RuntimeError:  # neither the folder of the source nor that of the user can be written
        compile_only: Any = numba.njit(**_FLAGS, **options)
        return compile_only(function)
