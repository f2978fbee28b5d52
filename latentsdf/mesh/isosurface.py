"""Coarse-to-fine extraction of level sets: marching cubes on the cells that can contain the surface.

A lattice of 16 to 31 cells per axis is evaluated completely, one of up to 32 cells at once. A block of it is split
further when its corners change sign, or when neither a Lipschitz bound of the field nor, in smaller blocks, its second
differences exclude the surface. Where they hold, the mesh is that of marching cubes on the full lattice. Neural fields
are neither distances nor 1-Lipschitz, so the bound is estimated on the coarse lattice and guarded twice: blocks with a
sign change are kept whatever the bound is, and after the last level the surface is followed through every face that it
crosses, so that a bound that is too small cannot tear it. A separate component can still be missed if it lies between
the vertices of the coarse lattice and the field there is steeper than the bound (`lipschitz` excludes that where the
true constant is known), or if it is smaller than a block of a thirty-second of the cube or less and the field is flat
beside it.
"""

from __future__ import annotations

import numpy as np
import trimesh
from torch import Tensor

from ..core.field import SDF
from ..core.framed_field import FramedField
from .crossed_cells import coarse_lattice, crossed_cells
from .marching_cubes import march
from .sampled_lattice import SampledLattice

RESOLUTION_RANGE = (4, 1024)
"""Cells per axis that `extract_mesh` accepts; 1024 needs a few GB."""

_MEDIAN_OF = 1 << 16


def extract_mesh(
    sdf: SDF,
    resolution: int = 256,
    *,
    level: float = 0.0,
    half_width: float = 1.0,
    like: Tensor | None = None,
    lipschitz: float | None = None,
) -> trimesh.Trimesh:
    """Mesh a level set of a field by sparse coarse-to-fine marching cubes (Lorensen and Cline 1987).

    Args:
        sdf: the field, (N, 3) -> (N,), negative inside.
        resolution: cells per axis of the cube, 4 to 1024. Twice as many: a quarter of the error, about
            three to four times the evaluations. Up to 32 the whole lattice is evaluated.
        level: value of the level set; positive grows the shape.
        half_width: the cube is [-half_width, half_width]^3, in the field's own frame and unit.
        like: a tensor whose device and dtype the query points take; float32 on the CPU if None.
        lipschitz: Lipschitz constant of the field. If None it is estimated on the coarse lattice: 99.9th percentile
            of slopes, near the surface and everywhere, times 1.15.

    Returns:
        A closed mesh, faces outward, in the field's frame, with float64 vertices linearly interpolated along
        lattice edges. The border of the cube counts as outside, so a surface that leaves the cube is capped there.
        The module docstring names the one kind of component that can be missed.

    Raises:
        ValueError: an argument out of range, a field that does not return (N,) or returns a number that is
            not finite, or no surface inside the cube.

    Example:
        >>> mesh = extract_mesh(lambda x: x.norm(dim=-1) - 0.5, resolution=64)
        >>> mesh.is_watertight, round(float(mesh.volume), 2)
        (True, 0.52)
    """
    _check_arguments(resolution, level, half_width, lipschitz)
    lattice = SampledLattice(sdf, int(resolution), float(level), float(half_width), like)
    side, values = coarse_lattice(lattice)
    if lattice.largest < 0:
        raise ValueError(
            f"the field is below level {level:g} everywhere in the cube (largest value "
            f"{lattice.largest + level:g}), so it has no surface there: increase half_width ({half_width:g}) or "
            "check the sign (negative inside)"
        )
    cells = crossed_cells(lattice, side, values, lipschitz)
    if not cells.low.size:
        raise ValueError(
            f"the field is positive everywhere (above level {level:g}): its smallest value is "
            f"{lattice.smallest + level:g} at {lattice.smallest_at}; check half_width, the sign (negative "
            "inside), or raise the resolution"
        )
    # zero values would make triangles without area: values are at least 1e-5 of the median magnitude
    size = np.abs(cells.corners)
    some = size.ravel()[:: 1 + size.size // _MEDIAN_OF]
    least = 1e-5 * float(np.median(some[some > 1e-9 * size.max()]))
    size = np.maximum(size, np.asarray(least, dtype=size.dtype))
    corners = np.where(cells.corners < 0, -size, size)
    vertices, faces = march(cells.low, corners)
    return trimesh.Trimesh(lattice.points(vertices), faces, process=False)


def extract_framed_mesh(field: FramedField, resolution: int = 256, *, like: Tensor | None = None) -> trimesh.Trimesh:
    """Mesh the zero level set of a field of the unit frame, in source units.

    Args:
        field: an SDF (N, 3) -> (N,) of the unit frame, and the frame.
        resolution: cells per axis of the cube [-1, 1]^3 of the unit frame, 4 to 1024.
        like: a tensor whose device and dtype the query points take; float32 on the CPU if None.

    Returns:
        A closed mesh in source units.

    Raises:
        ValueError: as `extract_mesh`.
    """
    unit = extract_mesh(field.sdf, resolution, like=like)
    return trimesh.Trimesh(field.frame.to_source(unit.vertices), unit.faces, process=False)


def _check_arguments(resolution: int, level: float, half_width: float, lipschitz: float | None) -> None:
    low, high = RESOLUTION_RANGE
    if int(resolution) != resolution or not low <= resolution <= high:
        raise ValueError(f"resolution must be a whole number from {low} to {high}, got {resolution}")
    if not (np.isfinite(half_width) and half_width > 0):
        raise ValueError(f"half_width must be positive, got {half_width}")
    if not np.isfinite(level):
        raise ValueError(f"level must be finite, got {level}")
    if lipschitz is not None and not (np.isfinite(lipschitz) and lipschitz > 0):
        raise ValueError(f"lipschitz must be positive (or None to measure it), got {lipschitz}")
