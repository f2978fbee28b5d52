"""Where a shape's distance is asked for training: everywhere, near the surface, on a band of a lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from ..mesh.distance import MeshSDF
from ..mesh.surface_sampling import surface_samples
from .band_lattice import Blocks, UnsignedDistance, corner_grid

DEEPSDF_SIGMAS = (0.0707, 0.0224)
"""Standard deviations of DeepSDF's near-surface noise in the unit frame (variances 0.005 and 0.0005)."""

COMPACT_SDF_SIGMA = 0.025
"""Standard deviation of Compact-SDF's near-surface noise in the unit frame."""


@dataclass(frozen=True, eq=False)
class QuerySamples:
    """Query points of one shape in its unit frame, and the signed distances there.

    Attributes:
        points: (N, 3) numbers that float16 holds exactly.
        distances: (N,) signed distances at exactly these points.
    """

    points: NDArray[np.float64]
    distances: NDArray[np.float64]

    def __post_init__(self):
        if self.points.shape != (len(self.distances), 3) or self.distances.ndim != 1:
            raise ValueError(
                f"samples need points (N, 3) and distances (N,), got {self.points.shape} and {self.distances.shape}"
            )

    def __len__(self) -> int:
        return len(self.distances)


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How many query points of each kind one shape gets, and where; lengths are in the unit frame."""

    near: int = 100_000
    """Points round the surface: more sharpen detail, fewer make a smaller file."""
    uniform: int = 25_000
    """Points anywhere in the cube: more steady the far field, fewer leave room for the surface."""
    band: int = 75_000
    """Lattice points in the band and, one in ten, far from it: more remove ghosts, fewer save space."""
    near_sigmas: tuple[float, ...] = (0.03, 0.008)
    """Spread of the near points, shared equally: larger reaches further, smaller resolves finer detail."""
    band_resolution: int = 256
    """Cells an axis of the band's lattice: larger is finer and thinner, smaller is coarser and thicker."""
    band_layers: int = 6
    """Cells from the surface to the band's edge: more reach further, fewer keep to the surface."""
    lattice: int = 64
    """Points an axis of the truncated lattice, 0 for none: larger keeps detail, smaller saves its cube."""
    truncation: float = 0.1
    """Where the lattice's distances are clipped: larger tells of the far field, smaller compresses better."""

    def __post_init__(self):
        object.__setattr__(self, "near_sigmas", tuple(float(sigma) for sigma in self.near_sigmas))
        for name in ("near", "uniform", "band"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.near + self.uniform + self.band == 0:
            raise ValueError("near, uniform and band are all 0, so no point would be drawn; raise one of them")
        if not self.near_sigmas or not all(0 < sigma < 1 for sigma in self.near_sigmas):
            raise ValueError(f"near_sigmas must be one or more numbers between 0 and 1, got {self.near_sigmas}")
        if not 4 <= self.band_resolution <= 1024:
            raise ValueError(f"band_resolution must be between 4 and 1024, got {self.band_resolution}")
        if self.band_layers < 1:
            raise ValueError(f"band_layers must be at least 1, got {self.band_layers}")
        if self.lattice != 0 and not 2 <= self.lattice <= 512:
            raise ValueError(f"lattice must be 0 (none) or between 2 and 512, got {self.lattice}")
        if not 0 < self.truncation <= 2:
            raise ValueError(f"truncation must be above 0 and at most 2, got {self.truncation}")


def round_points(points: ArrayLike) -> NDArray[np.float64]:
    """The nearest numbers that float16 holds, as float64; any shape."""
    return np.asarray(points).astype(np.float16).astype(np.float64)


def uniform_points(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (count, 3) uniform in the cube [-1, 1]^3."""
    return rng.uniform(-1.0, 1.0, (count, 3))


def near_surface_points(
    mesh_points: NDArray[np.float64], sigmas: Sequence[float], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Surface points moved by normal noise, clipped to the cube [-1, 1]^3.

    Source: DeepSDF (Park et al. 2019), supplement: each surface point is moved with two variances.

    Args:
        mesh_points: (M, 3) points on the surface in the unit frame; each is used before any is used again.
        sigmas: standard deviations, shared equally by the points.
        count: how many points.
        rng: the generator.

    Returns:
        Points (count, 3).

    Raises:
        ValueError: points are asked for and there is no surface point.
    """
    if count and not len(mesh_points):
        raise ValueError(f"{count} points near the surface were asked for, but there is no surface point")
    bases = np.resize(np.asarray(mesh_points, dtype=np.float64), (count, 3))
    spread = np.resize(np.asarray(sigmas, dtype=np.float64), (count, 1))
    return np.clip(bases + spread * rng.normal(size=(count, 3)), -1.0, 1.0)


def draw_samples(
    mesh: trimesh.Trimesh, config: SamplingConfig, seed: int, *, sdf: MeshSDF | None = None
) -> dict[str, QuerySamples]:
    """The query samples of one shape: points rounded to float16, then their exact signed distances.

    Args:
        mesh: the repaired mesh, in the unit frame.
        config: how many points of each kind.
        seed: of the draw.
        sdf: the mesh's signed distance where it is at hand already; else built here.

    Returns:
        Groups "near", "uniform" and "band", each in random order. The band group holds up to `config.band`
        points: nine in ten are vertices in the band, one in ten vertices of a sparse lattice over the cube.
    """
    rng = np.random.default_rng(seed)
    sdf = MeshSDF(mesh.vertices, mesh.faces) if sdf is None else sdf
    surface, _ = surface_samples(mesh, config.near, rng)
    far = config.band // 10
    band, band_distance = _band_draw(sdf.distance, config, config.band - far, rng)
    points = {
        "near": round_points(near_surface_points(surface, config.near_sigmas, config.near, rng)),
        "uniform": round_points(uniform_points(config.uniform, rng)),
        "far": _sparse_lattice_draw(far, rng),
    }
    loose = np.concatenate(list(points.values()))
    distances = np.concatenate([sdf.distance(loose), band_distance])
    everywhere = np.concatenate([loose, band])
    distances = np.where(sdf.inside(everywhere), -distances, distances)
    ends = np.cumsum([config.near, config.uniform])
    parts = np.split(np.arange(len(everywhere)), ends)
    groups = {}
    for name, part in zip(("near", "uniform", "band"), parts, strict=True):
        part = rng.permutation(part)
        groups[name] = QuerySamples(everywhere[part], distances[part])
    return groups


def _band_draw(
    distance: UnsignedDistance, config: SamplingConfig, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Up to `count` distinct random vertices of the band, as points, and their unsigned distances."""
    blocks = Blocks(config.band_resolution + 1, 2.0 / config.band_resolution)
    reach = config.band_layers * 2.0 / config.band_resolution
    size = 4
    if count == 0:
        return np.empty((0, 3)), np.empty(0)
    origins, _ = blocks.near(distance, reach, smallest=size)
    total = len(origins) * size**3
    offsets = corner_grid(size)
    order = rng.permutation(total)
    points, distances, found, at, share = [], [], 0, 0, 0.7
    while found < count and at < total:
        chosen = order[at : at + int((count - found) / share * 1.05) + 64]
        at += len(chosen)
        index = origins[chosen // size**3] + offsets[chosen % size**3]
        place = blocks.centers(index[(index <= config.band_resolution).all(1)], 1)
        values = distance(round_points(place))
        points.append(place[values <= reach])
        distances.append(values[values <= reach])
        found += len(points[-1])
        share = max(0.05, found / at)
    return round_points(np.concatenate(points)[:count]), np.concatenate(distances)[:count]


def _sparse_lattice_draw(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Distinct random vertices of a lattice of 64 cells an axis over the cube, all where there are fewer."""
    resolution = 64
    total = (resolution + 1) ** 3
    chosen = rng.choice(total, min(count, total), replace=False)
    index = np.stack(np.unravel_index(chosen, (resolution + 1,) * 3), axis=1)
    return np.asarray(index * (2.0 / resolution) - 1.0, dtype=np.float64)
