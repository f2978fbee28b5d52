"""Writing of meshes to files: one mesh in any format, several named ones or levels of detail in a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import trimesh

from ..core.hdf5 import atomic_replace
from ..core.interrupt import delay_interrupt
from .endings import MESH_ENDINGS, SCENE_ENDINGS
from .gltf import glb_bytes, gltf_bytes
from .ply import ply_bytes
from .precision import COARSE, decimal_format, single_precision_error, text_rows
from .threemf import threemf_bytes
from .vertex_data import vertex_colors


def write_meshes(
    shapes: Mapping[str, Sequence[trimesh.Trimesh]], path: str | PathLike[str], normals: bool | None = None
) -> None:
    """Write named meshes to one file, in the format of its ending, in one step.

    PLY holds every number at the vertices (colours, attributes, normals), GLB and glTF too; OBJ colours and normals;
    3MF colours; STL and OFF the surface alone.

    Args:
        shapes: the levels of detail of each shape by its name, finest first. Only GLB and glTF hold several levels,
            only these and 3MF several shapes.
        path: with one of `MESH_ENDINGS`; an earlier file is replaced.
        normals: whether normals are written (PLY, OBJ, GLB, glTF); None: in GLB and glTF alone.

    Raises:
        ValueError: the ending is unknown, the format does not hold this many shapes or levels, or STL does not hold
            coordinates so far from the origin.
        OSError: the disk refused; the file that was there is unchanged.
    """
    path = Path(path)
    check_shape_count(path, len(shapes), max(len(levels) for levels in shapes.values()))
    content = _content(shapes, path, normals)
    path.parent.mkdir(parents=True, exist_ok=True)
    with delay_interrupt(), atomic_replace(path) as temporary:
        temporary.write_bytes(content)


def check_shape_count(path: Path, shapes: int, levels: int = 1) -> None:
    """Refuse, with a ValueError, a path whose format is unknown or does not hold as many shapes and levels."""
    ending = path.suffix.lower()
    if ending not in MESH_ENDINGS:
        raise ValueError(f"cannot write {path.name}: its ending must be one of {', '.join(MESH_ENDINGS)}")
    if shapes > 1 and ending not in SCENE_ENDINGS:
        raise ValueError(
            f"{path} is one file, but {shapes} shapes are asked for; give a folder, or a file ending in "
            f"{', '.join(SCENE_ENDINGS)}, which hold several"
        )
    if levels > 1 and ending not in (".glb", ".gltf"):
        raise ValueError(f"{path.name} cannot hold {levels} levels of detail; give a file ending in .glb or .gltf")


def _content(shapes: Mapping[str, Sequence[trimesh.Trimesh]], path: Path, normals: bool | None) -> bytes:
    ending = path.suffix.lower()
    if ending in (".glb", ".gltf"):
        write = glb_bytes if ending == ".glb" else gltf_bytes
        return write(shapes, normals is not False)
    if ending == ".3mf":
        return threemf_bytes({name: levels[0] for name, levels in shapes.items()})
    (mesh,) = (levels[0] for levels in shapes.values())
    if ending == ".ply":
        return ply_bytes(mesh, bool(normals))
    if ending == ".obj":
        return _obj_text(mesh, bool(normals)).encode("ascii")
    if ending == ".off":
        return _off_text(mesh).encode("ascii")
    if single_precision_error(np.asarray(mesh.vertices)) > COARSE:
        raise ValueError(
            f"{path.name}: STL keeps seven digits, too few for a mesh so far from the origin "
            f"({np.abs(mesh.vertices).max():.6g}, at a size of {np.ptp(mesh.vertices, axis=0).max():.3g}); "
            "write PLY, OBJ or GLB"
        )
    content = mesh.export(file_type="stl")
    assert isinstance(content, bytes)
    return content


def _obj_text(mesh: trimesh.Trimesh, normals: bool) -> str:
    """Wavefront OBJ: positions, with colours from 0 to 1 behind them, as most programs read them."""
    vertices, colors = np.asarray(mesh.vertices), vertex_colors(mesh)
    number = decimal_format(vertices)
    template, rows = f"v {number} {number} {number}", vertices
    if colors is not None:
        template, rows = f"{template} %.4f %.4f %.4f", np.hstack([vertices, colors[:, :3] / 255.0])
    parts = [text_rows(template + "\n", rows)]
    corners, face = np.asarray(mesh.faces) + 1, "f %d %d %d\n"
    if normals:
        parts.append(text_rows("vn %.6g %.6g %.6g\n", mesh.vertex_normals))
        corners, face = np.repeat(corners, 2, axis=1), "f %d//%d %d//%d %d//%d\n"
    return "".join([*parts, text_rows(face, corners)])


def _off_text(mesh: trimesh.Trimesh) -> str:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    number = decimal_format(vertices)
    head = f"OFF\n{len(vertices)} {len(faces)} 0\n"
    return head + text_rows(f"{number} {number} {number}\n", vertices) + text_rows("3 %d %d %d\n", faces)
