"""Sides of bare points: the share of estimated normals on the right side, ours beside PyMeshLab's.

    python benchmarks/orientation.py MESH_DIR SCANS_DIR --shapes 48

Virtual scans of meshes of MESH_DIR (5,000 points, unit frame; the true side is that of the nearest face), and 20,000
points of each scan of SCANS_DIR that brings normals. Points farther from the surface than 0.02 (strays) do not count.
`of one side`: the mean of the larger share of each scan, right or wrong; the rest of the difference is the choice of
the outside, which a Poisson surface does not need.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import trimesh
from judging import true_mesh
from numpy.typing import NDArray
from unseen import CASES

from latentsdf.core.frame import Frame
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.scan.normals import outward_normals
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan

COUNTED = {"noise 0.02": 0.06}
"""Farther than this from the surface a point does not count; 0.02 where nothing is said."""


def main() -> None:
    """Orient, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--shapes", type=int, default=48)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    ways: dict[str, Callable[[NDArray], NDArray]] = {"ours": outward_normals}
    try:
        import pymeshlab  # noqa: F401
    except ImportError:
        print("PyMeshLab is not there: ours alone")
    else:
        ways["PyMeshLab"] = by_pymeshlab
    shares: dict[tuple[str, str], list[float]] = {}
    seconds: dict[str, float] = dict.fromkeys(ways, 0.0)
    for case, points, normals, counted in (*virtual(options), *classic(options.scans)):
        for way, orient in ways.items():
            began = monotonic()
            found = orient(points)
            seconds[way] += monotonic() - began
            right = np.einsum("nd,nd->n", found, normals) > 0
            shares.setdefault((case, way), []).append(float(right[counted].mean()))
    print(
        "| scans | way | number | mean share on the right side | above 0.9 | least |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for (case, way), found in shares.items():
        above = np.mean(np.array(found) > 0.9)
        either = np.mean([max(share, 1 - share) for share in found])
        print(
            f"| {case} | {way} | {len(found)} | {np.mean(found):.3f} | {above:.0%} | {min(found):.2f} | {either:.3f} |"
        )
    print({way: f"{spent:.0f} s in all" for way, spent in seconds.items()})


def virtual(options: argparse.Namespace) -> Iterator[tuple[str, NDArray, NDArray, NDArray]]:
    """Case, points, true normals and which of them count, of virtual scans."""
    files = dict(find_meshes(options.mesh_dir)[0])
    names = sorted(files)
    for row in np.random.default_rng(options.seed).permutation(len(names))[: options.shapes]:
        mesh = true_mesh(files[names[row]])
        unit = trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)
        surface = MeshSDF(unit.vertices, unit.faces)
        for case, arguments in CASES.items():
            try:
                points = virtual_scan(unit, seed=0, **{"count": 5000, **arguments}).points
            except ValueError as error:
                print(f"{names[row]}: {error}")
                continue
            distances, faces, _ = surface.closest(points)
            yield case, points, unit.face_normals[faces], distances < COUNTED.get(case, 0.02)


def classic(root: Path) -> Iterator[tuple[str, NDArray, NDArray, NDArray]]:
    """The same of scans that bring normals."""
    for path in sorted(root.glob("*/scan*.ply")):
        scan = Scan.load(path)
        if scan.normals is not None:
            rows = np.random.default_rng(0).permutation(len(scan))[:20_000]
            yield "classic scans", scan.points[rows], scan.normals[rows], np.ones(len(rows), dtype=bool)


def by_pymeshlab(points: NDArray) -> NDArray:
    """PyMeshLab's normals of bare points, as `poisson.py` takes them."""
    import pymeshlab

    meshes = pymeshlab.MeshSet()
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=np.ascontiguousarray(points)))
    meshes.compute_normal_for_point_clouds(k=10)
    return np.asarray(meshes.current_mesh().vertex_normal_matrix())


if __name__ == "__main__":
    main()
