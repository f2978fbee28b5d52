"""Unseen shapes and scans of them through one space: what a code, a pose and a tightening are worth.

    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --method code tight adam poisson fit --shapes 33
    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --case single --pose moved --method code
    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --table

Queries are the meshes of MESH_DIR that the space does not hold (`--stored`: that it holds). Each becomes virtual scans
of 5,000 points (`--case`; views are from places of the shape's own), in its own frame (`--pose canonical`: the frame is
given), under a random scale and shift (`--pose placed`: both are found, as `latentsdf reconstruct` does by default) or
under a random similarity transform (`--pose moved`: rotation, scale and place are found). Methods: `code` (joint
second-order fit), `tight` (the same, then tightened), `adam` (the same start, 800 Adam steps), `tuned` (the code, then
descent on code and fine branch for `--minutes`), `poisson` (screened, PyMeshLab), `fit` (the scan alone, default
preset, `--minutes`). One row a (case, pose, method, shape) goes to OUT.json as soon as it is there; rows that are there
are not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import torch
import trimesh
from fine_tuning import fine_tune
from judging import NOTHING, judge_mesh, read_json, true_mesh, write_json
from poisson import screened_poisson
from scipy.spatial.transform import Rotation
from unseen_table import KEYS, table

from latentsdf.core.frame import Frame
from latentsdf.core.names import class_of
from latentsdf.core.pose import PoseFreedom
from latentsdf.fitting.descent import FitConfig, fit
from latentsdf.fitting.fitted_field import Fitted
from latentsdf.inference.candidates import CandidateFields
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.reconstruction.reconstruction import ReconstructConfig, Reconstruction, reconstruct
from latentsdf.reconstruction.scan_fitting import ScanFitConfig, candidate_fields
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.index import Index
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

CASES: dict[str, dict[str, Any]] = {
    "clean": {},
    "noise 0.005": {"noise": 0.005},
    "noise 0.02": {"noise": 0.02},
    "single": {"views": 1},
    "two views": {"views": 2},
    "two views, sensors lost": {"views": 2},
    "500 points": {"count": 500},
    "outliers 10 %": {"outliers": 0.1},
}
"""Arguments of `virtual_scan`; lengths in the unit frame."""
POSES: dict[str, PoseFreedom] = {"canonical": "known", "placed": "placed", "moved": "free"}
"""What of the frame is found under each `--pose`."""
METHODS = ("code", "tight", "adam", "tuned", "poisson", "fit")


class Query(NamedTuple):
    """An unseen shape: its name, its true surface in the unit frame, how and where the scan was moved to, a seed."""

    name: str
    truth: trimesh.Trimesh
    pose: str
    world: Frame
    seed: int


def main() -> None:
    """Scan, reconstruct, judge, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.table:
        space = load(options.space)
        candidates = candidate_fields(space)
        for row in missing_rows(space, candidates, options):
            write_json(options.out, [*read_json(options.out, []), row])
            print({key: row.get(key) for key in (*KEYS, "name", "f_0.01", "seconds", "landed")}, flush=True)
    print(table(options.out))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--pose", nargs="+", choices=list(POSES), default=["canonical"])
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["code"])
    parser.add_argument("--shapes", type=int, default=33, help="unseen meshes taken")
    parser.add_argument("--stored", action="store_true", help="scan shapes that the space holds instead")
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=0.5, help="of `fit` and `tuned`")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--normals", action="store_true", help="hand the scan's normals over; else none has them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def missing_rows(
    space: LatentSpace, candidates: CandidateFields, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Rows that the file does not have yet."""
    done = {tuple(row[key] for key in (*KEYS, "name")) for row in read_json(options.out, [])}
    files = {name: path for name, path in find_meshes(options.mesh_dir)[0] if (name in space) == options.stored}
    order = np.random.default_rng(1).permutation(len(files))[: options.shapes]
    names = [sorted(files)[i] for i in sorted(order)]
    for name in names:
        whole, number = None, sorted(files).index(name)
        for case, pose, method in product(options.case, options.pose, options.method):
            if (case, pose, options.normals, method, name) in done:
                continue
            whole = whole or true_mesh(files[name])
            frame = Frame.around(whole.vertices)
            truth = trimesh.Trimesh(frame.to_unit(whole.vertices), whole.faces, process=False)
            query = Query(name, truth, pose, moved(pose, number, options.seed), options.seed + number)
            scan = scanned(query, case, options)
            if scan is not None:
                key = dict(zip(KEYS, (case, pose, options.normals, method), strict=True))
                yield {**key, "name": name, **measured(space, candidates, query, scan, method, options)}


def moved(pose: str, number: int, seed: int) -> Frame:
    """A random similarity transform: the frame of a scan whose unit and origin, or axes too, are its own."""
    if pose == "canonical":
        return Frame.identity()
    random = np.random.default_rng([seed, number])
    turn = Rotation.from_quat(random.normal(size=4)).as_matrix()
    axes = turn if pose == "moved" else np.eye(3)
    return Frame(axes, float(np.exp(random.uniform(-2.0, 2.0))), random.normal(0.0, 5.0, 3))


def scanned(query: Query, case: str, options: argparse.Namespace) -> Scan | None:
    """The virtual scan in the units it is handed over in; None where the mesh cannot be seen from outside."""
    arguments = {"count": options.points, **CASES[case]}
    try:
        scan = virtual_scan(query.truth, seed=query.seed, **arguments)
    except ValueError as error:
        print(f"{query.name}: {error}")
        return None
    sensor = None if "lost" in case else scan.sensor
    plain = replace(scan, sensor=sensor, normals=scan.normals if options.normals else None)
    return plain.transformed(query.world.inverse())


def measured(
    space: LatentSpace, candidates: CandidateFields, query: Query, scan: Scan, method: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Figures of one reconstruction against the truth, in its unit frame; seconds without those of meshing."""
    began = monotonic()
    about: dict[str, Any] = {}
    found: Reconstruction | Fitted | None = None
    try:
        if method == "poisson":
            made = screened_poisson(scan)
            seconds = monotonic() - began
        elif method == "fit":
            found = fit(scan, None, FitConfig(minutes=options.minutes, seed=options.seed))
            seconds = monotonic() - began
            made = found.mesh(options.resolution)
        else:
            pose = POSES[query.pose]
            way = "adam" if method == "adam" else "second-order"
            steps = 800 if method == "adam" else None
            config = ReconstructConfig(
                fit=ScanFitConfig(pose=pose, method=way, steps=steps, seed=options.seed),
                frame=query.world if pose == "known" else None,
                refine=method == "tight",
            )
            found = reconstruct(space, scan, config=config, candidates=candidates)
            shape = fine_tune(found, options.minutes, seed=options.seed) if method == "tuned" else found.shape
            seconds = monotonic() - began
            made = shape.mesh(options.resolution)
    except ValueError as error:
        return {**NOTHING, "reason": str(error), "seconds": monotonic() - began}
    if isinstance(found, Reconstruction):
        nearest = space[Index(space).search(found.shape, k=1)[0].name]
        as_meshes_lie = Frame(nearest.frame.rotation.T, 1.0, np.zeros(3)) @ found.shape.frame
        about = {
            **pose_error(query, as_meshes_lie),
            "class_right": nearest.class_name == class_of(query.name),
            "surprise": found.code_zscore,
            "openness": found.openness,
            "code_seconds": seconds - (found.refinement.seconds if found.refinement else 0.0),
        }
    unit = trimesh.Trimesh(query.world.to_unit(made.vertices), made.faces, process=False)
    return {**judge_mesh(unit, query.truth, Frame.identity()), "seconds": seconds, **about}


LANDED = (5.0, 0.02)
"""Degrees and share of the scale within which a pose is right."""


def pose_error(query: Query, frame: Frame) -> dict[str, Any]:
    """How far the frame found is from the true one, in the axes of the nearest mesh, up to the shape's own symmetry.

    The transform between the two frames would be the identity, or a symmetry of the shape. The symmetry is found by
    iterated closest points from where the transform puts the shape's own points: what they end on is one if they lie
    on the surface there, and the error is what is left to it.
    """
    between = frame @ query.world.inverse()
    points, _ = surface_samples(query.truth, 1500, 0)
    surface = MeshSDF(query.truth.vertices, query.truth.faces)
    start = points @ between.rotation.T
    turn, at = np.eye(3), start
    for _ in range(60):
        goal = surface.closest(at)[2]
        step = Rotation.align_vectors(goal, at)[0].as_matrix()
        turn, at = step @ turn, at @ step.T
    left = float(np.abs(np.linalg.norm(surface.closest(at)[2] - at, axis=1)).mean())
    angle = float(np.degrees(Rotation.from_matrix(turn).magnitude()))
    plain = float(np.degrees(Rotation.from_matrix(between.rotation).magnitude()))
    angle = min(angle, plain) if left < 0.01 else plain
    growth = abs(float(np.log(between.scale)))
    return {"angle": angle, "growth": growth, "landed": angle < LANDED[0] and growth < LANDED[1]}


if __name__ == "__main__":
    main()
