"""Query points of a shape and their signed distances: uniform, near the surface, and on a band of a lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray

from ..mesh.distance import MeshSDF
from ..mesh.surface_sampling import surface_samples
from .band_lattice import Blocks, UnsignedDistance, corner_grid

FAR_SHARE = 10
"""One in so many samples of the band group lies on a sparse lattice over the whole cube, against ghosts far away."""
FAR_RESOLUTION = 64
"""Cells per axis of that sparse lattice."""
BLOCK = 4
"""Points per axis of the blocks that the vertices of the band are collected in; smaller ones cost more distances."""


@dataclass(frozen=True, eq=False)
class QuerySamples:
    """Query points of one shape in its unit frame, and the signed distances there.

    Attributes:
        points: (N, 3) numbers that float16 holds exactly.
        distances: (N,) signed distances at exactly these points.
    """

    points: NDArray[np.float64]
    distances: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = self.points.shape, self.distances.shape
        if shapes != ((len(self.distances), 3), (len(self.distances),)):
            raise ValueError(f"samples need points (N, 3) and distances (N,), got {shapes[0]} and {shapes[1]}")

    def __len__(self) -> int:
        return len(self.distances)


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Numbers and distribution of the query points of one shape; lengths are in the unit frame."""

    near: int = 100_000
    """Points near the surface: more sharpen detail, fewer make a smaller file."""
    uniform: int = 25_000
    """Points uniform in the cube: more steady the far field, fewer leave room for the surface."""
    band: int = 75_000
    """Lattice points in the band and, one in ten, anywhere in the cube: more remove ghosts, fewer save space."""
    near_sigmas: tuple[float, ...] = (0.03, 0.008)
    """Standard deviations of the near points, shared equally: larger reach further, smaller resolve finer detail.
    DeepSDF's are (0.0707, 0.0224) (variances 0.005 and 0.0005), Compact-SDF's is 0.025."""
    band_resolution: int = 256
    """Cells per axis of the band's lattice: larger is finer and thinner, smaller is coarser and thicker."""
    band_layers: int = 6
    """Cells from the surface to the band's edge: more reach further, fewer stay at the surface."""
    lattice: int = 64
    """Points per axis of the truncated lattice, 0 for none: larger resolves detail, at a cubic cost in bytes."""
    truncation: float = 0.1
    """Distance that the lattice is clipped to: larger covers the far field, smaller compresses better."""

    def __post_init__(self) -> None:
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

    @staticmethod
    def of_count(count: int) -> SamplingConfig:
        """Half of `count` samples near the surface, an eighth uniform, the rest in the band."""
        return SamplingConfig(near=count // 2, uniform=count // 8, band=count - count // 2 - count // 8)


def round_points(points: ArrayLike) -> NDArray[np.float64]:
    """The nearest points (N, 3) that float16 holds, as float64."""
    return np.asarray(points).astype(np.float16).astype(np.float64)


def uniform_points(count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """N = count points (N, 3), uniform in the cube [-1, 1]^3."""
    return generator.uniform(-1.0, 1.0, (count, 3))


def near_surface_points(
    mesh_points: NDArray[np.float64], sigmas: Sequence[float], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Surface points displaced by normal noise, clipped to the cube: clip(p + sigma * n, -1, 1), n ~ N(0, I).

    Source: DeepSDF (Park et al. 2019), supplement: each surface point is displaced with two variances.

    Args:
        mesh_points: (M, 3) points on the surface in the unit frame; each is used before any is used again.
        sigmas: standard deviations, shared equally by the points.
        count: of points.
        generator: the only source of randomness.

    Returns:
        Points (N, 3), N = count.

    Raises:
        ValueError: points are asked for and there is no surface point.
    """
    if count and not len(mesh_points):
        raise ValueError(f"{count} points near the surface were asked for, but there is no surface point")
    bases = np.resize(np.asarray(mesh_points, dtype=np.float64), (count, 3))
    spread = np.resize(np.asarray(sigmas, dtype=np.float64), (count, 1))
    return np.clip(bases + spread * generator.normal(size=(count, 3)), -1.0, 1.0)


def draw_samples(
    mesh: trimesh.Trimesh, config: SamplingConfig, seed: int, *, sdf: MeshSDF | None = None
) -> dict[str, QuerySamples]:
    """The query samples of one shape: points rounded to float16, then their exact signed distances.

    Args:
        mesh: the repaired mesh, in the unit frame.
        config: numbers of points of each group.
        seed: of the points and their order.
        sdf: signed distance of the mesh; None builds it.

    Returns:
        Groups "near", "uniform" and "band", each in random order. The band group holds up to `config.band`
        points: nine in ten are vertices in the band, one in ten vertices of a sparse lattice over the cube.

    Raises:
        ValueError: near points of a mesh without area.
    """
    generator = np.random.default_rng(seed)
    sdf = MeshSDF(mesh.vertices, mesh.faces) if sdf is None else sdf
    surface, _ = surface_samples(mesh, config.near, generator)
    far = config.band // FAR_SHARE
    band, band_distance = _sample_band(sdf.distance, config, config.band - far, generator)
    points = {
        "near": round_points(near_surface_points(surface, config.near_sigmas, config.near, generator)),
        "uniform": round_points(uniform_points(config.uniform, generator)),
        "far": _sample_sparse_lattice(far, generator),
    }
    outside_band = np.concatenate(list(points.values()))
    distances = np.concatenate([sdf.distance(outside_band), band_distance])
    queries = np.concatenate([outside_band, band])
    distances = np.where(sdf.inside(queries), -distances, distances)
    parts = np.split(np.arange(len(queries)), np.cumsum([config.near, config.uniform]))
    groups = {}
    for name, part in zip(("near", "uniform", "band"), parts, strict=True):
        part = generator.permutation(part)
        groups[name] = QuerySamples(queries[part], distances[part])
    return groups


def _sample_band(
    distance: UnsignedDistance, config: SamplingConfig, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Up to `count` distinct random vertices of the band, as points, and their unsigned distances."""
    if count == 0:
        return np.empty((0, 3)), np.empty(0)
    blocks = Blocks(config.band_resolution + 1, 2.0 / config.band_resolution)
    reach = config.band_layers * 2.0 / config.band_resolution
    origins, _ = blocks.near(distance, reach, smallest=BLOCK)
    offsets = corner_grid(BLOCK)
    total = len(origins) * len(offsets)
    order = generator.permutation(total)
    # `accepted` of the vertices tried so far lie in the band; the next batch is sized by that share, 0.7 at first.
    points, distances, accepted, tried, share = [], [], 0, 0, 0.7
    while accepted < count and tried < total:
        batch = order[tried : tried + int((count - accepted) / share * 1.05) + 64]
        tried += len(batch)
        index = origins[batch // len(offsets)] + offsets[batch % len(offsets)]
        vertices = blocks.centres(index[index.max(1) <= config.band_resolution], 1)
        values = distance(round_points(vertices))
        points.append(vertices[values <= reach])
        distances.append(values[values <= reach])
        accepted += len(points[-1])
        share = max(0.05, accepted / tried)
    return round_points(np.concatenate(points)[:count]), np.concatenate(distances)[:count]


def _sample_sparse_lattice(count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Distinct random vertices of the sparse lattice over the cube, all where there are fewer."""
    vertices = FAR_RESOLUTION + 1
    rows = generator.choice(vertices**3, min(count, vertices**3), replace=False)
    index = np.stack(np.unravel_index(rows, (vertices,) * 3), axis=1)
    return np.asarray(index * (2.0 / FAR_RESOLUTION) - 1.0, dtype=np.float64)
