"""Shaded images of meshes, without a display or a graphics library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..core.frame import Frame
from .surface_sampling import surface_samples


def render(
    mesh: trimesh.Trimesh, size: int = 160, *, azimuth: float = 35.0, elevation: float = 25.0
) -> NDArray[np.uint8]:
    """Render a shaded orthographic image of a mesh, z up, by splatting surface samples in order of depth.

    Args:
        mesh: any units; its bounding sphere fills the image.
        size: pixels per side.
        azimuth, elevation: viewing direction in degrees.

    Returns:
        (size, size, 3) colours on white.

    Raises:
        ValueError: the mesh has no area.
    """
    fine = size * 2
    points, normals = surface_samples(mesh, 14 * fine * fine // 4, seed=0)
    points = Frame.around(mesh.vertices).to_unit(points)
    turn, tilt = np.radians(azimuth), np.radians(elevation)
    view = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    up = np.cross(view, right)
    column = np.clip(((points @ right + 1.0) * 0.5 * fine).astype(int), 0, fine - 1)
    row = np.clip(((1.0 - points @ up) * 0.5 * fine).astype(int), 0, fine - 1)
    pixel = row * fine + column
    order = np.argsort(points @ view, kind="stable")
    light = np.abs(normals @ ((view + 0.6 * up - 0.3 * right) / np.linalg.norm(view + 0.6 * up - 0.3 * right)))
    shade = 0.25 + 0.75 * light
    canvas = np.ones((fine * fine, 3))
    canvas[pixel[order]] = shade[order, None] * np.array([0.45, 0.62, 0.85])
    picture = canvas.reshape(size, 2, size, 2, 3).mean((1, 3))
    return np.rint(picture * 255).astype(np.uint8)


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
