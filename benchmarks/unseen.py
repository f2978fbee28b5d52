"""Virtual scans of unseen shapes through one space: gain of code, pose and refinement, and other methods.

    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --method code tight adam poisson fit --shapes 33
    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --case single --pose moved --method code
    python benchmarks/unseen.py SPACE.h5 MESH_DIR OUT.json --table

Queries are the meshes of MESH_DIR that the space does not hold (`--stored`: that it holds). Each becomes virtual scans
of 5,000 points (`--case`), in its own frame (`--pose canonical`: the frame is given), under a random scale and shift
(`--pose placed`: both are fitted, as `latentsdf reconstruct` does by default), rotated about `--up` too (`--pose
upright`: the angle is fitted as well), or under a random similarity transform (`--pose moved`: rotation, scale and
position are fitted). Methods: `code` (joint second-order fit), `tight` (the same,
then refined), `adam` (800 Adam steps from the same guess, `adam_codes.py`), `tuned` (the code, then descent on code and
fine branch for `--minutes`), `poisson` (screened, PyMeshLab), `fit` (the scan alone, default preset, `--minutes`). One
row per (case, pose, method, shape) is appended to OUT.json; rows that it has are not made again.
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
from adam_codes import adam_fit_scan
from fine_tuning import fine_tune
from judging import NOTHING, judge_mesh, read_json, true_mesh, write_json
from poisson import screened_poisson
from scipy.spatial.transform import Rotation
from unseen_table import KEYS, table

from latentsdf.core.frame import Frame
from latentsdf.core.names import class_of
from latentsdf.core.pose import PoseFreedom
from latentsdf.fitting.descent import FitConfig
from latentsdf.fitting.descent import fit as fit_alone
from latentsdf.inference.candidates import CandidateFields
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.reconstruction import ReconstructConfig, code_zscore, reconstruct
from latentsdf.reconstruction.scan_fitting import ScanFit, ScanFitConfig, ScanProblem
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.index import Index
from latentsdf.space.shape import Shape
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
POSES: dict[str, PoseFreedom] = {"canonical": "known", "placed": "placed", "upright": "upright", "moved": "free"}
"""Pose freedom of each `--pose`."""
AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
ADAM_STEPS = 800
METHODS = ("code", "tight", "adam", "tuned", "poisson", "fit")


class Query(NamedTuple):
    """An unseen shape.

    Attributes:
        name: of its mesh.
        truth: surface in the unit frame.
        pose: key of `POSES`.
        world: frame of the scan.
        seed: of the scan.
    """

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
    parser.add_argument("--up", choices=tuple(AXES), default="z", help="of the meshes, with --pose upright")
    parser.add_argument("--up-of", nargs="*", default=[], metavar="PREFIX=AXIS", help="that of names with a prefix")
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=0.5, help="of `fit` and `tuned`")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--poses-alone", action="store_true", help="of --method code: judge poses, not surfaces")
    parser.add_argument("--normals", action="store_true", help="hand the scan's normals over; else none has them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def missing_rows(
    space: LatentSpace, candidates: CandidateFields, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Rows that are not in the file yet."""
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
            query = Query(name, truth, pose, random_frame(pose, name, number, options), options.seed + number)
            scan = make_scan(query, case, options)
            if scan is not None:
                key = dict(zip(KEYS, (case, pose, options.normals, method), strict=True))
                yield {**key, "name": name, **evaluate_method(space, candidates, query, scan, method, options)}


def up_of(name: str, options: argparse.Namespace) -> str:
    """The axis that points up in the file of a mesh."""
    axes = [axis for prefix, _, axis in (item.partition("=") for item in options.up_of) if name.startswith(prefix)]
    return axes[0] if axes else options.up


def random_frame(pose: str, name: str, number: int, options: argparse.Namespace) -> Frame:
    """A random similarity transform: scale and shift, for upright and moved scans a rotation too."""
    if pose == "canonical":
        return Frame.identity()
    generator = np.random.default_rng([options.seed, number])
    rotations = {
        "placed": Rotation.identity(),
        "moved": Rotation.from_quat(generator.normal(size=4)),
        "upright": Rotation.from_rotvec(generator.uniform(0.0, 2 * np.pi) * np.array(AXES[up_of(name, options)])),
    }
    return Frame(
        rotations[pose].as_matrix(), float(np.exp(generator.uniform(-2.0, 2.0))), generator.normal(0.0, 5.0, 3)
    )


def make_scan(query: Query, case: str, options: argparse.Namespace) -> Scan | None:
    """The virtual scan in its own units; None where no sensor outside sees the mesh."""
    arguments = {"count": options.points, **CASES[case]}
    try:
        scan = virtual_scan(query.truth, seed=query.seed, **arguments)
    except ValueError as error:
        print(f"{query.name}: {error}")
        return None
    sensor = None if "lost" in case else scan.sensor
    plain = replace(scan, sensor=sensor, normals=scan.normals if options.normals else None)
    return plain.transformed(query.world.inverse())


def evaluate_method(
    space: LatentSpace, candidates: CandidateFields, query: Query, scan: Scan, method: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Figures of one reconstruction against the truth, in its unit frame; seconds without mesh extraction."""
    began = monotonic()
    fit: ScanFit | None = None
    try:
        if method == "poisson":
            mesh = screened_poisson(scan)
            seconds = code_seconds = monotonic() - began
        elif method == "fit":
            fitted = fit_alone(scan, None, FitConfig(minutes=options.minutes, seed=options.seed))
            seconds = code_seconds = monotonic() - began
            mesh = fitted.mesh(options.resolution)
        else:
            pose = POSES[query.pose]
            frame = query.world if pose == "known" else None
            config = ScanFitConfig(pose=pose, up=AXES[up_of(query.name, options)], seed=options.seed)
            refinement = None
            if method == "adam":
                fit = adam_fit_scan(ScanProblem(space, scan, config, frame, candidates), ADAM_STEPS)
                shape = Shape(scan.name or "scan", fit.code, fit.frame, space.decoder)
            else:
                settings = ReconstructConfig(fit=config, frame=frame, refine=method == "tight")
                result = reconstruct(space, scan, config=settings, candidates=candidates)
                fit, shape, refinement = result.fit, result.shape, result.refinement
                if method == "tuned":
                    shape = fine_tune(result, options.minutes, seed=options.seed)
            seconds = monotonic() - began
            code_seconds = seconds - (refinement.seconds if refinement else 0.0)
            mesh = None if options.poses_alone else shape.mesh(options.resolution)
    except ValueError as error:
        return {**NOTHING, "reason": str(error), "seconds": monotonic() - began}
    row = {"seconds": seconds}
    if mesh is not None:
        unit = trimesh.Trimesh(query.world.to_unit(mesh.vertices), mesh.faces, process=False)
        row |= judge_mesh(unit, query.truth, Frame.identity())
    if fit is None:
        return row
    code = Shape("query", fit.code, fit.frame, space.decoder)
    nearest = space[Index(space, metric="code").search(code, k=1)[0].name]
    mesh_axes = Frame(nearest.frame.rotation.T, 1.0, np.zeros(3)) @ fit.frame
    return {
        **row,
        **pose_error(query, mesh_axes),
        "class_right": nearest.class_name == class_of(query.name),
        "surprise": code_zscore(space, fit.code),
        "openness": fit.scan.openness,
        "code_seconds": code_seconds,
    }


LANDED = (5.0, 0.02)
"""Degrees and share of the scale within which a pose is right."""


def pose_error(query: Query, frame: Frame) -> dict[str, Any]:
    """Error of a fitted frame in the axes of the nearest mesh, up to the shape's own symmetries.

    The transform between fitted and true frame should be the identity or a symmetry of the shape. Iterated closest
    points from the transformed shape find the symmetry, if they end on the surface; the angle is what they rotate by.
    """
    between = frame @ query.world.inverse()
    points, _ = surface_samples(query.truth, 1500, 0)
    surface = MeshSDF(query.truth.vertices, query.truth.faces)
    rotation, moved = np.eye(3), points @ between.rotation.T
    for _ in range(60):
        step = Rotation.align_vectors(surface.closest(moved)[2], moved)[0].as_matrix()
        rotation, moved = step @ rotation, moved @ step.T
    residual = float(np.abs(np.linalg.norm(surface.closest(moved)[2] - moved, axis=1)).mean())
    angle = float(np.degrees(Rotation.from_matrix(rotation).magnitude()))
    plain = float(np.degrees(Rotation.from_matrix(between.rotation).magnitude()))
    angle = min(angle, plain) if residual < 0.01 else plain
    growth = abs(float(np.log(between.scale)))
    return {"angle": angle, "growth": growth, "landed": angle < LANDED[0] and growth < LANDED[1]}


if __name__ == "__main__":
    main()
