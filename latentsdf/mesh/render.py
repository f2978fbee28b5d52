"""Shaded images of meshes, without a display or a graphics library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter
from trimesh.visual import ColorVisuals

from ..core.arrays import Array, Indices
from ..core.frame import Frame
from .rasterize import Pixels, plane_coefficients, rasterize
from .shading_normals import corner_normals

SUPERSAMPLING = 3
"""Depth samples a pixel side; nine a pixel leave edges without visible steps."""
COLOUR = (0.60, 0.71, 0.86)
"""Surface without colours of its own: light enough that shadows show, apart from the white ground."""

_LIGHTS = (((-0.45, 0.65, 0.75), 0.62), ((0.8, 0.15, 0.5), 0.22), ((0.0, -0.9, 0.3), 0.08))
_AMBIENT, _WRAP = 0.32, 0.3
_OCCLUSION, _OCCLUSION_RADII, _DIRECTIONS = 1.1, (1.5, 3.0, 5.0, 8.0), 6


def render(
    mesh: trimesh.Trimesh,
    size: int = 160,
    *,
    azimuth: float = 35.0,
    elevation: float = 25.0,
    frame: Frame | None = None,
) -> NDArray[np.uint8]:
    """Render a shaded orthographic image of a mesh, z up.

    Visible triangles by depth buffer, Lambert shading of smooth normals by three soft lights, contact shadows from
    the depths around a pixel (as in Mittring's ambient occlusion, 2007), averaged over nine samples a pixel. Both sides
    of a face are lit. Vertex colours of the mesh are used where it has them.

    Args:
        mesh: any units.
        size: pixels per side.
        azimuth, elevation: viewing direction in degrees.
        frame: the unit sphere of this frame fills the image; `Frame.around(mesh.vertices)` if None.

    Returns:
        (size, size, 3) colours on white.

    Raises:
        ValueError: the mesh has no area.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    frame = Frame.around(vertices) if frame is None else frame
    seen = frame.to_unit(vertices) @ _camera(azimuth, elevation).T
    fine = size * SUPERSAMPLING
    pixels = seen * (0.5 * fine) * [1, -1, 1] + [0.5 * fine, 0.5 * fine, 0]
    buffer = rasterize(pixels[faces], fine)
    covered = np.flatnonzero(buffer.face.ravel() >= 0)
    if len(covered) == 0 and not _has_area(vertices, faces):
        raise ValueError(f"the mesh has no area to render ({len(faces)} faces)")
    visible, at = _renumber(buffer.face.ravel()[covered], len(faces))
    corners, light = pixels[faces[visible]], _corner_light(seen, faces, visible)
    colours = _colours(mesh)
    values = [light] if colours is None else [light * part for part in colours[faces[visible]].transpose(2, 0, 1)]
    shades = np.stack([_pool(np.add, _fill(corners, part, covered, at, fine)) for part in values], axis=-1)
    opacity = _pool(np.add, (buffer.face >= 0).astype(np.float32))[..., None]
    depth = _pool(np.maximum, buffer.depth) / np.float32(SUPERSAMPLING)
    shades = shades * (COLOUR if colours is None else 1) * _openness(depth, size / 160)[..., None]
    picture = 1 + (shades - opacity) / SUPERSAMPLING**2
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[trimesh.Trimesh | None]]], columns: Sequence[str], size: int = 160
) -> Image.Image:
    """Arrange images of meshes in a labelled table.

    Args:
        rows: label and meshes of each row; None leaves a cell empty.
        columns: headings.
        size: pixels per cell side.
    """
    margin, head = 110, 26
    width = margin + size * max(len(columns), max((len(row) for _, row in rows), default=0))
    sheet = Image.new("RGB", (width, head + size * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, heading in enumerate(columns):
        draw.text((margin + i * size + 6, 7), heading, fill="black")
    for j, (label, meshes) in enumerate(rows):
        draw.text((6, head + j * size + size // 2), label, fill="black")
        for i, mesh in enumerate(meshes):
            if mesh is not None:
                sheet.paste(Image.fromarray(render(mesh, size)), (margin + i * size, head + j * size))
    return sheet


def _camera(azimuth: float, elevation: float) -> Array:
    """Right, up and the direction to the viewer, the rows of (3, 3)."""
    turn, tilt = np.radians(azimuth), np.radians(elevation)
    view = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    return np.stack([right, np.cross(view, right), view])


def _has_area(vertices: Array, faces: Indices) -> bool:
    corners = vertices[faces]
    return bool(np.any(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])))


def _renumber(rows: Pixels, count: int) -> tuple[Indices, Pixels]:
    """The distinct ones of rows below count, and the place of each row among them."""
    used = np.zeros(count, dtype=bool)
    used[rows] = True
    place: Pixels = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(used), place[rows]


def _fill(corners: Array, values: Array, covered: Indices, at: Pixels, size: int) -> NDArray[np.float32]:
    """Image (H, W) of values (F, 3) at the corners (F, 3, 3) of faces, linear in each; face `at` is at `covered`."""
    start, across, down = plane_coefficients(corners, values).astype(np.float32)
    row = covered.astype(np.int32) // size
    column = (covered - row * size).astype(np.float32)
    image = np.zeros(size * size, dtype=np.float32)
    image[covered] = (start[at] + across[at] * column + down[at] * row.astype(np.float32)).clip(0, 1)
    return image.reshape(size, size)


def _corner_light(seen: Array, faces: Indices, rows: Indices) -> Array:
    """Light at the corners (N, 3) of faces (N,) that are seen, from vertices (V, 3) in camera axes."""
    corners = seen[faces[rows]]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = corner_normals(seen, faces, rows) * np.where(flat[:, 2] < 0, -1.0, 1.0)[:, None, None]
    light = np.full(normals.shape[:2], _AMBIENT)
    for direction, strength in _LIGHTS:
        cosine = normals @ (np.array(direction) / np.linalg.norm(direction))
        light += strength * ((cosine + _WRAP) / (1 + _WRAP)).clip(0)
    return light


def _colours(mesh: trimesh.Trimesh) -> Array | None:
    """Vertex colours (V, 3) from 0 to 1, None where the mesh has none."""
    if not isinstance(mesh.visual, ColorVisuals) or mesh.visual.kind != "vertex":
        return None
    return np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0


def _pool(combine: np.ufunc, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """One value a pixel (H, W) of the samples (kH, kW) in it."""
    step = range(SUPERSAMPLING)
    return reduce(combine, [samples[i::SUPERSAMPLING, j::SUPERSAMPLING] for i in step for j in step])


def _openness(depth: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Share of light (H, W) that the surroundings leave to a pixel; depths (H, W) in pixels towards the viewer.

    Over pairs of opposite neighbours at a distance s: c = ((z_+ - z) + (z_- - z)) / 2s, each difference clipped to
    s. Planes and convex edges have c <= 0 and keep all light, whatever their slope.
    """
    occlusion = np.zeros_like(depth)
    height, width = depth.shape
    ground = np.where(np.isfinite(depth), depth, np.float32(-1e6))
    for radius in _OCCLUSION_RADII:
        reach = max(1, round(radius * scale))
        padded = np.pad(ground, reach, constant_values=-1e6)
        for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
            pair = np.zeros_like(depth)
            for side in (reach, -reach):
                top, left = reach + round(side * np.sin(angle)), reach + round(side * np.cos(angle))
                pair += np.clip(padded[top : top + height, left : left + width] - ground, -reach, reach)
            occlusion += (pair / (2 * reach)).clip(0)
    occlusion *= _OCCLUSION / (_DIRECTIONS * len(_OCCLUSION_RADII))
    return 1 - uniform_filter(occlusion, 3, mode="constant").clip(0, 0.7)
