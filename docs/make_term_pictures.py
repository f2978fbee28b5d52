"""Draw the pictures of `docs/choosing_terms.md`: `python docs/make_term_pictures.py [CASE ...] [--steps 150]`.

Each is a row: a virtual scan of a generated shape, surfaces that objectives make of it, with their figures, and
the shape. Half a minute of one core a case.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh
from PIL import Image

from latentsdf.core.frame import Frame
from latentsdf.dataset.synthetic import write_families
from latentsdf.fitting.descent import FitConfig, fit
from latentsdf.fitting.direct_solve import solve_scan
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.mesh.render import framed
from latentsdf.plot.sheet import ALBEDOS, ORIGINAL, Cell, draw_sheet
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.regularizers.presets import Terms
from latentsdf.regularizers.term import Term
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.solver.galerkin import SolveConfig
from latentsdf.space.store import load

FOLDER = Path(__file__).parent
SPACE = FOLDER.parent / "checkpoints" / "families.h5"
SIZE, RESOLUTION = 200, 112
BOTH = ("surface", "space")
POINTS = (Term(name="surface", weight=3000), Term(name="off_surface", weight=100))
SLOPE = Term(name="eikonal", weight=50, on=BOTH)


class Case(NamedTuple):
    """One look of a bad surface.

    Attributes:
        family, seed: of the generated shape.
        scan: of the shape in its unit frame.
        ways: surfaces by their captions: an objective, or a function of the scan.
    """

    family: str
    seed: int
    scan: Callable[[trimesh.Trimesh], Scan]
    ways: dict[str, Terms | Callable[[Scan], trimesh.Trimesh]]


def bare(mesh: trimesh.Trimesh, count: int, noise: float, outliers: float = 0.0) -> Scan:
    """A scan of all sides, without normals."""
    return Scan(virtual_scan(mesh, count=count, noise=noise, outliers=outliers, seed=1).points)


def one_view(mesh: trimesh.Trimesh) -> Scan:
    """A scan from one position, without normals."""
    scan = virtual_scan(mesh, count=3000, noise=0.004, views=1, seed=4)
    return Scan(scan.points, sensor=scan.sensor)


def flipped(mesh: trimesh.Trimesh) -> Scan:
    """A scan with normals, three in ten of which point to the wrong side."""
    scan = virtual_scan(mesh, count=6000, noise=0.003, seed=1)
    assert scan.normals is not None
    wrong = np.random.default_rng(0).random(len(scan)) < 0.3
    return Scan(scan.points, np.where(wrong[:, None], -scan.normals, scan.normals))


def solved(config: SolveConfig | None = None) -> Callable[[Scan], trimesh.Trimesh]:
    """The surface of the linear solve."""
    return lambda scan: solve_scan(scan, config).mesh(RESOLUTION)


def guided(scan: Scan) -> trimesh.Trimesh:
    """The surface that the small space makes of the scan."""
    return reconstruct(load(SPACE), scan).mesh(RESOLUTION)


def with_normals(form: str) -> tuple[Term, ...]:
    """Points, slope and normals."""
    return (*POINTS, SLOPE, Term(name="normals", weight=100, knobs={"form": form}))


CASES = {
    "spikes": Case(
        "airplane",
        0,
        lambda mesh: bare(mesh, 6000, 0.012),
        {
            "points alone": POINTS,
            "+ eikonal": (*POINTS, SLOPE),
            "+ divergence (digs)": "digs",
            "level set alignment": "neural-pull+lsa",
            "linear solve": solved(),
        },
    ),
    "thin": Case(
        "table",
        0,
        lambda mesh: bare(mesh, 3000, 0.002),
        {
            "linear solve": solved(),
            "points, eikonal": (*POINTS, SLOPE),
            "+ divergence (digs)": "digs",
        },
    ),
    "flipped": Case(
        "mug",
        0,
        flipped,
        {
            "linear solve": solved(),
            "normals, signed": with_normals("cosine"),
            "normals, unsigned": with_normals("unsigned"),
            "without normals": lambda scan: solve_scan(Scan(scan.points)).mesh(RESOLUTION),
        },
    ),
    "outliers": Case(
        "stool",
        0,
        lambda mesh: bare(mesh, 6000, 0.003, outliers=0.1),
        {
            "every point trusted": solved(SolveConfig(resolution=128, robust="none")),
            "robust residuals": solved(SolveConfig(resolution=128, robust="welsch")),
            "as by default": solved(),
        },
    ),
    "half": Case(
        "mug",
        11,
        one_view,
        {"linear solve": solved(), "with a space": guided},
    ),
}


def main() -> None:
    """Draw the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--steps", type=int, default=150, help="of each fit by descent")
    options = parser.parse_args()
    for name in options.cases or CASES:
        draw(CASES[name], options.steps, FOLDER / f"terms_{name}.png")


def draw(case: Case, steps: int, target: Path) -> None:
    """Draw one row."""
    with tempfile.TemporaryDirectory() as place:
        truth = load_mesh(write_families(place, 1, case.seed, 112, families=(case.family,))[0])
    unit = Frame.around(truth.vertices)
    truth.vertices = unit.to_unit(np.asarray(truth.vertices))
    scan, frame = case.scan(truth), framed(np.asarray(truth.vertices))
    cells = [Cell(dots(scan), (f"{len(scan):,} points",), ALBEDOS[1], frame)]
    for caption, way in case.ways.items():
        surface = way(scan) if callable(way) else fit(scan, way, FitConfig(steps=steps)).mesh(RESOLUTION)
        found = compare(surface, truth, samples=10_000, frame=Frame.identity()).to_dict()
        figures = f"F {found['f_0.01']:.2f}, normals {found['normal_consistency']:.2f}"
        defects = f"ghosts {found['ghost_area']:.0%}, pieces {found['components']}"
        sys.stdout.write(f"{target.stem}  {caption:22s} {figures}, {defects}\n")
        sys.stdout.flush()
        cells.append(Cell(surface, (caption, figures, defects), ALBEDOS[0], frame))
    cells.append(Cell(truth, ("the shape",), ORIGINAL, frame))
    draw_sheet(cells, len(cells), SIZE).quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


def dots(scan: Scan, radius: float = 0.009) -> trimesh.Trimesh:
    """The points of a scan as small icosahedra."""
    ball = trimesh.creation.icosphere(subdivisions=0, radius=radius)
    vertices = (np.asarray(scan.points)[:, None] + ball.vertices).reshape(-1, 3)
    faces = (12 * np.arange(len(scan))[:, None, None] + ball.faces).reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces, process=False)


if __name__ == "__main__":
    main()
