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
from . import lighting
from .rasterize import DepthBuffer, Pixels, plane_coefficients, rasterize
from .shading_normals import corner_normals
from .soft_shadows import Receivers, occluder

SUPERSAMPLING = 3
"""Depth samples a pixel side; nine a pixel leave edges without visible steps."""
COLOUR = (0.38, 0.53, 0.76)
"""Albedo of a surface without colours of its own: light enough that shadows show, apart from the white ground."""
GAMMA = 2.2
"""Of displays: light is added up and shaded linearly."""
FILLED = 0.8
"""Share of a picture with a ground that the shape fills; its shadow lies in the rest."""

_OCCLUSION, _OCCLUSION_RADII, _DIRECTIONS = 0.9, (1.5, 3.0, 5.0), 6
_LOWEST = 0.02
"""Least third coordinate of the world's up in camera axes for which there is a ground."""

Floats = NDArray[np.float32]


def render(
    mesh: trimesh.Trimesh,
    size: int = 160,
    *,
    azimuth: float = 35.0,
    elevation: float = 25.0,
    frame: Frame | None = None,
    ground: bool = False,
    colour: tuple[float, float, float] = COLOUR,
) -> NDArray[np.uint8]:
    """Render a shaded orthographic image of a mesh, z up.

    Visible triangles by depth buffer; smooth normals under a broad lamp on the left and a sky, each with the soft
    shadows of the mesh itself (`lighting`); contact shadows from the depths around a pixel (as in Mittring's ambient
    occlusion, 2007); nine samples a pixel. Both sides of a face are lit. Vertex colours of the mesh are used where it
    has them.

    Args:
        mesh: any units.
        size: pixels per side.
        azimuth, elevation: viewing direction in degrees.
        frame: the unit sphere of this frame fills the image. If None, `Frame.around(mesh.vertices)`, or with a ground
            that of `framed`.
        ground: whether shadows fall on a white plane under the lowest vertex too; it is seen from above alone.
        colour: albedo where the mesh has no colours, red, green and blue from 0 to 1.

    Returns:
        (size, size, 3) colours on white.

    Raises:
        ValueError: the mesh has no area.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    if frame is None:
        frame = framed(vertices, azimuth, elevation) if ground else Frame.around(vertices)
    camera = _camera(azimuth, elevation)
    seen, up = frame.to_unit(vertices) @ camera.T, camera[:, 2]
    fine = size * SUPERSAMPLING
    pixels = seen * (0.5 * fine) * [1, -1, 1] + [0.5 * fine, 0.5 * fine, 0]
    buffer = rasterize(pixels[faces], fine)
    covered = np.flatnonzero(buffer.face.ravel() >= 0)
    if len(covered) == 0 and not _has_area(vertices, faces):
        raise ValueError(f"the mesh has no area to render ({len(faces)} faces)")
    visible, at = _renumber(buffer.face.ravel()[covered], len(faces))
    corners, normals = pixels[faces[visible]], _corner_normals(seen, faces, visible)
    opacity = _pool(np.add, (buffer.face >= 0).astype(np.float32))
    blocker, chosen = occluder(seen[faces]), _middle_samples(covered, fine)
    normals_seen = _interpolated(corners, normals, covered[chosen], at[chosen], fine)
    surface = Receivers(_surface_points(buffer, covered[chosen], fine), normals_seen)
    height = float((seen @ up).min()) if ground and up[2] > _LOWEST else None
    share, behind = lighting.arriving(surface, blocker, up, size, height)
    light = np.zeros((size, size), dtype=np.float32)
    for part, arriving in zip(lighting.unshaded(normals, up), share, strict=True):
        shade = np.ones((size, size), dtype=np.float32)
        shade[opacity > 0] = arriving
        light += _pool(np.add, _fill(corners, part, covered, at, fine)) * shade
    depth = _pool(np.maximum, buffer.depth) / np.float32(SUPERSAMPLING)
    light *= _openness(depth, size / 160) / np.maximum(opacity, 1)
    albedo, opacity = np.array(colour, dtype=np.float32), opacity[..., None] / SUPERSAMPLING**2
    colours = _colours(mesh)
    if colours is not None:
        parts = colours[faces[visible]].transpose(2, 0, 1)
        albedo = np.stack([_pool(np.add, _fill(corners, part, covered, at, fine)) for part in parts], axis=-1)
        albedo /= SUPERSAMPLING**2 * np.maximum(opacity, 1 / SUPERSAMPLING**2)
    shades = (light[..., None] * albedo).clip(0, 1) ** np.float32(1 / GAMMA)
    return np.rint((opacity * shades + (1 - opacity) * behind[..., None]).clip(0, 1) * 255).astype(np.uint8)


def framed(points: Array, azimuth: float = 35.0, elevation: float = 25.0, filled: float = FILLED) -> Frame:
    """The frame whose picture shows points in its middle, and as large as it can.

    Args:
        points: (M, 3) in source units.
        azimuth, elevation: viewing direction in degrees.
        filled: share of the picture's width or height that they take.
    """
    camera = _camera(azimuth, elevation)
    seen = points @ camera.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    scale = max(float((high - low)[:2].max()), 1e-9 * float((high - low).max()), 1e-300) / (2 * filled)
    return Frame(np.eye(3), scale, camera.T @ ((low + high) / 2))


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
                sheet.paste(Image.fromarray(render(mesh, size, ground=True)), (margin + i * size, head + j * size))
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
    inner = start[at] + across[at] * column + down[at] * row.astype(np.float32)
    image[covered] = inner.clip(values.min(initial=0.0), values.max(initial=0.0))
    return image.reshape(size, size)


def _corner_normals(seen: Array, faces: Indices, rows: Indices) -> Array:
    """Normals (N, 3, 3) towards the viewer at the corners of faces (N,), from vertices (V, 3) in camera axes."""
    corners = seen[faces[rows]]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corner_normals(seen, faces, rows) * np.where(flat[:, 2] < 0, -1.0, 1.0)[:, None, None]


def _middle_samples(covered: Indices, fine: int) -> Indices:
    """Of each pixel, in order, the place in `covered` (N,) of the sample in it that is nearest to its centre."""
    row, column = np.divmod(covered, fine)
    pixel = row // SUPERSAMPLING * (fine // SUPERSAMPLING) + column // SUPERSAMPLING
    off = np.abs(row % SUPERSAMPLING - 1) + np.abs(column % SUPERSAMPLING - 1)
    order = np.argsort(pixel * SUPERSAMPLING + off, kind="stable")
    return order[np.flatnonzero(np.diff(pixel[order], prepend=-1))]


def _surface_points(buffer: DepthBuffer, samples: Indices, fine: int) -> Floats:
    """Points (P, 3) in camera axes, from -1 to 1, that the depth buffer holds at samples (P,)."""
    row, column = np.divmod(samples, fine)
    places = np.stack([column + 0.5 - fine / 2, fine / 2 - row - 0.5, buffer.depth.ravel()[samples]], axis=1)
    return (places * (2 / fine)).astype(np.float32)


def _interpolated(corners: Array, normals: Array, samples: Indices, at: Pixels, fine: int) -> Floats:
    """Unit normals (P, 3) at samples (P,) on faces `at`, from those (F, 3, 3) at the corners (F, 3, 3) of faces."""
    row, column = np.divmod(samples, fine)
    one, two, three = corners[at, :, :2].transpose(1, 0, 2)
    u, v, w = two - one, three - one, np.stack([column + 0.5, row + 0.5], axis=1) - one
    doubled = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    doubled = np.where(np.abs(doubled) > 1e-6, doubled, np.inf)
    second = ((w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / doubled).clip(0, 1)
    third = ((u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / doubled).clip(0, 1)
    weights = np.stack([1 - second - third, second, third], axis=1)
    found = np.einsum("pc,pcd->pd", weights, normals[at])
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def _colours(mesh: trimesh.Trimesh) -> Array | None:
    """Albedo (V, 3) of vertices by their colours, None where the mesh has none."""
    if not isinstance(mesh.visual, ColorVisuals) or mesh.visual.kind != "vertex":
        return None
    return (np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0) ** GAMMA


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
