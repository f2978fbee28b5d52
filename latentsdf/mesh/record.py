"""Search records: 128 bytes a shape, unchanged by pose and scale, compared by their cosine.

A record is the projection of `pair_statistics` on the principal components that `record_basis.npz` holds, made by
`benchmarks/train_record.py` from generated shapes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import trimesh
from numpy.typing import DTypeLike, NDArray

from ..core.arrays import Array
from ..core.field import SDF
from .isosurface import extract_mesh
from .pair_statistics import BLOCKS, PAIRS, pair_statistics
from .surface_sampling import surface_samples

Record = NDArray[np.int8]
RECORD_BYTES = 128
POINTS = 4096
"""Surface points of which a record is made."""
RESOLUTION = 64
"""Lattice cells per axis of the mesh that stands for an SDF."""


def record_of_points(points: Array, normals: Array, seed: int = 0, pairs: int = PAIRS) -> Record:
    """Compute the record (128,) of oriented surface points (M, 3), uniform by area and in random order.

    Args:
        points: (M, 3), any units and pose.
        normals: (M, 3) outward unit normals.
        seed: of the choice of pairs.
        pairs: of points, see `pair_statistics`; fewer are faster and noisier.

    Raises:
        ValueError: as `pair_statistics`.
    """
    mean, basis = _basis()
    values = (pair_statistics(points, normals, seed, pairs) - mean) @ basis
    return np.rint(values * (127 / max(float(np.abs(values).max()), 1e-12))).astype(np.int8)


def record_of_mesh(mesh: trimesh.Trimesh, seed: int = 0) -> Record:
    """Compute the record (128,) of a mesh with outward faces, in any units and pose.

    Raises:
        ValueError: the mesh has no area.
    """
    points, normals = surface_samples(mesh, POINTS, seed)
    return record_of_points(points, normals, seed)


def record_of_sdf(sdf: SDF, seed: int = 0) -> Record:
    """Compute the record (128,) of a field in the unit frame, by its surface.

    Raises:
        ValueError: the field has no surface.
    """
    return record_of_mesh(extract_mesh(sdf, RESOLUTION), seed)


def record_distances(queries: Sequence[Record] | Record, records: Sequence[Record] | Record) -> Array:
    """Distances (Q, S) between records (Q, 128) and (S, 128): the chord sqrt(2 - 2 cos), from 0 to 2."""
    first, second = unit_records(queries, np.float64), unit_records(records, np.float64)
    return np.sqrt(np.maximum(2 - 2 * first @ second.T, 0.0))


def unit_records(records: Sequence[Record] | NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Records (S, 128) as vectors of length one; single precision is what a FAISS index takes."""
    values = np.asarray(records, dtype=dtype).reshape(-1, RECORD_BYTES)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


@cache
def _basis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (F,) of the statistics, and the matrix (F, 128) of weighted components."""
    with resources.files("latentsdf.mesh").joinpath("record_basis.npz").open("rb") as file, np.load(file) as stored:
        mean = stored["mean"].astype(np.float32)
        basis = stored["components"].astype(np.float32) * stored["steps"]
    if basis.shape != (sum(BLOCKS), RECORD_BYTES):
        raise ValueError(
            f"record_basis.npz is of shape {basis.shape}, not {(sum(BLOCKS), RECORD_BYTES)}; train it again"
        )
    return mean, basis
