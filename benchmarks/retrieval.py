"""Retrieval by class and by instance on folders of meshes: search records and the classical descriptors.

    python benchmarks/retrieval.py OUT.json MESH_DIR... [--case "whole" "one view" ...] [--pose random canonical]
    python benchmarks/retrieval.py OUT.json --table [--classes psb_ant psb_bird ...]

Stored items are the whole meshes in their own pose. A query is the same mesh in the case and pose of the row: by class
it leaves its own mesh out, by instance it should find it. A row holds the figures of one descriptor; the descriptors of
each shape are kept beside OUT.json, so that an interrupted run goes on. Normals of scans are estimated as `search`
does, from the points and, for views, their sensor; with `--true-normals` they are those of the mesh.

Descriptors: `record`, of whole shapes; `views`, the nearer of the record of the whole shape and those of its views;
stored ones are compact, as in a space;
`harmonics`, energies of the surface on 32 shells to degree 15 (Kazhdan, Funkhouser and Rusinkiewicz 2003); `d2`,
distances of random pairs (Osada et al. 2002); `box`, ratios of the extents along the principal axes. `--space` adds
`code`, Euclidean distance of the codes, for stored names and whole meshes.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh
from judging import read_json, true_mesh, write_json
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from latentsdf.core.frame import Frame
from latentsdf.core.names import class_of
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.record import POINTS, RECORD_BYTES, record_distances, record_of_points
from latentsdf.mesh.search_record import search_record, unit_views, whole_part
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.mesh.view_records import leading_numbers
from latentsdf.scan.scan import Scan
from latentsdf.scan.scan_record import record_of_scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.retrieval import retrieval_scores
from latentsdf.space.store import load

Values = NDArray[Any]
CASES: dict[str, dict[str, Any]] = {
    "whole": {},
    "noise .005": {"noise": 0.005},
    "noise .02": {"noise": 0.02},
    "500 points": {"count": 500},
    "two views": {"views": 2, "noise": 0.001},
    "one view": {"views": 1, "noise": 0.001},
    "one view, unknown sensor": {"views": 1, "noise": 0.001},
}
"""Arguments of `virtual_scan`, lengths in the unit frame; `whole` samples the surface with another seed."""
SHELLS, DEGREES, DIRECTIONS = 32, 16, 2000
"""Shells, degrees and directions of the harmonics."""


def main() -> None:
    """Describe, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("mesh_dirs", type=Path, nargs="*")
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--pose", nargs="+", choices=("canonical", "random"), default=["canonical", "random"])
    parser.add_argument("--true-normals", action="store_true", help="give scans the normals of their meshes")
    parser.add_argument("--space", type=Path, help="for the distance of codes")
    parser.add_argument("--classes", nargs="+", help="score these alone")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        rows = read_json(options.out, [])
        for row in scored(options):
            key = (row["case"], row["pose"], row["descriptor"], row["classes"])
            rows = [old for old in rows if (old["case"], old["pose"], old["descriptor"], old["classes"]) != key]
            rows.append(row)
            write_json(options.out, rows)
    print(table(read_json(options.out, [])))


def scored(options: argparse.Namespace):
    """Rows of all cases, poses and descriptors."""
    files = sorted((name, path) for folder in options.mesh_dirs for name, path in find_meshes(folder)[0])
    files = [file for file in files if not options.classes or class_of(file[0]) in options.classes]
    kept = options.out.with_suffix(".descriptors")
    kept.mkdir(parents=True, exist_ok=True)
    stored = described(files, "stored", "canonical", kept, False)
    names, classes = [name for name, _ in files], "all" if not options.classes else " ".join(sorted(options.classes))
    for case in options.case:
        for pose in options.pose:
            queries = described(files, case, pose, kept, options.true_normals)
            for descriptor, (asked_by, found_by, distance) in DISTANCES.items():
                known = [row for row, item in enumerate(queries) if item is not None]
                asked = np.stack([queries[row][asked_by] for row in known])
                distances = distance(asked, np.stack([item[found_by] for item in stored]))
                seconds = float(np.median([queries[row][f"seconds {asked_by}"] for row in known]))
                label = f"{case}, true normals" if options.true_normals else case
                base = {"case": label, "pose": pose, "descriptor": descriptor, "classes": classes}
                yield {**base, "milliseconds": round(1000 * seconds, 1), **figures(distances, known, names)}
    if options.space:
        space = load(options.space)
        names = [name for name in names if name in space]
        codes = torch.stack([space[name].code for name in names]).numpy()
        row = {"case": "whole", "pose": "canonical", "descriptor": "code", "classes": classes, "milliseconds": 0.0}
        yield {**row, **figures(cdist(codes, codes), list(range(len(names))), names)}


def figures(distances: Values, rows: list[int], names: list[str]) -> dict[str, Any]:
    """Scores by class without the own mesh, and recall of the own mesh; query i is the mesh of row rows[i]."""
    labels = [class_of(name) for name in names]
    own = np.arange(len(rows)), np.array(rows)
    rank = (distances < distances[own][:, None]).sum(1)
    others = np.array(distances)
    others[own] = np.inf
    scores = retrieval_scores(others, [labels[row] for row in rows], labels)
    order = np.argsort(others, axis=1, kind="stable")
    right = np.array(labels)[order] == np.array([labels[row] for row in rows])[:, None]
    right &= np.isfinite(np.take_along_axis(others, order, 1))
    sizes = np.array([labels.count(labels[row]) - 1 for row in rows])
    second = [right[i, : 2 * size].sum() / size for i, size in enumerate(sizes) if size]
    values = {
        "nearest_neighbour": scores.nearest_neighbour,
        "first_tier": scores.first_tier,
        "second_tier": float(np.mean(second)),
        "map": scores.mean_average_precision,
        "top_5": float(right[sizes > 0, :5].any(1).mean()),
        "recall_1": float((rank < 1).mean()),
        "recall_5": float((rank < 5).mean()),
    }
    return {"queries": len(rows), **{key: round(value, 4) for key, value in values.items()}}


def described(files: list[tuple[str, Path]], case: str, pose: str, kept: Path, true_normals: bool) -> list[Any]:
    """Descriptors of each shape, from the folder where it has them; None where no sensor outside sees the mesh."""
    items = []
    for name, path in files:
        label = f"{name} {case} {pose}{' true' if true_normals else ''}"
        file = kept / f"{label}.npz".replace("/", "__").replace(" ", "_")
        if not file.exists():
            mesh = true_mesh(path)
            mesh = trimesh.Trimesh(Frame.around(mesh.vertices).to_unit(mesh.vertices), mesh.faces, process=False)
            scan = scanned(mesh, case, pose, zlib.crc32(f"{name} {case} {pose}".encode()))
            if scan is not None and case in CASES and case != "whole" and not true_normals:
                scan = replace(scan, normals=None, sensor=None if "unknown" in case else scan.sensor)
            values = {} if scan is None else descriptors(scan)
            if case == "stored":
                values["search"] = search_record(mesh)
            np.savez(file, **values)
            print(file.name, flush=True)
        with np.load(file) as stored:
            items.append({key: stored[key] for key in stored.files} or None)
    return items


def scanned(mesh: trimesh.Trimesh, case: str, pose: str, seed: int) -> Scan | None:
    """Points of one item with true normals, and their sensor; None where no sensor outside sees the mesh."""
    if case in ("stored", "whole"):
        scan = Scan(*surface_samples(mesh, POINTS, seed))
    else:
        try:
            scan = virtual_scan(mesh, **{"count": POINTS, **CASES[case]}, seed=seed)
        except ValueError:
            return None
    if pose == "canonical":
        return scan
    return scan.transformed(Frame(Rotation.random(rng=np.random.default_rng(seed)).as_matrix(), 1.0, np.zeros(3)))


def descriptors(scan: Scan) -> dict[str, Any]:
    """All descriptors of one item, and the seconds of each."""
    values: dict[str, Any] = {}
    for key, describe in DESCRIPTORS.items():
        began = monotonic()
        values[key] = np.asarray(describe(scan))
        values[f"seconds {key}"] = np.array(monotonic() - began)
    return values


def record(scan: Scan) -> Values:
    """The search record (128,) that `search` compares."""
    if scan.normals is None:
        return record_of_scan(scan)
    return record_of_points(scan.points, scan.normals)


def harmonics(scan: Scan) -> Values:
    """Energies (SHELLS * DEGREES,) of the surface on shells; twice the mean distance from the centroid is the last."""
    points = scan.points
    offsets = points - points.mean(0)
    radius = np.linalg.norm(offsets, axis=1)
    tree, basis, degrees = sphere()
    nearest = tree.query(offsets / np.maximum(radius, 1e-12)[:, None])[1]
    shell = np.minimum((radius / (2 * radius.mean()) * SHELLS).astype(int), SHELLS - 1)
    density = np.zeros((SHELLS, DIRECTIONS))
    np.add.at(density, (shell, nearest), 1 / len(points))
    return np.sqrt(np.square(density @ basis) @ degrees).ravel()


@cache
def sphere() -> tuple[KDTree, Values, Values]:
    """Directions, real harmonics at them (DIRECTIONS, H), and the degree of each as an indicator (H, DEGREES)."""
    number = np.arange(DIRECTIONS) + 0.5
    height, turn = 1 - 2 * number / DIRECTIONS, np.pi * (1 + 5**0.5) * number
    flat = np.sqrt(1 - height**2)
    columns, degrees = [], []
    for degree in range(DEGREES):
        for order in range(degree + 1):
            values = sph_harm_y(degree, order, np.arccos(height), turn)
            parts = [values.real] if order == 0 else [2**0.5 * values.real, 2**0.5 * values.imag]
            columns, degrees = columns + parts, degrees + [degree] * len(parts)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
    return KDTree(directions), np.stack(columns, 1), np.eye(DEGREES)[degrees]


def pair_distances(scan: Scan) -> Values:
    """Shares (64,) of the distances of random pairs, in units of three mean distances."""
    points = scan.points
    first, second = np.random.default_rng(0).integers(0, len(points), (2, 100_000))
    lengths = np.linalg.norm(points[first] - points[second], axis=1)
    return np.histogram(lengths / lengths.mean(), 64, (0, 3))[0] / len(lengths)


def box_ratios(scan: Scan) -> Values:
    """Logarithms (2,) of the ratios of the extents along the principal axes to the longest."""
    points = scan.points
    axes = np.linalg.svd(points - points.mean(0), full_matrices=False)[2]
    extents = np.sort(np.ptp(points @ axes.T, axis=0))
    return np.log(np.maximum(extents[:2], 1e-9) / extents[2])


def cityblock(queries: Values, stored: Values) -> Values:
    """Sums of absolute differences (Q, S): on every descriptor here better than Euclidean distances."""
    return cdist(queries, stored, "cityblock")


def whole_distances(queries: Values, stored: Values) -> Values:
    """Distances (Q, S) of records (Q, 128) to the whole shapes of search records (S, 704)."""
    return record_distances(queries, stored[:, :RECORD_BYTES])


def view_distances(queries: Values, stored: Values) -> Values:
    """Distances (Q, S) of records (Q, 128) to search records (S, 704): to the nearest of the whole and its views."""
    asked = leading_numbers(queries)
    columns = [np.vstack([leading_numbers(whole_part(item)), unit_views(item)]) for item in stored]
    return np.stack([cdist(asked, column).min(1) for column in columns], 1)


DESCRIPTORS: dict[str, Callable[[Scan], Values]] = {
    "record": record,
    "harmonics": harmonics,
    "d2": pair_distances,
    "box": box_ratios,
}
DISTANCES: dict[str, tuple[str, str, Callable[[Values, Values], Values]]] = {
    "record": ("record", "search", whole_distances),
    "views": ("record", "search", view_distances),
    "harmonics": ("harmonics", "harmonics", cityblock),
    "d2": ("d2", "d2", cityblock),
    "box": ("box", "box", cityblock),
}
"""Of each descriptor: what of the query and of a stored shape is compared, and how."""


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    keys = ("nearest_neighbour", "first_tier", "second_tier", "map", "top_5", "recall_1", "recall_5")
    lines = [
        "| classes | case | pose | descriptor | queries | NN | first tier | second tier | mAP | top 5 "
        "| instance at 1 | at 5 | ms |",
        "|" + "---|" * 13,
    ]
    for row in rows:
        cells = [row["classes"][:40], row["case"], row["pose"], row["descriptor"], str(row["queries"])]
        cells += [f"{row[key]:.3f}" for key in keys] + [f"{row['milliseconds']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
