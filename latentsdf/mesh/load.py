"""Loading of triangle meshes from files, with errors that name the fault."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import trimesh

from ..core.arrays import Array, Indices
from ..core.interrupt import delay_interrupt
from .endings import MESH_ENDINGS, check_mesh_file, contents_ending
from .threemf import read_threemf

_TEXT = (".obj", ".off")


class NotAMesh(ValueError):
    """A file that holds points alone, or whose ending is that of no mesh format."""


def load_mesh(path: str | PathLike[str]) -> trimesh.Trimesh:
    """Read one mesh file; a scene becomes one mesh, and vertices with equal coordinates become one vertex.

    Args:
        path: a file with one of `MESH_ENDINGS`, upper or lower case.

    Returns:
        The mesh in its own units, float64, without colours or textures.

    Raises:
        FileNotFoundError: no such file.
        NotAMesh: the ending is unknown, or the file is a point cloud.
        ValueError: the file cannot be read, or it holds no usable surface.
    """
    path = Path(path)
    check_mesh_file(path)
    if path.suffix.lower() not in MESH_ENDINGS:
        known = ", ".join(MESH_ENDINGS)
        raise NotAMesh(f"{path.name}: {path.suffix or 'no ending'!r} is no mesh ending; known are {known}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name}: the file is empty (0 bytes); export the mesh again")
    try:
        with delay_interrupt():
            archive = path.suffix.lower() == ".3mf"
            loaded = read_threemf(path) if archive else trimesh.load(path, process=False, skip_materials=True)
        if isinstance(loaded, trimesh.Scene):
            loaded = _flatten_scene(loaded)
    except Exception as error:
        raise ValueError(f"{path.name}: {_why_unreadable(path, error)}") from error
    vertices = np.asarray(getattr(loaded, "vertices", np.empty((0, 3))), dtype=np.float64)
    faces = np.asarray(getattr(loaded, "faces", np.empty((0, 3))), dtype=np.int64)
    if len(vertices) == 0 or (len(faces) == 0 and not isinstance(loaded, trimesh.PointCloud | trimesh.Trimesh)):
        reason = _other_contents(path) or "the mesh is empty (no vertices); export it again"
        raise ValueError(f"{path.name}: {reason}")
    if len(faces) == 0:
        raise NotAMesh(
            f"{path.name}: a point cloud ({len(vertices)} points, no faces) where a mesh is wanted; "
            "make a surface of it with `latentsdf reconstruct`"
        )
    return _validate(path.name, vertices, faces)


def _why_unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file that its reader refused, and what to do."""
    ending = path.suffix.lower()
    # trimesh guesses an encoding where a text format is no text, or asks for the package that does
    if isinstance(error, ImportError) or (ending in _TEXT and not _is_text(path)):
        return _other_contents(path) or f"the contents are not {ending[1:].upper()}; export the mesh again"
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return _other_contents(path) or f"not a readable {ending} mesh ({reason})"


def _is_text(path: Path) -> bool:
    """Whether the beginning of a file looks like text: no zero byte, and few that ASCII lacks."""
    with path.open("rb") as file:
        beginning = file.read(1024)
    return 0 not in beginning and 4 * sum(byte > 127 for byte in beginning) <= len(beginning)


def _other_contents(path: Path) -> str | None:
    """The remedy for a file of another mesh format than its ending says; None where its contents do not show that."""
    ending, found = path.suffix.lower(), contents_ending(path)
    if found is None or found == ending:
        return None
    form, wanted = found[1:].upper(), ending[1:].upper()
    return f"the contents are not {wanted} but {form}; rename it to {path.stem}{found}, or export it as {wanted}"


def _flatten_scene(scene: trimesh.Scene) -> trimesh.Trimesh | trimesh.PointCloud:
    """Concatenate the meshes of a scene in world coordinates; its points where it has no mesh."""
    parts, points = [], []
    for name in scene.graph.nodes_geometry:
        transform, key = scene.graph[name]
        geometry = scene.geometry[key]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            vertices = trimesh.transform_points(geometry.vertices, transform)
            # A reflection turns faces inside out.
            faces = geometry.faces if np.linalg.det(transform[:3, :3]) > 0 else geometry.faces[:, ::-1]
            parts.append((vertices, np.asarray(faces)))
        elif isinstance(geometry, trimesh.PointCloud):
            points.append(trimesh.transform_points(geometry.vertices, transform))
    if not parts:
        return trimesh.PointCloud(np.concatenate(points) if points else np.empty((0, 3)))
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    return trimesh.Trimesh(
        np.concatenate([vertices for vertices, _ in parts]),
        np.concatenate([faces + start for (_, faces), start in zip(parts, starts[:-1], strict=True)]),
        process=False,
    )


def _validate(name: str, vertices: Array, faces: Indices) -> trimesh.Trimesh:
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"{name}: faces name vertex {faces.max()}, but there are only {len(vertices)} vertices")
    bad = int((~np.isfinite(vertices).all(1)).sum())
    if bad:
        raise ValueError(f"{name}: {bad} of {len(vertices)} vertices are NaN or infinite; export the mesh again")
    vertices, faces = _merge_vertices(vertices, faces)
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    if not area > 1e-14 * float(np.ptp(vertices, axis=0).max()) ** 2:
        raise ValueError(f"{name}: the mesh has no area (its {len(faces)} faces are all points or lines)")
    return trimesh.Trimesh(vertices, faces, process=False)


def _merge_vertices(vertices: Array, faces: Indices):
    """Merge equal vertices and drop unused ones; the order of first occurrence is kept."""
    vertices = vertices + 0.0  # -0.0 becomes 0.0
    order = np.lexsort(vertices.T)
    fresh = np.ones(len(vertices), dtype=bool)
    fresh[1:] = (np.diff(vertices[order], axis=0) != 0).any(1)
    representative = np.empty(len(vertices), dtype=np.int64)
    representative[order] = np.minimum.reduceat(order, np.flatnonzero(fresh))[np.cumsum(fresh) - 1]
    faces = representative[faces]
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    renumbered = np.cumsum(used) - 1
    return vertices[used], renumbered[faces]
