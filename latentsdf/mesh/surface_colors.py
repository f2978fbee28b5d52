"""Colours of a mesh's surface, of its vertices, faces, materials or textures, read at the nearest point."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray

from ..core.arrays import Array, Indices
from ..core.interrupt import delay_interrupt
from .distance import MeshSDF
from .vertex_data import srgb_from_linear


class Textured(NamedTuple):
    """Faces from `start` on that have a texture: its coordinates (F, 3, 2) at their corners, and its material."""

    start: int
    uv: Array
    material: Any


class SurfaceColors:
    """The colours of a surface as a function of the points of space.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        corners: (F, 3, 4) colours at the corners of the faces, sRGB and alpha, 0 to 255.
        textures: of runs of faces whose colours are those of a texture.
    """

    def __init__(self, vertices: Array, faces: Indices, corners: NDArray[Any], textures: tuple[Textured, ...] = ()):
        self._vertices, self._faces = vertices, faces
        self._corners, self._textures = corners, textures
        self._surface = MeshSDF(vertices, faces)

    def __call__(self, points: Array) -> tuple[NDArray[np.uint8], Array]:
        """Colours (N, 4) at the surface points nearest to points (N, 3), and the distances (N,) to these."""
        distances, face, nearest = self._surface.closest(points)
        weights = barycentric(nearest, self._vertices[self._faces[face]])
        colors = np.einsum("nk,nkc->nc", weights, self._corners[face].astype(np.float64))
        for start, uv, material in self._textures:
            rows = np.flatnonzero((face >= start) & (face < start + len(uv)))
            if len(rows):
                at = np.einsum("nk,nkc->nc", weights[rows], uv[face[rows] - start])
                colors[rows] = np.asarray(material.to_color(at))[:, :4]
        return np.round(colors).clip(0, 255).astype(np.uint8), distances


def barycentric(points: Array, corners: Array) -> Array:
    """Barycentric weights (N, 3) of points (N, 3) in triangles (N, 3, 3), clipped to them."""
    one, two, to = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    aa, ab, bb = (one * one).sum(1), (one * two).sum(1), (two * two).sum(1)
    pa, pb = (to * one).sum(1), (to * two).sum(1)
    area = np.maximum(aa * bb - ab * ab, np.finfo(np.float64).tiny)
    second, third = (bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area
    weights = np.clip(np.column_stack([1 - second - third, second, third]), 0.0, 1.0)
    return weights / weights.sum(1, keepdims=True)


def load_surface_colors(path: str | PathLike[str]) -> SurfaceColors | None:
    """Read the coloured surface of a mesh file.

    Colours of vertices and plain materials of GLB and glTF are linear there, and become sRGB.

    Args:
        path: a mesh file that `load_mesh` reads, with colours; 3MF is read without.

    Returns:
        None where the file has no faces, or none of them a colour.

    Raises:
        ValueError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".3mf":
        return None
    try:
        with delay_interrupt():
            scene = trimesh.load_scene(path, process=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path.name}: not a readable {path.suffix.lower()} mesh ({reason})") from error
    linear = path.suffix.lower() in (".glb", ".gltf")
    vertices, faces, corners, textures, colored, start = [], [], [], [], False, 0
    for name in scene.graph.nodes_geometry:
        transform, key = scene.graph[name]
        part = scene.geometry[key]
        if not isinstance(part, trimesh.Trimesh) or not len(part.faces):
            continue
        own, texture = _corner_colors(part, linear)
        colored = colored or own is not None or texture is not None
        if texture is not None:
            textures.append(Textured(sum(map(len, faces)), *texture))
        vertices.append(trimesh.transform_points(part.vertices, transform))
        faces.append(np.asarray(part.faces, dtype=np.int64) + start)
        corners.append(np.full((len(part.faces), 3, 4), 255, np.uint8) if own is None else own)
        start += len(part.vertices)
    if not colored:
        return None
    return SurfaceColors(np.concatenate(vertices), np.concatenate(faces), np.concatenate(corners), tuple(textures))


def _corner_colors(part: trimesh.Trimesh, linear: bool) -> tuple[NDArray[Any] | None, tuple[Array, Any] | None]:
    """Colours (F, 3, 4) at the corners of a mesh, or texture coordinates (F, 3, 2) and a material; None for neither."""
    visual: Any = part.visual
    faces = np.asarray(part.faces)
    if visual.kind == "vertex":
        return _decoded(visual.vertex_colors, linear)[faces], None
    if visual.kind == "face":
        return np.repeat(_decoded(visual.face_colors, linear)[:, None], 3, axis=1), None
    if visual.kind != "texture":
        return None, None
    stored = visual.vertex_attributes.get("color")
    if stored is not None:
        return _decoded(stored, linear)[faces], None
    image = getattr(visual.material, "image", None) or getattr(visual.material, "baseColorTexture", None)
    if image is not None and visual.uv is not None and len(visual.uv) == len(part.vertices):
        return None, (np.asarray(visual.uv, dtype=np.float64)[faces][..., :2], visual.material)
    if getattr(visual.material, "baseColorFactor", 0) is None:  # a material of glTF without a colour
        return None, None
    plain = _decoded(np.asarray(visual.material.main_color)[None, :4], linear)
    return np.broadcast_to(plain, (len(faces), 3, 4)), None


def _decoded(colors: NDArray[Any], linear: bool) -> NDArray[np.uint8]:
    """Colours (N, 4) as sRGB and alpha from 0 to 255, of integers or of shares of one, three or four a row."""
    values = np.asarray(colors)
    top = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1.0
    shares = np.ones((len(values), 4))
    shares[:, : values.shape[1]] = np.clip(values / top, 0.0, 1.0)
    if linear:
        shares[:, :3] = srgb_from_linear(shares[:, :3])
    return np.round(shares * 255).astype(np.uint8)
