"""Packing of a stored shape by a worker process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.hdf5 import one_line
from ..core.processes import Limits
from ..inference.packing import pack_shape
from ..inference.rate_search import Target
from ..space.shape import Shape
from .worker_spaces import space_of

LIMITS = Limits(time=1800.0, memory=8.0)
"""Of one shape: seconds, and GiB of its process."""


class PackTask(NamedTuple):
    """A shape to be packed.

    Attributes:
        space: file that holds it, which does not change meanwhile.
        name: of the shape.
        mesh: file that it was made from.
        target: how close it must come, or in how many bytes.
        seed: of the samples.
    """

    space: Path
    name: str
    mesh: Path
    target: Target
    seed: int


def pack_stored(task: PackTask) -> Shape | str:
    """The packed shape without its decoder, or the reason in one line why there is none."""
    nothing: Any = None
    space = space_of(task.space)
    try:
        packed = pack_shape(space, space[task.name], task.mesh, task.target, task.seed)
    except (ValueError, OSError) as error:
        return one_line(error)
    return replace(packed, decoder=nothing)
