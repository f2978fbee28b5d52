"""Virtual scans of held-out shapes with a space and without: does the prior ever make a scan worse?

    python benchmarks/scan_prior.py MESH_DIR OUT.json --space SPACE.h5 --case partial --only human/ psb_hand/
    python benchmarks/scan_prior.py MESH_DIR OUT.json --table          # the rows so far, as Markdown

Each mesh that the space does not hold becomes virtual scans of 5,000 points without normals, in its unit frame. Each
scan is reconstructed by the solve alone (`solve_scan`) and by `reconstruct` with the space, at 128 cells. One row for
each (case, shape) is appended to OUT.json; rows that it has are not made again. A pair is `worse` where F at 0.01 or
the normal consistency with the space is more than 0.005 below that without.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh
from judging import read_json, true_mesh, write_json

from latentsdf.core.frame import Frame
from latentsdf.fitting.direct_solve import solve_scan
from latentsdf.inference.candidates import CandidateFields
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.metrics import compare
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.training.warm_start import base_space

CASES: dict[str, dict[str, Any]] = {
    "whole clean": {},
    "whole .005": {"noise": 0.005},
    "partial": {"views": 2, "noise": 0.001},
    "one view": {"views": 1, "noise": 0.001},
    "one view, sensor": {"views": 1, "noise": 0.001},
}
"""Arguments of `virtual_scan`, lengths in the unit frame; the sensor of views is lost unless the case names it."""
GHOST = 0.03
"""Distance from the truth, unit frame, beyond which surface is a ghost."""
TOLERANCE = 0.005
"""A figure that is lower by more than this is worse."""
FIGURES = ("f_0.01", "normals", "ghost")


def main() -> None:
    """Scan, reconstruct, judge, print."""
    options = parsed()
    torch.set_num_threads(options.threads)
    if not options.table:
        space = load(options.space) if options.space else base_space("dual")
        candidates = candidate_fields(space)
        for row in missing_rows(space, candidates, options):
            write_json(options.out, [*read_json(options.out, []), row])
            print(row["case"], row["name"], row["alone"], row["space"], sep="\n    ", flush=True)
    print(table(read_json(options.out, [])))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--space", type=Path, help="default: the base space of the library")
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of names")
    parser.add_argument("--shapes", type=int, default=1, help="of each beginning, evenly spaced by name")
    parser.add_argument("--normals", action="store_true", help="hand the scan's normals over")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the meshes")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def missing_rows(
    space: LatentSpace, candidates: CandidateFields, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Rows that are not in the file yet."""
    done = {(row["case"], row["name"]) for row in read_json(options.out, [])}
    for name, path in chosen_meshes(space, options):
        truth = None
        for case in options.case:
            if (case, name) in done:
                continue
            truth = unit_mesh(true_mesh(path)) if truth is None else truth
            scan = make_scan(truth, case, options.normals)
            if scan is None:
                continue
            row: dict[str, Any] = {"case": case, "name": name}
            notes: list[str] = []

            def by_space(scan: Scan = scan, notes: list[str] = notes) -> trimesh.Trimesh:
                result = reconstruct(space, scan, candidates=candidates)
                notes += result.notes
                return result.shape.mesh(128)

            methods: dict[str, Callable[[], trimesh.Trimesh]] = {
                "alone": lambda scan=scan: solve_scan(scan).mesh(128),
                "space": by_space,
            }
            for method, make in methods.items():
                row[method] = judged(make, truth, options.keep, f"{name}.{case}.{method}")
            yield {**row, "notes": notes}


def chosen_meshes(space: LatentSpace, options: argparse.Namespace) -> list[tuple[str, Path]]:
    """Meshes that the space does not hold, so many of each beginning of a name."""
    files = [(name, path) for name, path in sorted(find_meshes(options.mesh_dir)[0]) if name not in space]
    chosen = []
    for beginning in options.only:
        group = [file for file in files if file[0].startswith(beginning)]
        chosen += [group[i] for i in np.unique(np.linspace(0, len(group) - 1, options.shapes).round().astype(int))]
    return chosen


def unit_mesh(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh in its unit frame."""
    return trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)


def make_scan(truth: trimesh.Trimesh, case: str, normals: bool) -> Scan | None:
    """The virtual scan, without its sensor unless the case names it; None where no sensor outside sees the mesh."""
    try:
        scan = virtual_scan(truth, seed=1, **CASES[case])
    except ValueError:
        return None
    sensor = scan.sensor if case.endswith("sensor") else None
    return replace(scan, sensor=sensor, normals=scan.normals if normals else None)


def judged(make: Callable[[], trimesh.Trimesh], truth: trimesh.Trimesh, keep: Path | None, name: str) -> dict[str, Any]:
    """Figures of a reconstruction against the truth, its seconds with meshing included."""
    began = monotonic()
    try:
        mesh = make()
    except ValueError as error:
        return {**dict.fromkeys(FIGURES, 0.0), "ghost": 1.0, "seconds": monotonic() - began, "reason": str(error)}
    seconds = monotonic() - began
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        mesh.export(keep / (name.replace("/", "_").replace(" ", "_") + ".ply"))
    return {**figures(mesh, truth), "seconds": round(seconds, 1)}


def figures(mesh: trimesh.Trimesh, truth: trimesh.Trimesh) -> dict[str, float]:
    """F at 0.01, normal consistency, and the share of the surface that is farther than `GHOST` from the truth."""
    plain = compare(mesh, truth, frame=Frame.identity()).to_dict()
    points, _ = surface_samples(mesh, 10_000, 0)
    ghost = float((MeshSDF(truth.vertices, truth.faces).closest(points)[0] > GHOST).mean())
    values = {"f_0.01": plain["f_0.01"], "normals": plain["normal_consistency"], "ghost": ghost}
    return {key: round(value, 4) for key, value in values.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """Means by case, and the share of the shapes that are not worse with the space, as Markdown."""
    lines = [
        "| case | shapes | F at 0.01 alone, with | normals alone, with | ghost area alone, with "
        "| not worse: F, normals, both | seconds alone, with |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        of_case = [row for row in rows if row["case"] == case]
        if not of_case:
            continue
        mean = {
            (method, key): float(np.mean([row[method][key] for row in of_case]))
            for method, key in product(("alone", "space"), (*FIGURES, "seconds"))
        }
        kept = np.array(
            [[row["space"][key] >= row["alone"][key] - TOLERANCE for key in FIGURES[:2]] for row in of_case]
        )
        shares = [*kept.mean(0), kept.all(1).mean()]
        cells = [f"{mean['alone', key]:.3f} {mean['space', key]:.3f}" for key in FIGURES]
        cells += [" ".join(f"{share:.0%}" for share in shares)]
        cells += [f"{mean['alone', 'seconds']:.0f} {mean['space', 'seconds']:.0f}"]
        lines.append(f"| {case} | {len(of_case)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
