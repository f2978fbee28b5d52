"""Contact sheets of a space: seen shapes, unseen ones, scans and morphs, with figures under each picture.

    python benchmarks/sheets.py SPACE.h5 MESH_DIR OUT_DIR [--sheets seen unseen scans morphs] [--per-class 2]

MESH_DIR holds meshes that the space knows by name (seen) and others (unseen). Writes to OUT_DIR `seen.png` (true mesh,
its code), `unseen.png` (true mesh, inferred code), `scans.png` (unseen mesh, virtual scan, reconstruction with the
space, solve without it), `morphs.png` (steps between two shapes of a class) and the figures, `figures.json`. The choice
of shapes depends on the names and the seed alone, so sheets of two spaces over the same names compare line by line.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import trimesh
from judging import encode_in_chunks, judge_mesh, read_json, true_mesh, write_json
from PIL import Image, ImageDraw, ImageFont

from latentsdf.core.frame import Frame
from latentsdf.core.names import class_of
from latentsdf.fitting.direct_solve import solve_scan
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.render import render
from latentsdf.mesh.surface_defects import topology
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.scan.virtual import virtual_scan
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load

SHEETS = ("seen", "unseen", "scans", "morphs")
SCANS: dict[str, dict[str, Any]] = {"noise 0.005": {"noise": 0.005}, "one view": {"views": 1}}
"""Arguments of `virtual_scan`; the noise is in the unit frame."""
WIDTH = 1600
"""Pixels of a sheet, about: as many strips stand side by side as fit."""
TEXT = 11
"""Height of a line of text in pixels."""
MARGIN = 1.12
"""Radius of what a picture shows, in radii of the true shape: ghosts stand around it."""


class Cell(NamedTuple):
    """A picture: a mesh, or None, and the lines under it."""

    mesh: trimesh.Trimesh | None
    lines: tuple[str, str]


class Strip(NamedTuple):
    """Pictures of one shape in one frame."""

    cells: list[Cell]
    frame: Frame


def main() -> None:
    """Draw the sheets asked for."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    space, files = load(options.space), dict(find_meshes(options.mesh_dir)[0])
    makers: dict[str, Callable[..., list[Strip]]] = {
        "seen": seen_strips,
        "unseen": unseen_strips,
        "scans": scan_strips,
        "morphs": morph_strips,
    }
    for sheet in options.sheets:
        figures: list[dict[str, Any]] = []
        strips = makers[sheet](space, files, options, figures)
        if strips:
            draw(strips, options.size).save(options.out / f"{sheet}.png")
            print(f"{options.out / f'{sheet}.png'}: {len(strips)} strips", flush=True)
        kept = read_json(options.out / "figures.json", {})
        write_json(options.out / "figures.json", {**kept, sheet: figures})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sheets", nargs="+", choices=SHEETS, default=list(SHEETS))
    parser.add_argument("--per-class", type=int, default=1, help="shapes of a class on a sheet")
    parser.add_argument("--most", type=int, default=48, help="strips on a sheet")
    parser.add_argument("--most-scans", type=int, default=8, help="shapes on the sheet of scans, two scans each")
    parser.add_argument("--steps", type=int, default=6, help="shapes of a morph, both ends included")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--size", type=int, default=192, help="pixels of a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def choose(names: Sequence[str], per_class: int, most: int, seed: int) -> list[str]:
    """A fixed choice of names: up to `per_class` of each class, up to `most` in all, sorted."""
    generator = np.random.default_rng(seed)
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(class_of(name), []).append(name)
    chosen = [group[i] for group in groups.values() for i in generator.permutation(len(group))[:per_class]]
    return sorted(chosen[i] for i in generator.permutation(len(chosen))[:most])


def seen_strips(
    space: LatentSpace, files: dict[str, Path], options: argparse.Namespace, figures: list[dict[str, Any]]
) -> list[Strip]:
    """The true mesh and its stored code, for shapes that the space holds."""
    names = choose([name for name in files if name in space], options.per_class, options.most, options.seed)
    return [
        strip_of(
            name, true_mesh(files[name]), {"code": lambda name=name: space[name].mesh(options.resolution)}, figures
        )
        for name in names
    ]


def unseen_strips(
    space: LatentSpace, files: dict[str, Path], options: argparse.Namespace, figures: list[dict[str, Any]]
) -> list[Strip]:
    """The true mesh and its inferred code, for meshes that the space does not hold."""
    names = choose([name for name in files if name not in space], options.per_class, options.most, options.seed)
    shapes = encode_in_chunks(space, [(name, files[name]) for name in names]).shapes
    return [
        strip_of(
            shape.name,
            true_mesh(files[shape.name]),
            {"inferred code": lambda shape=shape: shape.mesh(options.resolution)},
            figures,
        )
        for shape in shapes
    ]


def scan_strips(
    space: LatentSpace, files: dict[str, Path], options: argparse.Namespace, figures: list[dict[str, Any]]
) -> list[Strip]:
    """The true mesh, its scan, the reconstruction with the space and the solve without it, for unseen meshes."""
    names = choose([name for name in files if name not in space], 1, options.most_scans, options.seed)
    candidates, strips = candidate_fields(space), []
    for name in names:
        truth = true_mesh(files[name])
        size = Frame.around(truth.vertices).scale
        for case, arguments in SCANS.items():
            noise = arguments.get("noise", 0.0) * size
            scan = virtual_scan(truth, **{**arguments, "noise": noise}, seed=options.seed)
            made = {
                "with the space": lambda scan=scan: reconstruct(space, scan, candidates=candidates).mesh(
                    options.resolution
                ),
                "without": lambda scan=scan: solve_scan(scan, seed=options.seed).mesh(options.resolution),
            }
            strip = strip_of(name, truth, made, figures, case)
            points = Cell(dots(scan.points, 0.012 * size), ("", f"scan, {case}"))
            strips.append(Strip([strip.cells[0], points, *strip.cells[1:]], strip.frame))
            print(f"{name}, {case}: {len(strips)} strips", flush=True)
    return strips


def morph_strips(
    space: LatentSpace, files: dict[str, Path], options: argparse.Namespace, figures: list[dict[str, Any]]
) -> list[Strip]:
    """Steps between the codes of two shapes of a class, for each class that has two."""
    strips: list[Strip] = []
    names = choose(list(space), 2, 2 * len(space), options.seed)
    pairs = [(a, b) for a, b in zip(names, names[1:], strict=False) if class_of(a) == class_of(b)]
    for a, b in pairs[: options.most]:
        cells: list[Cell] = []
        for t in np.linspace(0, 1, options.steps):
            made = surface(lambda t=t, a=a, b=b: space.interpolate(a, b, float(t)).mesh(options.resolution))
            pieces = None if made is None else topology(in_unit_frame(made, Frame.around(made.vertices))).components
            figures.append({"name": a, "to": b, "t": float(t), "components": pieces})
            title = {0.0: a, 1.0: b}.get(float(t), "")
            cells.append(Cell(made, (title, f"t {t:.2f}  components {pieces}" if made else "no surface")))
        corners = [cell.mesh.vertices for cell in cells if cell.mesh is not None]
        if corners:
            strips.append(Strip(cells, Frame.around(np.concatenate(corners))))
    return strips


def strip_of(
    name: str,
    truth: trimesh.Trimesh,
    made: dict[str, Callable[[], trimesh.Trimesh]],
    figures: list[dict[str, Any]],
    case: str = "",
) -> Strip:
    """The true mesh and what was made of it, each with its figures, which go to `figures` as well."""
    frame = Frame.around(truth.vertices)
    cells = [Cell(truth, (name, "truth"))]
    for what, make in made.items():
        mesh = surface(make)
        found = {} if mesh is None else judge_mesh(mesh, truth, frame)
        figures.append({"name": name, "what": what, "case": case, **found})
        cells.append(Cell(mesh, captions(what, found)))
    return Strip(cells, Frame(frame.rotation, frame.scale * MARGIN, frame.center))


def captions(what: str, found: dict[str, Any]) -> tuple[str, str]:
    """Two lines: F at 0.005 and normals; ghost and missing area, components and roughness, each of made and true."""
    if not found:
        return what, "no surface"
    components, rough = (f"{found[key]:.0f}/{found[f'{key}_true']:.0f}" for key in ("components", "roughness"))
    return (
        f"{what}   F.005 {found['f_0.005']:.2f}   N {found['normal_consistency']:.2f}",
        f"g {found['ghost_area']:.1%}   m {found['missing_area']:.1%}   c {components}   r {rough}",
    )


def surface(make: Callable[[], trimesh.Trimesh]) -> trimesh.Trimesh | None:
    """The mesh, None where there is no surface."""
    try:
        return make()
    except ValueError as error:
        print(error, flush=True)
        return None


def in_unit_frame(mesh: trimesh.Trimesh, frame: Frame) -> trimesh.Trimesh:
    """The mesh with its vertices in the unit frame."""
    return trimesh.Trimesh(frame.to_unit(mesh.vertices), mesh.faces, process=False)


def dots(points: np.ndarray, radius: float) -> trimesh.Trimesh:
    """An octahedron at each of points (N, 3)."""
    ball = trimesh.creation.icosphere(subdivisions=0, radius=radius)
    vertices = (points[:, None] + ball.vertices).reshape(-1, 3)
    faces = np.arange(len(points))[:, None, None] * len(ball.vertices) + ball.faces
    return trimesh.Trimesh(vertices, faces.reshape(-1, 3), process=False)


def draw(strips: Sequence[Strip], size: int) -> Image.Image:
    """The strips, side by side while they fit, with the lines of each cell under its picture."""
    length = max(len(strip.cells) for strip in strips)
    across = min(len(strips), max(1, WIDTH // (length * size)))
    high, gap = size + 2 * TEXT + 6, 12
    rows = -(-len(strips) // across)
    sheet = Image.new("RGB", (across * (length * size + gap), rows * high), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=TEXT - 1)
    for number, strip in enumerate(strips):
        left, top = number % across * (length * size + gap), number // across * high
        for i, cell in enumerate(strip.cells):
            x = left + i * size
            if cell.mesh is not None:
                sheet.paste(Image.fromarray(render(cell.mesh, size, frame=strip.frame)), (x, top))
            for line, text in enumerate(cell.lines):
                pen.text((x + 4, top + size + line * TEXT), text, fill="black", font=font)
    return sheet


if __name__ == "__main__":
    main()
