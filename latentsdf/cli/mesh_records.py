"""Records of mesh files, each made in a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trimesh

from ..core.processes import Limits
from ..mesh.load import load_mesh
from ..mesh.record import Record, record_of_mesh
from ..mesh.repair import repair_mesh

LIMITS = Limits(time=300.0, memory=6.0)
"""Of one mesh: seconds, and GiB of its process."""


class MeshTask(NamedTuple):
    """A mesh file and the name of its shape."""

    name: str
    file: Path

    def load(self) -> trimesh.Trimesh:
        """Read the mesh; raises as `load_mesh`."""
        return load_mesh(self.file)


def mesh_record(task: MeshTask) -> Record | str:
    """The record (128,) of a mesh file, of its outward faces; the reason in one line where there is none."""
    try:
        return record_of_mesh(repair_mesh(task.load())[0])
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        if isinstance(error, MemoryError):
            return "the machine ran out of memory; use fewer workers or simplify the mesh"
        return reason if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {reason}"
