"""Coarse-to-fine extraction of level sets: marching cubes on the cells that can contain the surface.

A lattice of about 64 cells per axis is evaluated completely. A block of it is split further when its corners
change sign, or when a Lipschitz bound of the field cannot exclude the surface. Where the bound holds, the mesh is
that of marching cubes on the full lattice. Neural fields are neither distances nor 1-Lipschitz, so the bound is
estimated on the coarse lattice and guarded twice: blocks with a sign change are kept whatever the bound is, and after
the last level the surface is followed through every face that it crosses, so that a bound that is too small cannot
tear it. A separate component can still be missed if it lies between the vertices of the coarse lattice and the field
there is steeper than the bound; `lipschitz` excludes that where the true constant is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import igl
import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Array, Indices
from ..core.field import SDF, Jet, evaluate
from ..core.framed_field import FramedField

RESOLUTION_RANGE = (4, 1024)
"""Cells per axis that `extract_mesh` accepts; 1024 needs a few GB."""

_COARSE = 64
_GRADIENT_SAMPLES = 4096
_MARGIN = 1.15
_MEAN_REACH = (3.0 + 3.0 * 2.0**0.5 + 3.0**0.5) / 8.0
_CORNERS = np.array(
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
)  # the order igl.marching_cubes expects, found by comparing its sparse with its dense overload
_PATCH = np.array(list(itertools.product(range(3), repeat=3)))
_CHILDREN = np.array(list(itertools.product(range(2), repeat=3)))
_PATCH_CORNERS = np.ravel_multi_index(tuple(2 * _CORNERS.T), (3, 3, 3))
_CHILD_CORNERS = [np.ravel_multi_index(tuple((_CORNERS + child).T), (3, 3, 3)) for child in _CHILDREN]

Keep = Callable[[NDArray], NDArray]


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
            three to four times the evaluations. Up to 90 the whole lattice is evaluated.
        level: value of the level set; positive grows the shape.
        half_width: the cube is [-half_width, half_width]^3, in the field's own frame and unit.
        like: a tensor whose device and dtype the query points take; float32 on the CPU if None.
        lipschitz: Lipschitz constant of the field. If None it is estimated on the coarse lattice: 99.9th percentile
            of the gradient norm, near the surface and everywhere, times 1.15.

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
    lattice = _Lattice(sdf, int(resolution), float(level), float(half_width), like)
    side = 2 ** max(0, round(np.log2(resolution / _COARSE)))
    cells, corners = lattice.evaluate_blocks(side)
    if lattice.largest < 0:
        raise ValueError(
            f"the field is below level {level:g} everywhere in the cube (largest value "
            f"{lattice.largest + level:g}), so it has no surface there: increase half_width ({half_width:g}) or "
            "check the sign (negative inside)"
        )
    if side == 1:
        active = _changes_sign(corners)
        cells, corners = cells[active], corners[active]
    else:
        cells, corners = _refine(lattice, cells, corners, side, lipschitz)
    if not len(cells):
        raise ValueError(
            f"the field is positive everywhere (above level {level:g}): its smallest value is "
            f"{lattice.smallest + level:g} at {lattice.smallest_at}; check half_width, the sign (negative "
            "inside), or raise the resolution"
        )
    return _march(lattice, cells, corners)


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


class _Lattice:
    """The (resolution + 1)^3 vertices of the cube: index triples -> field minus level, the border outside."""

    def __init__(self, sdf: SDF, resolution: int, level: float, half_width: float, like: Tensor | None):
        self.sdf, self.resolution, self.level, self.half_width = sdf, resolution, level, half_width
        self.device = torch.device("cpu") if like is None else like.device
        self.dtype = torch.float32 if like is None else like.dtype
        self.spacing = 2.0 * half_width / resolution
        self.smallest, self.largest = np.inf, -np.inf
        self.smallest_at: list[float] = []

    def points(self, index: NDArray) -> Array:
        return self.half_width * (2.0 * index / self.resolution - 1.0)

    def queries(self, index: NDArray) -> Tensor:
        return torch.from_numpy(self.points(index)).to(self.device, self.dtype)

    def keys(self, index: NDArray) -> Indices:
        n = self.resolution + 1
        return (index[..., 0] * n + index[..., 1]) * n + index[..., 2]

    def unique_vertices(self, index: NDArray) -> tuple[Indices, Indices]:
        """Unique index triples (K, 3) of (N, C, 3), and the row of each triple among them, (N, C)."""
        n, keys = self.resolution + 1, self.keys(index)
        unique = np.sort(keys, axis=None)
        unique = unique[np.diff(unique, prepend=-1) > 0]
        triples = np.stack([unique // (n * n), unique // n % n, unique % n], 1)
        return triples, np.searchsorted(unique, keys.ravel()).reshape(keys.shape)

    def values(self, index: NDArray) -> Array:
        """Field minus level at index triples (K, 3); on the border at least the smallest positive number."""
        raw = evaluate(self.sdf, self.queries(index))
        if raw.shape != (len(index),):
            raise ValueError(f"an SDF must map (N, 3) to (N,); for N = {len(index)} it returned {tuple(raw.shape)}")
        values = raw.detach().cpu().double().numpy() - self.level
        bad = ~np.isfinite(values)
        if bad.any():
            where = self.points(index[int(np.argmax(bad))]).tolist()
            raise ValueError(
                f"the field is not finite at {bad.sum()} of {len(bad)} points, the first at {where}; "
                "a field to mesh must be finite in the whole cube"
            )
        if values.min(initial=np.inf) < self.smallest:
            first = int(values.argmin())
            self.smallest, self.smallest_at = float(values[first]), self.points(index[first]).round(4).tolist()
        self.largest = max(self.largest, float(values.max(initial=-np.inf)))
        border = ((index == 0) | (index == self.resolution)).any(-1)
        return np.where(border, np.maximum(values, np.finfo(np.float64).tiny), values)

    def evaluate_blocks(self, side: int) -> tuple[NDArray, NDArray]:
        """All blocks of `side` cells per axis: lowest triples (N, 3), corner values (N, 8); the last may be cut."""
        ticks = self.ticks = np.minimum(np.arange(0, self.resolution + side, side), self.resolution)
        grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), -1)
        self.grid_values = self.values(grid.reshape(-1, 3)).reshape(grid.shape[:3])
        n = len(ticks) - 1
        corners = [self.grid_values[x : x + n, y : y + n, z : z + n].ravel() for x, y, z in _CORNERS]
        return grid[:n, :n, :n].reshape(-1, 3), np.stack(corners, 1)

    def split(self, cells: NDArray, corners: NDArray | None, side: int, keep: Keep) -> tuple[NDArray, NDArray]:
        """Split blocks (N, 3) of `side` cells per axis in eight and return those that `keep` accepts.

        Corner values (N, 8) of the blocks are reused where they are given.
        """
        half = side // 2
        index = np.minimum(cells[:, None] + half * _PATCH, self.resolution)
        points, inverse = self.unique_vertices(index)
        values, unknown = np.empty(len(points)), np.ones(len(points), dtype=bool)
        if corners is not None:
            values[inverse[:, _PATCH_CORNERS]] = corners
            unknown[inverse[:, _PATCH_CORNERS]] = False
        values[unknown] = self.values(points[unknown])
        children, child_corners = [], []
        for child, slots in zip(_CHILDREN, _CHILD_CORNERS, strict=True):
            low, part = cells + half * child, values[inverse[:, slots]]
            accepted = (low < self.resolution).all(1) & keep(part)
            children.append(low[accepted])
            child_corners.append(part[accepted])
        return np.concatenate(children), np.concatenate(child_corners)


def _changes_sign(corners: NDArray) -> NDArray:
    negative = corners < 0
    return np.asarray(negative.any(1) & ~negative.all(1))


def _may_hold_surface(reach: float) -> Keep:
    """Predicate of blocks that change sign, or that a field changing by `reach` over a side cannot exclude.

    If f(p) = 0 inside the block then |f(c)| <= L |p - c| at every corner c. The farthest corner is at most
    sqrt(3) sides away, and the mean distance to the eight corners, convex in p, is largest at a corner.
    """

    def keep(corners: NDArray) -> NDArray:
        size = np.abs(corners)
        near = (size.mean(1) <= _MEAN_REACH * reach) & (size.max(1) <= 3.0**0.5 * reach)
        return near | _changes_sign(corners)

    return keep


def _refine(
    lattice: _Lattice, cells: NDArray, corners: NDArray, side: int, lipschitz: float | None
) -> tuple[NDArray, NDArray]:
    """Refine the coarse blocks to the single cells that contain the surface, with their corner values."""
    bound = (_estimate_lipschitz(lattice) if lipschitz is None else lipschitz) * lattice.spacing
    candidates = _may_hold_surface(bound * side)(corners)
    cells, corners = cells[candidates], corners[candidates]
    while side > 2:
        cells, corners = lattice.split(cells, corners, side, _may_hold_surface(bound * side / 2))
        side //= 2
    blocks = lattice.keys(cells)
    cells, corners = lattice.split(cells, corners, 2, _changes_sign)
    front = cells, corners
    while len(missing := _blocks_entered(lattice, *front, blocks)):
        blocks = np.concatenate([blocks, lattice.keys(missing)])
        front = lattice.split(missing, None, 2, _changes_sign)
        cells, corners = np.concatenate([cells, front[0]]), np.concatenate([corners, front[1]])
    return cells, corners


def _blocks_entered(lattice: _Lattice, cells: NDArray, corners: NDArray, blocks: NDArray) -> NDArray:
    """Blocks of two cells per axis, not among `blocks` (keys), that the surface enters from `cells`."""
    neighbours = []
    for axis, end in itertools.product(range(3), range(2)):
        crossing = _changes_sign(corners[:, _CORNERS[:, axis] == end])
        beyond = cells[crossing].copy()
        beyond[:, axis] += 2 * end - 1
        neighbours.append(beyond // 2 * 2)
    entered = np.unique(np.concatenate(neighbours), axis=0)
    return entered[~np.isin(lattice.keys(entered), blocks)]


def _estimate_lipschitz(lattice: _Lattice) -> float:
    """Estimate a Lipschitz bound from gradient norms at coarse vertices, near the surface and everywhere.

    Finite differences serve fields without a graph; the larger estimate counts.
    """
    n = len(lattice.ticks) - 2  # without the border, whose values are altered, and the last block, which may be cut
    values = lattice.grid_values[1 : n + 1, 1 : n + 1, 1 : n + 1]
    base = values[:-1, :-1, :-1]
    steps = [values[1:, :-1, :-1] - base, values[:-1, 1:, :-1] - base, values[:-1, :-1, 1:] - base]
    slopes = np.sqrt(np.square(steps).sum(0)).ravel() / (lattice.ticks[1] * lattice.spacing)
    nearest = np.abs(base).ravel().argpartition(_GRADIENT_SAMPLES)[:_GRADIENT_SAMPLES]
    estimates = [np.percentile(slopes, 99.9), np.percentile(slopes[nearest], 99.9)]
    spread = np.linspace(0, base.size - 1, _GRADIENT_SAMPLES).astype(np.int64)
    for rows in (nearest, spread):
        index = lattice.ticks[np.stack(np.unravel_index(rows, base.shape), 1) + 1]
        norms = _gradient_norms(lattice.sdf, lattice.queries(index))
        if len(norms):
            estimates.append(np.percentile(norms, 99.9))
    return _MARGIN * float(max(estimates))


def _gradient_norms(sdf: SDF, points: Tensor) -> Array:
    """Finite gradient norms (at most N,); none where torch cannot differentiate the field."""
    try:
        jet = Jet(sdf, points)
    except RuntimeError:  # a field that leaves torch refuses points that require a gradient
        return np.empty(0)
    if not jet.value.requires_grad:
        return np.empty(0)
    norms = jet.gradient.detach().norm(dim=-1).double().cpu().numpy()
    return norms[np.isfinite(norms)]


def _march(lattice: _Lattice, cells: NDArray, corners: NDArray) -> trimesh.Trimesh:
    """Marching cubes on cells (N, 3) of the lattice with corner values (N, 8)."""
    points, inverse = lattice.unique_vertices(cells[:, None] + _CORNERS)
    values = np.empty(len(points))
    values[inverse] = corners
    # zero values would make triangles without area: values are at least 1e-5 of the median magnitude
    size = np.abs(values)
    least = 1e-5 * float(np.median(size[size > 1e-9 * size.max()]))
    values = np.where(values < 0, -1.0, 1.0) * np.maximum(size, least)
    vertices, faces, _ = igl.marching_cubes(values, lattice.points(points), inverse, 0.0)
    return trimesh.Trimesh(vertices, faces, process=False)
