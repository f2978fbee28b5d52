"""Solids of manifold3d: conversion from and to meshes, with a number of faces between two limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import trimesh
from common import is_closed, need
from draw import Draw

FEWEST, MOST = 2_000, 12_000
"""Limits of the number of faces of a mesh."""
Solid = Any
"""A manifold3d.Manifold."""


def manifold() -> Any:
    """The module manifold3d."""
    return need("recipe", "manifold3d", "pip install manifold3d")


def solid(mesh: trimesh.Trimesh) -> Solid:
    """A closed mesh as a solid.

    Raises:
        ValueError: the mesh is not closed.
    """
    module = manifold()
    given = module.Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
    given.merge()
    made = module.Manifold(given)
    if made.status() != module.Error.NoError:
        raise ValueError(f"a part is no solid: {made.status()}")
    return made


def united(solids: Sequence[Solid]) -> Solid:
    """Union of solids."""
    return manifold().Manifold.batch_boolean(list(solids), manifold().OpType.Add)


def meshed(whole: Solid, fewest: int = FEWEST, most: int = MOST, tolerance: float = 1e-5) -> trimesh.Trimesh:
    """Mesh of a solid: simplified or refined until the number of faces lies within the limits.

    Args:
        whole: the solid.
        fewest, most: the limits.
        tolerance: first tolerance of the simplification, a share of the diagonal of its box.
    """
    box = np.reshape(whole.bounding_box(), (2, 3))
    size = float(np.linalg.norm(box[1] - box[0]))
    result, tolerance = whole.simplify(tolerance * size), max(1.5 * tolerance, 1e-4) * size
    while result.num_tri() > most and tolerance < 0.003 * size:
        result, tolerance = whole.simplify(tolerance), 1.5 * tolerance
    coarse, edge = result, 0.5 * size
    while result.num_tri() < fewest:
        result, edge = coarse.refine_to_length(edge), 0.85 * edge
    found = result.to_mesh()
    return trimesh.Trimesh(found.vert_properties[:, :3].astype(np.float64), found.tri_verts, process=True)


def first_closed(build: Callable[[Draw], trimesh.Trimesh], key: list[int], tries: int = 12) -> trimesh.Trimesh:
    """The first closed mesh of the right number of faces that `build` makes from the seeds (key, 0), (key, 1), ...

    The mesh is checked as it will be written, with vertices of single precision.

    Raises:
        RuntimeError: none of them is closed.
    """
    for attempt in range(tries):
        try:
            mesh = build(Draw(np.random.default_rng([*key, attempt])))
        except ValueError:
            continue
        mesh = trimesh.Trimesh(np.asarray(mesh.vertices, np.float32), mesh.faces, process=True)
        if is_closed(mesh) and FEWEST <= len(mesh.faces) <= MOST:
            return mesh
    raise RuntimeError(f"no closed mesh from the seeds {key} in {tries} tries")
