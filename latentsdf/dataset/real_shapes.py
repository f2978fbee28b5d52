"""The collection of real shapes that comes with the library, made by `datasets/real_shapes.py`."""

from __future__ import annotations

import csv
from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import trimesh

from ..core.names import class_of

ARRAYS, TABLE = "real_shapes.npz", "real_shapes.csv"
"""Names of the packaged files; `real_shapes_licences.txt` beside them holds the notices."""


class RealShape(NamedTuple):
    """A shape that somebody modelled or scanned, and where it is from.

    Attributes:
        name: `<class>/<name>`.
        mesh: closed but where rounding merged vertices, in units of the source, centred, z up.
        source: package, version and file.
        author: to be named wherever the shape is shown or passed on.
        licence: SPDX identifier.
        change: to the original.
        unit: of lengths, nominal.
    """

    name: str
    mesh: trimesh.Trimesh
    source: str
    author: str
    licence: str
    change: str
    unit: str


def real_shapes(count: int | None = None) -> list[RealShape]:
    """The shapes of the collection, those of a class beside each other.

    Args:
        count: of shapes, of as many classes as there are; None for all.

    Raises:
        ValueError: a count below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"the count of real shapes must be at least 1, got {count}")
    package = files("latentsdf.dataset")
    rows = list(csv.DictReader((package / TABLE).read_text(encoding="utf-8").splitlines()))
    with as_file(package / ARRAYS) as path, np.load(path, allow_pickle=False) as arrays:
        meshes = unpack_meshes(dict(arrays))
    shapes = [RealShape(mesh=mesh, **row) for row, mesh in zip(rows, meshes, strict=True)]
    if count is None:
        return shapes
    kept = set(_first_of_classes([shape.name for shape in shapes])[:count])
    return [shape for shape in shapes if shape.name in kept]


def pack_meshes(meshes: list[trimesh.Trimesh], cells: int) -> dict[str, np.ndarray]:
    """Arrays of meshes that compress well: differences of positions on a lattice, and of vertex indices.

    Args:
        meshes: of fewer than 65,536 vertices each.
        cells: along the longest side of a mesh, fewer than 65,536.

    Returns:
        `vertices`, `faces` (S,) counts; `sides` (S,) of a mesh's longest side; `positions` (3, V) and `indices` (3, F)
        differences of uint16, modulo 65,536, each from the one before it.
    """
    positions, indices, sides = [], [], []
    for mesh in meshes:
        points = np.asarray(mesh.vertices, dtype=np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        sides.append(float((high - low).max()))
        positions.append(np.rint((points - (low + high) / 2) * (cells / sides[-1]) + 0.5 * cells).astype(np.uint16))
        indices.append(np.asarray(mesh.faces, dtype=np.uint16))
    return {
        "cells": np.array(cells),
        "vertices": np.array([len(item) for item in positions]),
        "faces": np.array([len(item) for item in indices]),
        "sides": np.array(sides, dtype=np.float32),
        "positions": _differences(np.concatenate(positions)),
        "indices": _differences(np.concatenate(indices)),
    }


def unpack_meshes(arrays: dict[str, np.ndarray]) -> list[trimesh.Trimesh]:
    """The meshes that `pack_meshes` packed, centred, at their size."""
    cells, sides = int(arrays["cells"]), arrays["sides"].astype(np.float64)
    positions, indices = (np.cumsum(arrays[name], axis=1, dtype=np.uint16).T for name in ("positions", "indices"))
    parts = np.split(positions, np.cumsum(arrays["vertices"])[:-1])
    faces = np.split(indices, np.cumsum(arrays["faces"])[:-1])
    return [
        trimesh.Trimesh((part / cells - 0.5) * side, np.asarray(own, dtype=np.int64), process=False)
        for part, own, side in zip(parts, faces, sides, strict=True)
    ]


def _differences(values: np.ndarray) -> np.ndarray:
    """Columns (3, N) of rows (N, 3), each value less the one before it."""
    return np.ascontiguousarray(np.diff(values, axis=0, prepend=np.zeros((1, 3), dtype=values.dtype)).T)


def _first_of_classes(names: list[str]) -> list[str]:
    """Names with the first of each class in front, then the second ones, and so on."""
    seen: dict[str, int] = {}
    turns = []
    for name in names:
        turns.append(seen.get(class_of(name), 0))
        seen[class_of(name)] = turns[-1] + 1
    return [names[row] for row in np.argsort(turns, kind="stable")]
