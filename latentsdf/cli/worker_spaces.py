"""Spaces that a worker process keeps from one task to the next."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..inference.code_fitting import CodeFitter, EncodeConfig
from ..inference.encoding import code_fitter
from ..space.space import LatentSpace
from ..space.store import load


@lru_cache(maxsize=1)
def space_of(path: Path) -> LatentSpace:
    """The space in a file that does not change during the run."""
    return load(path)


@lru_cache(maxsize=1)
def fits_of(path: Path, config: EncodeConfig) -> tuple[LatentSpace, CodeFitter]:
    """The space and the fits of its codes."""
    space = space_of(path)
    return space, code_fitter(space, config)
