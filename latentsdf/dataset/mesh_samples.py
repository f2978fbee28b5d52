"""Query samples of one mesh: repaired, audited, set in its unit frame, sampled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.frame import Frame
from ..mesh.audit import Audit, audit_mesh
from ..mesh.distance import MeshSDF
from ..mesh.repair import repair_mesh
from ..mesh.search_record import SearchRecord, search_record
from .band_lattice import truncated_lattice
from .sampling import QuerySamples, SamplingConfig, draw_samples


class MeshSamples(NamedTuple):
    """Query samples of one mesh.

    Attributes:
        audit: of the repaired mesh.
        frame: source units <-> unit frame.
        groups: samples in the unit frame, by the name of their group.
        lattice: (R, R, R) truncated distances in the unit frame; None where the config asks for none.
        mesh: the repaired mesh, in its own units.
        record: search record of the repaired mesh.
    """

    audit: Audit
    frame: Frame
    groups: dict[str, QuerySamples]
    lattice: NDArray[np.float16] | None
    mesh: trimesh.Trimesh
    record: SearchRecord


def sample_mesh(mesh: trimesh.Trimesh, config: SamplingConfig, seed: int) -> MeshSamples:
    """Repair a mesh, audit it, and sample its signed distance in its unit frame.

    Args:
        mesh: in its own units.
        config: how many samples of each group, and whether there is a lattice.
        seed: of the audit's rays and of the samples.

    Raises:
        ValueError: the mesh has no inside that a repair could find.
    """
    repaired, flipped = repair_mesh(mesh)
    frame = Frame.around(repaired.vertices)
    unit = trimesh.Trimesh(frame.to_unit(repaired.vertices), repaired.faces, process=False)
    sdf = MeshSDF(unit.vertices, unit.faces)
    return MeshSamples(
        audit=audit_mesh(repaired, flipped_faces=flipped, seed=seed, sdf=sdf),
        frame=frame,
        groups=draw_samples(unit, config, seed, sdf=sdf),
        lattice=truncated_lattice(sdf, config.lattice, config.truncation) if config.lattice else None,
        mesh=repaired,
        record=search_record(repaired, sdf=sdf),
    )
