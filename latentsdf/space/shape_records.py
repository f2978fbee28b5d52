"""Search records of the shapes of a space, with the missing ones made from decoded meshes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trimesh

from ..mesh.record import RESOLUTION, Record, record_of_mesh
from ..mesh.search_record import whole_part
from .shape import Shape

OnShape = Callable[[Shape, trimesh.Trimesh | None], None]


def shape_records(shapes: Iterable[Shape], on_shape: OnShape | None = None) -> dict[str, Record]:
    """Collect the search record (128,) of each shape by name; a shape stored without one is meshed to make it.

    Args:
        shapes: of a space.
        on_shape: called after each shape with its mesh of `RESOLUTION` cells per axis, None where none was made.

    Returns:
        Records in the order of the shapes; shapes whose field has no surface are left out.
    """
    records = {}
    for shape in shapes:
        mesh, record = None, None if shape.record is None else whole_part(shape.record)
        if record is None:
            mesh = surface(shape)
            record = None if mesh is None else record_of_mesh(mesh)
        if record is not None:
            records[shape.name] = record
        if on_shape is not None:
            on_shape(shape, mesh)
    return records


def surface(shape: Shape, resolution: int = RESOLUTION) -> trimesh.Trimesh | None:
    """Mesh a shape with so many cells per axis; None where its field has no surface."""
    try:
        mesh = shape.mesh(resolution)
    except ValueError:
        return None
    return mesh if mesh.area > 0 else None
