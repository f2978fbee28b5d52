"""Terms of the suite on decoded shapes: which of them helps against which defect of a scan.

    python benchmarks/shape_terms.py SPACE.h5 ROWS.json MESH... [--steps 150] [--resolution 64] [--only NAME ...]
    python benchmarks/shape_terms.py SPACE.h5 ROWS.json --table                  # the rows so far, as Markdown

Each mesh is encoded, which gives its shape in its frame; virtual scans of it with a defect are the data of `overfit`,
once by the linear solve and once with each objective. The defect `none` is the mesh itself as data. Figures are those
of `compare` against the mesh. A row goes to ROWS.json as soon as it is there, and rows that are there are not made
again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import trimesh
from judging import read_json, true_mesh, write_json

from latentsdf.core.frame import Frame
from latentsdf.inference.encoding import encode
from latentsdf.mesh.metrics import compare
from latentsdf.reconstruction.refinement import RefineConfig
from latentsdf.reconstruction.shape_overfitting import overfit
from latentsdf.regularizers.presets import Terms
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.shape import Shape
from latentsdf.space.store import load

OBJECTIVES: dict[str, Terms | None] = {
    "solve": None,
    "data": {"surface": 1.0, "normals": 0.1},
    "+ eikonal 0.1": {"eikonal": 0.1},
    "+ divergence 0.001": {"divergence": 1e-3},
    "+ divergence 0.01": {"divergence": 1e-2},
    "+ directional_divergence 0.001": {"directional_divergence": 1e-3},
    "+ level_set_alignment 0.1": {"level_set_alignment": 0.1},
    "+ off_surface 0.1": {"off_surface": 0.1},
    "ssd_energy 1": {"ssd_energy": 1.0},
    **{name: name for name in ("igr", "siren", "digs", "steik", "viscoreg", "hotspot", "neural-pull+lsa", "gs-pull")},
}
"""Objective by its name in the table; terms after a plus are added to the data terms."""
DEFECTS = {"noise": (6000, 0.01), "holes": (8000, 0.002), "sparse": (600, 0.0)}
"""Points of a scan, and the standard deviation of its noise in the unit frame."""
FIGURES = ("f_0.005", "f_0.01", "normal_consistency", "roughness", "roughness_true", "ghost_area", "missing_area")
_HOLES, _HOLE = 4, 0.25
"""Holes of a scan with holes, and their radius in the unit frame."""


def main() -> None:
    """Overfit, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("space", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("meshes", type=Path, nargs="*")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--only", nargs="*", default=list(OBJECTIVES))
    parser.add_argument("--defects", nargs="*", default=list(DEFECTS), choices=[*DEFECTS, "none"])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = read_json(options.rows, [])
    config = RefineConfig(resolution=options.resolution, steps=options.steps)
    space = None if options.table else load(options.space)
    for path in options.meshes:
        assert space is not None
        name, truth = f"{path.parent.name}/{path.stem}", true_mesh(path)
        shape = encode(space, truth, name=name)
        for defect in options.defects:
            data = truth if defect == "none" else damaged_scan(truth, defect)
            for objective in ["code", *options.only]:
                key = {"shape": name, "defect": defect, "objective": objective}
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append({**key, **figures(shape, truth, data, objective, config)})
                write_json(options.rows, rows)
    print(table(rows))


def damaged_scan(truth: trimesh.Trimesh, defect: str) -> Scan:
    """A virtual scan of a mesh, without normals, with one defect; lengths are those of the mesh's unit frame."""
    frame = Frame.around(truth.vertices)
    unit = trimesh.Trimesh(frame.to_unit(truth.vertices), truth.faces, process=False)
    count, noise = DEFECTS[defect]
    scan = virtual_scan(unit, count=count, noise=noise, seed=1)
    if defect == "holes":
        centres = scan.points[np.random.default_rng(2).choice(len(scan), _HOLES, replace=False)]
        distance = np.linalg.norm(scan.points[:, None] - centres, axis=-1).min(1)
        scan = scan.select(np.flatnonzero(distance > _HOLE))
    return Scan(frame.to_source(scan.points))


def figures(
    shape: Shape, truth: trimesh.Trimesh, data: Scan | trimesh.Trimesh, objective: str, config: RefineConfig
) -> dict[str, Any]:
    """Figures of the surface after an overfit, or of the code alone."""
    began, found = monotonic(), shape
    if objective != "code":
        found = overfit(shape, data, OBJECTIVES[objective], config).shape
    seconds = monotonic() - began
    try:
        surface = found.mesh(96)
    except ValueError as error:
        return {"seconds": seconds, "error": str(error)}
    measured = compare(surface, truth, samples=10_000, frame=Frame.around(truth.vertices)).to_dict()
    return {"seconds": seconds, **{name: measured[name] for name in FIGURES}}


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the shapes that all objectives of a defect have been measured on, as Markdown."""
    lines = []
    for defect in dict.fromkeys(row["defect"] for row in rows):
        here = [row for row in rows if row["defect"] == defect and "error" not in row]
        names = list(dict.fromkeys(row["objective"] for row in here))
        sets = [{row["shape"] for row in here if row["objective"] == name} for name in names]
        shapes = set.intersection(*sets)
        lines += [f"\n{defect}: means of {len(shapes)} shapes\n"]
        lines += ["| objective | F at 0.005 | F at 0.01 | normals | roughness (true) | ghost | missing | s |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for name in names:
            chosen = [row for row in here if row["objective"] == name and row["shape"] in shapes]
            mean = {key: float(np.mean([row[key] for row in chosen])) for key in (*FIGURES, "seconds")}
            lines.append(
                f"| {name} | {mean['f_0.005']:.3f} | {mean['f_0.01']:.3f} | {mean['normal_consistency']:.3f} "
                f"| {mean['roughness']:.1f} ({mean['roughness_true']:.1f}) | {mean['ghost_area']:.1%} "
                f"| {mean['missing_area']:.1%} | {mean['seconds']:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
