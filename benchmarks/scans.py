"""Scans x presets at equal wall-clock time, beside the SSD solver, screened Poisson, and reconstruction by a space.

    python benchmarks/scans.py SCANS_DIR OUT.json --minutes 2 10 --preset igr digs --network fast paper
    python benchmarks/scans.py SCANS_DIR OUT.json --poisson 7 8        # PyMeshLab; its rows alone, or with --preset
    python benchmarks/scans.py SCANS_DIR OUT.json --solve 128 256      # `latentsdf.solver` by number of cells, likewise
    python benchmarks/scans.py SCANS_DIR OUT.json --alone              # as `reconstruct` without a space
    python benchmarks/scans.py SCANS_DIR OUT.json --space SPACE.h5 --tuned 1   # code + solve; code + minutes of descent
    python benchmarks/scans.py SCANS_DIR OUT.json --table              # the rows so far, as Markdown

SCANS_DIR holds a folder for each shape with `scan*.ply` and the ground truth: the first of `gt.ply`, `cad_aligned.ply`
and `poisson_reference.ply`. Each scan is fitted with its normals and without. One row for each (scan, normals, method,
network, minutes) is written to OUT.json as soon as it is computed; rows that exist are not computed again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import torch
import trimesh
from fine_tuning import fine_tune
from judging import read_json, write_json
from poisson import screened_poisson
from scans_table import KEYS, table

from latentsdf import extract_mesh
from latentsdf.core.field import Jet
from latentsdf.fitting.descent import FitConfig, fit
from latentsdf.fitting.direct_solve import solve_scan
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.reconstruction.reconstruction import ReconstructConfig, reconstruct
from latentsdf.regularizers import PRESETS, preset
from latentsdf.scan.scan import Scan
from latentsdf.solver import SolveConfig, solve
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

TRUTHS = ("gt.ply", "cad_aligned.ply", "poisson_reference.ply")
NO_SURFACE = {
    "chamfer_l1": 1.0,
    "hausdorff": 2.0,
    "f_0.01": 0.0,
    "f_0.005": 0.0,
    "normal_consistency": 0.0,
    "ghost_area": 1.0,
    "missing_area": 1.0,
}
"""Figures of a fit without a surface: counted as a failure, never left out."""


class Item(NamedTuple):
    """A scan with or without its normals, and the ground truth; `pseudo` where that is a reconstruction itself."""

    name: str
    scan: Scan
    truth: trimesh.Trimesh
    pseudo: bool


def main() -> None:
    """Fit, compare with the ground truth, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.table:
        for item in items(options):
            for row in missing_rows(item, options):
                write_json(options.out, [*read_json(options.out, []), row])
                print({key: row[key] for key in (*KEYS, "f_0.01", "chamfer_l1", "seconds")}, flush=True)
    print(table(options.out))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0, 10.0])
    parser.add_argument("--preset", nargs="*", default=None, help="names; default: all, or none beside another method")
    parser.add_argument("--network", nargs="+", default=["fast"])
    parser.add_argument("--start", choices=["rough", "ball"], default="rough", help="of the fast network")
    parser.add_argument("--space", type=Path, help="a space whose codes are fitted to the scans and refined")
    parser.add_argument("--tuned", nargs="*", type=float, default=[], help="minutes of descent, with --space")
    parser.add_argument("--only", default="", help="only scans whose name contains this text")
    parser.add_argument("--normals", choices=["both", "given", "none"], default="both")
    parser.add_argument("--poisson", nargs="*", type=int, default=[], help="octree depths")
    parser.add_argument("--solve", nargs="*", type=int, default=[], help="cells per axis")
    parser.add_argument("--alone", action="store_true", help="`solve_scan` as `reconstruct` without a space calls it")
    parser.add_argument("--robust", default="none", help="reliability weights of --solve")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.preset is None:
        options.preset = [] if options.poisson or options.solve or options.space else list(PRESETS)
    return options


def items(options: argparse.Namespace) -> Iterator[Item]:
    """The selected scans, with their normals and without."""
    for path in sorted(options.scans.glob("*/scan*.ply")):
        name = f"{path.parent.name}/{path.stem}"
        truths = [path.parent / file for file in TRUTHS if (path.parent / file).exists()]
        if options.only not in name or not truths:
            continue
        truth, scan = load_mesh(truths[0]), Scan.load(path)
        if scan.normals is not None and options.normals != "none":
            yield Item(name, scan, truth, truths[0].name == TRUTHS[-1])
        if options.normals != "given":
            yield Item(name, Scan(scan.points, name=scan.name), truth, truths[0].name == TRUTHS[-1])


def missing_rows(item: Item, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of an item that the output file lacks."""
    given = item.scan.normals is not None
    done = {tuple(row[key] for key in KEYS) for row in read_json(options.out, [])}
    # Without normals two presets may be equal; both get rows.
    for name, network, minutes in product(options.preset, options.network, options.minutes):
        if given and "normals" not in {term.name for term in preset(name)} and options.normals == "both":
            continue  # its rows without normals are the same
        label = network if network != "fast" or options.start == "rough" else "fast from a ball"
        if (item.name, given, name, label, minutes) not in done:
            config = FitConfig(network=network, minutes=minutes, seed=options.seed, start=options.start)
            yield {
                **dict(zip(KEYS, (item.name, given, name, label, minutes), strict=True)),
                **fitted(item, config, name, options),
            }
    for minutes in (0.0, *options.tuned) if options.space else ():
        key = (item.name, given, "code + descent" if minutes else "code + solve", options.space.stem, minutes)
        if key not in done:
            figures = by_space(item, load(options.space), minutes, options.seed)
            yield {**dict(zip(KEYS, key, strict=True)), **figures}
    if options.alone:
        key = (item.name, given, "solve", "cells by density and noise", 0)
        if key not in done:
            yield {**dict(zip(KEYS, key, strict=True)), **solved_alone(item, options)}
    for depth in options.poisson:
        key = (item.name, given, "poisson", f"depth {depth}", 0)
        if key not in done:
            yield {**dict(zip(KEYS, key, strict=True)), **poisson(item, depth)}
    for cells in options.solve:
        label = "solve" if options.robust == "none" else f"solve, {options.robust}"
        key = (item.name, given, label, f"{cells} cells", 0)
        if key not in done:
            config = SolveConfig(resolution=cells, robust=options.robust)
            yield {**dict(zip(KEYS, key, strict=True)), **solved(item, config)}


def fitted(item: Item, config: FitConfig, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of one fit."""
    began = monotonic()
    found = fit(item.scan, name, config)
    fit_seconds = monotonic() - began
    try:
        mesh = found.mesh(options.resolution)
    except ValueError as error:
        mesh = None
        print(f"{item.name} {name}: {error}")
    seconds = monotonic() - began
    points = 2 * torch.rand(20_000, 3, generator=torch.Generator().manual_seed(1)) - 1
    slopes = torch.cat([Jet(found.sdf, part).gradient.detach().norm(dim=-1) for part in points.split(5000)])
    about = {
        "eikonal_error": float((slopes - 1).abs().mean()),
        "seconds": seconds,
        "fit_seconds": fit_seconds,
        "steps": found.steps,
        "stop": found.stop.value,
        "notes": list(found.notes),
        "threads": torch.get_num_threads(),
        "resolution": options.resolution,
    }
    return {**judged(mesh, item), **about}


def by_space(item: Item, space: LatentSpace, minutes: float, seed: int) -> dict[str, Any]:
    """Figures of a code refined by a solve, or, with minutes, fine-tuned by descent; unseen shapes in any pose."""
    began = monotonic()
    found = reconstruct(space, item.scan, config=ReconstructConfig(refine=not minutes))
    code_seconds = monotonic() - began - (found.refinement.seconds if found.refinement else 0.0)
    shape = fine_tune(found, minutes, seed=seed) if minutes else found.shape
    fit_seconds = monotonic() - began
    try:
        mesh = shape.mesh(128)
    except ValueError as error:
        mesh = None
        print(f"{item.name}: {error}")
    about = {"seconds": monotonic() - began, "fit_seconds": fit_seconds, "code_seconds": code_seconds}
    return {**judged(mesh, item), "eikonal_error": None, "notes": list(found.notes), **about}


def solved(item: Item, config: SolveConfig) -> dict[str, Any]:
    """Figures of the solver, meshed at its own resolution, in the default frame of the scan."""
    began = monotonic()
    frame = item.scan.frame()
    solution = solve(item.scan.transformed(frame), config=config)
    fit_seconds = monotonic() - began
    unit_mesh = extract_mesh(solution.sdf, resolution=config.resolution)
    vertices = frame.inverse().to_unit(unit_mesh.vertices)
    mesh = trimesh.Trimesh(vertices, unit_mesh.faces, process=False)
    about = {"seconds": monotonic() - began, "fit_seconds": fit_seconds, "unknowns": solution.unknowns}
    return {**judged(mesh, item), "eikonal_error": None, **about}


def solved_alone(item: Item, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of the solve that chooses its cells and its smoothness by itself."""
    began = monotonic()
    found = solve_scan(item.scan, seed=options.seed)
    fit_seconds = monotonic() - began
    mesh = found.mesh(options.resolution)
    about = {"seconds": monotonic() - began, "fit_seconds": fit_seconds, "notes": list(found.notes)}
    return {**judged(mesh, item), "eikonal_error": None, **about}


def poisson(item: Item, depth: int) -> dict[str, Any]:
    """Figures of screened Poisson reconstruction, with the scan's normals or PyMeshLab's own."""
    began = monotonic()
    mesh = screened_poisson(item.scan, depth)
    return {**judged(mesh, item), "eikonal_error": None, "seconds": monotonic() - began}


def judged(mesh: trimesh.Trimesh | None, item: Item) -> dict[str, Any]:
    """Figures of a mesh against the ground truth, by the protocol of `latentsdf.mesh.metrics.compare`."""
    if mesh is None or not len(mesh.faces):
        return {**NO_SURFACE, "pseudo_truth": item.pseudo}
    return {**compare(mesh, item.truth).to_dict(), "pseudo_truth": item.pseudo}


if __name__ == "__main__":
    main()
