"""A pool of virtual scans with ground truth, on disk, to train and evaluate the learned reliability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scan_defects import defective_scan, random_defects
from scipy.spatial import KDTree

from latentsdf.core.arrays import Array
from latentsdf.core.frame import Frame
from latentsdf.inference.evaluation import split
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.repair import repair_mesh
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.primitives import FAMILIES

QUERIES = 600
"""Points of the true surface, and as many near it, at which a solve is evaluated."""


@dataclass(frozen=True, eq=False)
class Item:
    """A scan in the unit frame and its ground truth.

    Attributes:
        points: (N, 3).
        normals: (N, 3) or None.
        sensor: (3,) for a single view, or None.
        distances: (N,) of each point to the true surface.
        limit: a point farther than this is an outlier: three deviations of the noise and a third of the spacing.
        surface: (Q, 3) points of the true surface.
        directions: (Q, 3) its normals there.
        near: (Q, 3) points near it, a few of them anywhere.
        signed: (Q,) their signed distances.
    """

    points: Array
    normals: Array | None
    sensor: Array | None
    distances: Array
    limit: float
    surface: Array
    directions: Array
    near: Array
    signed: Array


def pool(folder: Path, meshes: Path, count: int, held_out: bool) -> Iterator[Item]:
    """Load items from a folder and create missing ones: number k depends on k and the side of the split alone.

    Args:
        folder: one .npz per item.
        meshes: of the development set; the split is that of `benchmarks/fidelity.py`.
        count: items.
        held_out: from held-out meshes; else from the others and, one of four, from the families.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(find_meshes(meshes)[0])
    names = split(list(files))[int(held_out)]
    for number in range(count):
        path = folder / f"{'held_out' if held_out else 'seen'}_{number:04d}.npz"
        if not path.exists():
            generator = np.random.default_rng([number, int(held_out)])
            mesh = None
            while mesh is None:
                mesh = (
                    _family(generator)
                    if not held_out and generator.random() < 0.25
                    else unit_mesh(files[generator.choice(names)])
                )
            _write(path, mesh, generator)
        with np.load(path, allow_pickle=False) as stored:
            parts = dict(stored)
        given, sensor = (part if len(part) else None for part in (parts.pop("normals"), parts.pop("sensor")))
        yield Item(normals=given, sensor=sensor, limit=float(parts.pop("limit")), **parts)


def unit_mesh(path: Path) -> trimesh.Trimesh | None:
    """Load a mesh into its unit frame, repaired as by `prepare`; None if it is refused."""
    try:
        mesh = repair_mesh(load_mesh(path))[0]
    except ValueError:
        return None
    return trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)


def _family(generator: np.random.Generator) -> trimesh.Trimesh:
    family = FAMILIES[generator.choice(list(FAMILIES))]
    return extract_mesh(family.sdf(family.sample(int(generator.integers(2**31)))), resolution=80)


def _write(path: Path, mesh: trimesh.Trimesh, generator: np.random.Generator) -> None:
    defects = random_defects(generator)
    scan = defective_scan(mesh, defects, int(generator.integers(2**31)))
    truth = MeshSDF(mesh.vertices, mesh.faces)
    surface, directions = surface_samples(mesh, QUERIES, generator)
    near = surface_samples(mesh, QUERIES, generator)[0] + 0.05 * generator.normal(size=(QUERIES, 3))
    near[: QUERIES // 6] = generator.uniform(-1, 1, (QUERIES // 6, 3))
    near = np.clip(near, -1, 1)
    signed = truth.signed_distance(np.concatenate([scan.points, near]))
    spacing = float(np.median(KDTree(scan.points).query(scan.points, 6)[0][:, 1:].mean(1)))
    temporary = path.with_suffix(".part.npz")
    np.savez_compressed(
        temporary,
        points=scan.points,
        normals=np.empty((0, 3)) if scan.normals is None else scan.normals,
        sensor=np.empty(0) if scan.sensor is None else scan.sensor,
        distances=np.abs(signed[: len(scan)]),
        limit=3.0 * defects.noise + spacing / 3.0,
        surface=surface,
        directions=directions,
        near=near,
        signed=signed[len(scan) :],
    )
    temporary.rename(path)
