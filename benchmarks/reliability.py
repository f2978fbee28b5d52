"""Reliability of points: weightings x scans with outliers, solved by the B-spline solver and compared with the truth.

    python benchmarks/reliability.py MESH_DIR SCANS_DIR OUT.json            # resumes
    python benchmarks/reliability.py MESH_DIR SCANS_DIR OUT.json --table    # the rows so far, as Markdown

From MESH_DIR only meshes are taken that the learned weights were not trained on (the held-out fifth of `fidelity.py`),
scanned virtually with 5,000 points and solved at 64 cells an axis. SCANS_DIR holds the classic scans, on which nothing
was trained: some points of `scan_clean.ply` or `scan.ply` of each shape, replaced by outliers.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import mean, median
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import trimesh
from judging import read_json, write_json
from reliability_pool import unit_mesh
from scan_defects import Defects, add_defects

from latentsdf.core.frame import Frame
from latentsdf.inference.evaluation import split
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.solver import SolveConfig, learned_weights, solve

KEYS = ("set", "shape", "trouble", "normals", "method")
METHODS = ("none", "geman-mcclure", "welsch", "learned", "learned x welsch", "knowing")
"""Values of `SolveConfig.robust`; the network's weights times those by residual; weights by the ground truth."""
TRUTHS = ("gt.ply", "cad_aligned.ply", "poisson_reference.ply")
NO_SURFACE = {"chamfer_l1": 1.0, "f_0.01": 0.0}
"""Figures of a solve without a surface, which counts as a failure."""
DEFECTS: dict[str, dict[str, float]] = {
    "clean": {},
    "noise 0.005": {"noise": 0.005},
    "10 % uniform": {"uniform": 0.1, "noise": 0.002},
    "10 % clustered": {"clustered": 0.1, "noise": 0.002},
    "10 % displaced": {"displaced": 0.1, "noise": 0.002},
}


class Item(NamedTuple):
    """A scan in the unit frame of its truth, and the resolution of its solve."""

    scan: Scan
    noise: float
    truth: trimesh.Trimesh
    resolution: int


def main() -> None:
    """Solve, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dev", type=int, default=16, help="held-out meshes")
    parser.add_argument("--classic", type=int, default=7, help="classic scans")
    parser.add_argument("--points", type=int, default=20_000, help="of a classic scan")
    parser.add_argument("--cells", type=int, default=128, help="an axis, for a classic scan")
    parser.add_argument("--trouble", nargs="+", default=list(DEFECTS), choices=list(DEFECTS))
    parser.add_argument("--method", nargs="+", default=list(METHODS))
    parser.add_argument("--normals", nargs="+", default=["given", "none"], choices=["given", "none"])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        for key, item in items(options):
            done = {tuple(row[name] for name in KEYS) for row in read_json(options.out, [])}
            for method in options.method:
                if (*key, method) not in done:
                    row = {**dict(zip(KEYS, (*key, method), strict=True)), **figures(item, method)}
                    write_json(options.out, [*read_json(options.out, []), row])
                    print({name: row[name] for name in (*KEYS, "f_0.01", "chamfer_l1", "seconds")}, flush=True)
    print(table(options.out))


def items(options: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], Item]]:
    """Scans by the options, with normals and without."""
    for trouble, (name, item) in product(options.trouble, [*dev_scans(options), *classic_scans(options)]):
        config = Defects(**DEFECTS[trouble])  # pyright: ignore[reportArgumentType]
        seed = [zlib.crc32(f"{name} {trouble}".encode())]
        scan = add_defects(item.scan, config, np.random.default_rng(seed))
        for normals in options.normals:
            given = scan if normals == "given" else Scan(scan.points, name=scan.name)
            yield (*name.split(":"), trouble, normals), item._replace(scan=given, noise=config.noise)


def dev_scans(options: argparse.Namespace) -> Iterator[tuple[str, Item]]:
    """Virtual scans of held-out meshes, without noise or outliers."""
    files = dict(find_meshes(options.meshes)[0])
    for name in np.random.default_rng(5).permutation(split(list(files))[1])[: options.dev]:
        truth = unit_mesh(files[str(name)])
        if truth is not None:
            yield f"dev:{name}", Item(virtual_scan(truth, count=5000), 0.0, truth, 64)


def classic_scans(options: argparse.Namespace) -> Iterator[tuple[str, Item]]:
    """Classic scans without added defects."""
    for folder in sorted(path for path in options.scans.iterdir() if path.is_dir())[: options.classic]:
        truth = load_mesh(next(folder / name for name in TRUTHS if (folder / name).exists()))
        frame = Frame.around(truth.vertices)
        truth = trimesh.Trimesh(frame.to_unit(truth.vertices), truth.faces, process=False)
        source = next(folder / name for name in ("scan_clean.ply", "scan.ply") if (folder / name).exists())
        scan = Scan.load(source).transformed(frame).subsampled(options.points)
        yield f"classic at {options.cells} cells:{folder.name}", Item(scan, 0.0, truth, options.cells)


def figures(item: Item, method: str) -> dict[str, Any]:
    """Figures of one solve."""
    began, weights, robust = monotonic(), None, method
    if method == "learned x welsch":
        weights, robust = learned_weights(item.scan.points, item.scan.normals), "welsch"
    elif method == "knowing":
        away = MeshSDF(item.truth.vertices, item.truth.faces).distance(item.scan.points)
        weights, robust = np.where(away < 3 * item.noise + 0.005, 1.0, 1e-6), "none"
    solution = solve(item.scan, config=SolveConfig(resolution=item.resolution, robust=robust), weights=weights)  # pyright: ignore[reportArgumentType]
    seconds = monotonic() - began
    try:
        mesh = extract_mesh(solution.sdf, resolution=item.resolution)
    except ValueError as error:
        print(error)
        return {**NO_SURFACE, "seconds": seconds}
    return {**compare(mesh, item.truth).to_dict(), "seconds": seconds}


def table(path: Path) -> str:
    """Means over the shapes of each set, and the median of the seconds."""
    rows = read_json(path, [])
    groups: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        key = (row["set"], row["trouble"], row["normals"])
        groups.setdefault(key, {}).setdefault(row["method"], []).append(row)
    lines = ["| scans | trouble | normals | weights | shapes | F at 0.01 | Chamfer-L1 | seconds |", "|" + "---|" * 8]
    for key, methods in sorted(groups.items()):
        for method in [name for name in METHODS if name in methods]:
            known = methods[method]
            score, chamfer = (mean(row[name] for row in known) for name in ("f_0.01", "chamfer_l1"))
            seconds = median(row["seconds"] for row in known)
            cells = (*key, method, str(len(known)), f"{score:.4f}", f"{chamfer:.5f}", f"{seconds:.1f}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
