"""Bodies made of tapering limbs: chains of them, mirror images, and their smooth union as a field or a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from draw import Vector, at
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes
from torch import Tensor

from latentsdf.core.field import SDF

THINNEST = 0.016
"""Smallest radius of a limb, in the unit frame."""


@dataclass(frozen=True)
class Limb:
    """A tapering limb between two points: the radius at each, and its flatness along an axis across it."""

    start: Vector
    end: Vector
    first: float
    last: float
    flat: float = 1.0
    across: Vector | None = None


def chain(start: Vector, heading: Vector, lengths: list[float], radii: list[float], bend: list[Vector]) -> list[Limb]:
    """A chain of limbs, each heading rotated by a rotation vector from the last; one radius more than limbs."""
    limbs, here, heading = [], start, heading / np.linalg.norm(heading)
    for number, length in enumerate(lengths):
        heading = Rotation.from_rotvec(bend[number]).apply(heading)
        there = here + length * heading
        limbs.append(Limb(here, there, radii[number], radii[number + 1]))
        here = there
    return limbs


def mirrored(limbs: list[Limb]) -> list[Limb]:
    """Mirror images of limbs in the plane x = 0."""
    other = at(-1, 1, 1)
    return [
        Limb(b.start * other, b.end * other, b.first, b.last, b.flat, None if b.across is None else b.across * other)
        for b in limbs
    ]


def field(limbs: list[Limb], blend: float) -> SDF:
    """Smooth union of limbs as a signed distance function, a bound of the distance."""

    def one(limb: Limb, x: Tensor) -> Tensor:
        start, edge = x.new_tensor(limb.start), x.new_tensor(limb.end - limb.start)
        offset = x - start
        if limb.across is not None:
            axis = x.new_tensor(limb.across / np.linalg.norm(limb.across))
            offset = offset + (offset @ axis)[:, None] * axis * (1 / limb.flat - 1)
            edge = edge + (edge @ axis) * axis * (1 / limb.flat - 1)
        length = float(edge.norm())
        share = ((offset @ edge) / max(1e-12, length**2)).clamp(0, 1)
        radius = limb.first + share * (limb.last - limb.first)
        taper = (limb.last - limb.first) / max(1e-6, length)
        return limb.flat * ((offset - share[:, None] * edge).norm(dim=-1) - radius) / (1 + taper**2) ** 0.5

    def sdf(x: Tensor) -> Tensor:
        value = one(limbs[0], x)
        for limb in limbs[1:]:
            other = one(limb, x)
            near = (1 - (value - other).abs() / blend).clamp_min(0)
            value = torch.minimum(value, other) - near * near * (blend / 4)
        return value

    return sdf


def blended_mesh(limbs: list[Limb], blend: float, cells: int) -> trimesh.Trimesh:
    """Mesh of the smooth union of limbs, by marching cubes on a lattice of `cells` cells along its longest side.

    Each limb is evaluated only where it can change the surface, so that a hundred limbs take a fraction of a second.
    """
    ends = np.array([[b.start, b.end] for b in limbs])
    reach = np.array([max(b.first, b.last) for b in limbs])
    low, high = (ends.min(1) - reach[:, None]).min(0), (ends.max(1) + reach[:, None]).max(0)
    cell = float((high - low).max()) / cells
    low, high = low - 3 * cell - blend, high + 3 * cell + blend  # many limbs that meet swell by more than one blend
    shape = np.ceil((high - low) / cell).astype(int) + 1
    grid = np.full(shape, np.float32((high - low).max()))
    for limb, (start, end), radius in zip(limbs, ends, reach, strict=True):
        margin = radius + (blend + 2 * cell) / (1.0 if limb.across is None else limb.flat)
        first = np.floor((np.minimum(start, end) - margin - low) / cell).astype(int).clip(0)
        last = np.ceil((np.maximum(start, end) + margin - low) / cell).astype(int) + 1
        block = grid[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
        steps = np.stack(np.meshgrid(*(np.arange(n) for n in block.shape), indexing="ij"), -1) + first
        other = _limb_distance(limb, (low + cell * steps).astype(np.float32))
        near = (1 - np.abs(block - other) / np.float32(blend)).clip(0)
        block[...] = np.minimum(block, other) - near * near * np.float32(blend / 4)
    least = np.float32(1e-4 * cell)
    grid = np.where(np.abs(grid) < least, np.where(grid < 0, -least, least), grid)
    grid = np.pad(grid, 1, constant_values=np.float32(cell))
    vertices, faces, _, _ = marching_cubes(grid, 0.0)
    mesh = trimesh.Trimesh(low + cell * (vertices.astype(np.float64) - 1), faces, process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def _limb_distance(limb: Limb, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bound of the distance (...) of points (..., 3) to one limb."""
    offset, edge = points - limb.start.astype(np.float32), (limb.end - limb.start).astype(np.float32)
    if limb.across is not None:
        axis = (limb.across / np.linalg.norm(limb.across)).astype(np.float32)
        stretch = np.float32(1 / limb.flat - 1)
        offset = offset + (offset @ axis)[..., None] * axis * stretch
        edge = edge + (edge @ axis) * axis * stretch
    length = max(1e-6, float(np.linalg.norm(edge)))
    share = ((offset @ edge) / np.float32(length**2)).clip(0, 1)
    slope = (limb.last - limb.first) / length
    far = np.linalg.norm(offset - share[..., None] * edge, axis=-1) - (limb.first + share * (limb.last - limb.first))
    scale = (limb.flat if limb.across is not None else 1.0) / (1 + slope**2) ** 0.5
    return (far * np.float32(scale)).astype(np.float32)
