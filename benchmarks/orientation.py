"""Orientation of normals of bare points: share of estimated normals on the true side, ours beside PyMeshLab's.

    python benchmarks/orientation.py MESH_DIR SCANS_DIR --shapes 48

Virtual scans of meshes of MESH_DIR (5,000 points, unit frame; the true side is that of the nearest face), and 20,000
points of each scan of SCANS_DIR that brings normals. Points farther from the surface than 0.02 (outliers) do not count.
Last column: the mean of the larger share of each scan, right or wrong; the difference is the choice of the outside,
which a Poisson surface does not need.
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

LIMITS = {"noise 0.02": 0.06}
"""Distance from the surface up to which a point counts; 0.02 in all other cases."""


def main() -> None:
    """Orient, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--shapes", type=int, default=48)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    methods: dict[str, Callable[[NDArray], NDArray]] = {"ours": outward_normals}
    try:
        import pymeshlab  # noqa: F401
    except ImportError:
        print("PyMeshLab is not installed: ours alone")
    else:
        methods["PyMeshLab"] = by_pymeshlab
    shares: dict[tuple[str, str], list[float]] = {}
    seconds: dict[str, float] = dict.fromkeys(methods, 0.0)
    for case, points, normals, counted in (*virtual(options), *classic(options.scans)):
        for method, orient in methods.items():
            began = monotonic()
            estimated = orient(points)
            seconds[method] += monotonic() - began
            right = np.einsum("nd,nd->n", estimated, normals) > 0
            shares.setdefault((case, method), []).append(float(right[counted].mean()))
    print(
        "| scans | method | number | mean share on the right side | above 0.9 | least |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for (case, method), scores in shares.items():
        above = np.mean(np.array(scores) > 0.9)
        either = np.mean([max(share, 1 - share) for share in scores])
        cells = (
            case,
            method,
            len(scores),
            f"{np.mean(scores):.3f}",
            f"{above:.0%}",
            f"{min(scores):.2f}",
            f"{either:.3f}",
        )
        print("| " + " | ".join(map(str, cells)) + " |")
    print({method: f"{spent:.0f} s in all" for method, spent in seconds.items()})


def virtual(options: argparse.Namespace) -> Iterator[tuple[str, NDArray, NDArray, NDArray]]:
    """Case, points, true normals and a mask of those that count, of virtual scans."""
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
            yield case, points, unit.face_normals[faces], distances < LIMITS.get(case, 0.02)


def classic(root: Path) -> Iterator[tuple[str, NDArray, NDArray, NDArray]]:
    """The same of scans with normals."""
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
