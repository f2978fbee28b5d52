"""Meshes as binary PLY files with normals, colours and further numbers at each vertex."""

from __future__ import annotations

import numpy as np
import trimesh

from .precision import FINE, single_precision_error
from .vertex_data import vertex_colors

_TYPES = {"<f4": "float", "<f8": "double", "|u1": "uchar", "<i4": "int"}


def ply_bytes(mesh: trimesh.Trimesh, normals: bool = False) -> bytes:
    """Write a mesh as binary PLY: x y z, nx ny nz, red green blue alpha, and every vertex attribute by its name.

    Positions are float, or double where single precision would move them by more than a hundred-thousandth of the
    mesh's extent, as it does far from the origin.

    Args:
        mesh: with colours and one-dimensional `vertex_attributes`, if it has any.
        normals: whether vertex normals are written.
    """
    vertices = np.asarray(mesh.vertices)
    position = "<f8" if single_precision_error(vertices) > FINE else "<f4"
    columns = {name: (position, vertices[:, axis]) for axis, name in enumerate("xyz")}
    if normals:
        columns |= {f"n{name}": ("<f4", mesh.vertex_normals[:, axis]) for axis, name in enumerate("xyz")}
    colors = vertex_colors(mesh)
    if colors is not None:
        names = ("red", "green", "blue", "alpha")
        columns |= {name: ("|u1", colors[:, channel]) for channel, name in enumerate(names)}
    columns |= {name: ("<f4", np.asarray(values)) for name, values in mesh.vertex_attributes.items()}
    table = np.empty(len(vertices), dtype=[(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        table[name] = values
    rows = np.empty(len(mesh.faces), dtype=[("count", "|u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, mesh.faces
    properties = "".join(f"property {_TYPES[kind]} {name}\n" for name, (kind, _) in columns.items())
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(table)}\n{properties}"
        f"element face {len(rows)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode("ascii") + table.tobytes() + rows.tobytes()
