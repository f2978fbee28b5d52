"""Write machine parts: screws, nuts, bearings, gears, sprockets and flanges of standard and random sizes.

    python datasets/hardware.py OUT_DIR [--count 350] [--seed 0] [--leave-out FILE]

Parts stand on their own axis, z, as the generator places them, in millimetres; screws have no thread. A name in the
leave-out file excludes the whole size: `HexHeadScrew_iso4014_M16-2_L37` excludes that screw at every length, and
`SpurGear_m3_z26_t13.8_b14.8` that gear at every thickness and bore.

Needs: `pip install bd_warehouse==0.4.0 build123d==0.13.0 manifold3d`.
Licence: the generator is Apache-2.0, its output belongs to the user.
Writes: OUT_DIR/hw_{screw,nut,bearing,gear,sprocket,flange}/<name>.ply and OUT_DIR/hardware.csv.
"""

from __future__ import annotations

import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from common import is_closed, leave, names_in, need, options_parser, show, union, write_mesh, write_table

INSTALL = "pip install bd_warehouse==0.4.0 build123d==0.13.0 manifold3d"

SHARES = {"screw": 0.31, "nut": 0.17, "bearing": 0.15, "gear": 0.17, "sprocket": 0.09, "flange": 0.11}

SCREWS = (
    *("ButtonHeadScrew", "ButtonHeadWithCollarScrew", "CheeseHeadScrew", "CounterSunkScrew", "HexHeadScrew"),
    *("HexHeadWithFlangeScrew", "PanHeadScrew", "PanHeadWithCollarScrew", "RaisedCheeseHeadScrew"),
    *("RaisedCounterSunkOvalHeadScrew", "SetScrew", "SocketHeadCapScrew", "LowProfileScrew"),
)
NUTS = ("DomedCapNut", "HeatSetNut", "HexNut", "HexNutWithFlange", "UnchamferedHexagonNut", "SquareNut")
BEARINGS = (
    *("SingleRowDeepGrooveBallBearing", "SingleRowCappedDeepGrooveBallBearing"),
    *("SingleRowAngularContactBallBearing", "SingleRowCylindricalRollerBearing", "SingleRowTaperedRollerBearing"),
)
FLANGES = ("BlindFlange", "LappedFlange", "SlipOnFlange", "WeldNeckFlange")

Draw = tuple[str, str, Callable[[], Any]]
"""Key of a part in the leave-out file, its name, and its builder."""


def slug(text: str) -> str:
    """Replace characters that file names cannot hold."""
    return text.replace("/", "-").replace(" ", "")


def part(module: Any, kinds: Sequence[str], rng: np.random.Generator) -> tuple[Any, str, str, str]:
    """Draw a kind, a standard and a size, and join the three to a file name."""
    kind = getattr(module, str(rng.choice(kinds)))
    standard = str(rng.choice(sorted(kind.types())))
    size = str(rng.choice(sorted(kind.sizes(standard))))
    return kind, standard, size, slug(f"{kind.__name__}_{standard}_{size}")


def screws(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Random sizes of random types, lengths of 1.5 to 6 diameters."""
    while True:
        kind, standard, size, key = part(module, SCREWS, rng)
        try:
            diameter = float(size[1:].split("-")[0]) if size.startswith("M") else 6.0
        except ValueError:
            continue
        length = max(4, round(diameter * rng.uniform(1.5, 6.0)))
        yield key, f"{key}_L{length}", lambda k=kind, a=(size, length, standard): k(*a, simple=True)


def nuts(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Random sizes of random types."""
    while True:
        kind, standard, size, key = part(module, NUTS, rng)
        yield key, key, lambda k=kind, a=(size, standard): k(*a, simple=True)


def bearings(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Random sizes of random types."""
    while True:
        kind, standard, size, key = part(module, BEARINGS, rng)
        yield key, key, lambda k=kind, a=(size, standard): k(*a)


def gears(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Spur and helical gears of random teeth, thickness and bore."""
    build = need("hardware", "build123d", INSTALL)
    while True:
        size, teeth = float(rng.choice([1, 1.5, 2, 2.5, 3])), int(rng.integers(11, 46))
        helical = rng.random() < 0.35
        thickness = round(size * rng.uniform(1.5, 8.0), 1)
        bore = round(size * teeth * rng.uniform(0.1, 0.45), 1)
        angle = float(round(rng.uniform(10.0, 30.0)))

        def make(s: float = size, z: int = teeth, t: float = thickness, b: float = bore, a: float | None = None) -> Any:
            body = module.SpurGear(s, z, 20, t) if a is None else module.HelicalGear(s, z, 20, a, t)
            return body - build.Cylinder(b / 2, 4 * t)

        key = f"{'Helical' if helical else 'Spur'}Gear_m{size:g}_z{teeth}"
        yield key, f"{key}_t{thickness}_b{bore}", (lambda m=make, a=angle: m(a=a)) if helical else make


def sprockets(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Sprockets with a bore and, in some cases, a ring of bolt holes."""
    while True:
        teeth, pitch = int(rng.integers(10, 50)), float(rng.choice([6.35, 9.525, 12.7, 15.875]))
        radius, thickness = teeth * pitch / (2 * np.pi), round(pitch * rng.uniform(0.17, 0.6), 1)
        bore, bolts = round(radius * rng.uniform(0.2, 0.6), 1), int(rng.choice([0, 0, 4, 5, 6]))
        values = {"num_teeth": teeth, "chain_pitch": pitch, "roller_diameter": 0.625 * pitch, "thickness": thickness}
        values |= {"bore_diameter": bore}
        if bolts:
            circle = bore + 0.45 * (2 * radius - bore)
            hole = min(0.2 * radius, 0.5 * (circle - bore))
            values |= {"num_mount_bolts": bolts, "bolt_circle_diameter": circle, "mount_bolt_diameter": hole}
        key = f"Sprocket_p{pitch:g}_z{teeth}"
        yield key, f"{key}_t{thickness}_b{bore}_n{bolts}", lambda v=values: module.Sprocket(**v)


def flanges(module: Any, rng: np.random.Generator) -> Iterator[Draw]:
    """Pipe flanges of random nominal size and pressure class."""
    while True:
        kind = getattr(module, str(rng.choice(FLANGES)))
        size, rating = (str(rng.choice(typing.get_args(a))) for a in (module.Nps, module.FlangeClass))
        key = slug(f"{kind.__name__}_nps{size}_class{rating}")
        values: dict[str, Any] = {"nps": size, "flange_class": int(rating) if rating.isdigit() else rating}
        yield key, key, lambda k=kind, v=values: k(**v)


SOURCES = {
    "screw": ("fastener", screws),
    "nut": ("fastener", nuts),
    "bearing": ("bearing", bearings),
    "gear": ("gear", gears),
    "sprocket": ("sprocket", sprockets),
    "flange": ("flange", flanges),
}


def tessellate(shape: Any, share: float, angle: float) -> trimesh.Trimesh:
    """One closed mesh of a shape: its own if that is one closed body, else the union of its solids."""
    meshes = []
    for body in shape.solids():
        box = body.bounding_box()
        corners, faces = body.tessellate(share * box.diagonal, angle)
        points = np.array([(v.X, v.Y, v.Z) for v in corners])
        mesh = trimesh.Trimesh(points, np.array(faces), process=True)
        mesh.merge_vertices(digits_vertex=6)
        mesh.update_faces(mesh.nondegenerate_faces())
        meshes.append(mesh)
    if not meshes:
        raise ValueError("no solid")
    return meshes[0] if len(meshes) == 1 and is_closed(meshes[0]) and len(meshes[0].faces) <= 10_000 else union(meshes)


def main() -> int:
    parser = options_parser(__doc__, 350, "hw_<kind>/<name>.ply and hardware.csv")
    parser.add_argument("--kinds", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="only these")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for package in ("manifold3d", "build123d"):
        need("hardware", package, INSTALL)
    try:
        barred = names_in(options.leave_out)
    except OSError as error:
        leave("hardware", error)
    rows: list[dict[str, str]] = []
    failed: list[str] = []
    for kind in options.kinds:
        name, draws = SOURCES[kind]
        module = need("hardware", f"bd_warehouse.{name}", INSTALL)
        wanted, made, tries = max(1, round(SHARES[kind] * options.count)), 0, 0
        seen: set[str] = set()
        for key, part, build in draws(module, np.random.default_rng([options.seed, list(SOURCES).index(kind)])):
            if made == wanted or tries >= 4 * wanted + 20:
                break
            tries += 1
            if part in seen or any(word == key or word.startswith(f"{key}_") for word in barred):
                continue
            seen.add(part)
            file = f"hw_{kind}/{part}.ply"
            try:
                fine = tessellate(build(), *((1e-3, 0.35) if kind == "bearing" else (5e-4, 0.2)))
                if not write_mesh(fine, Path(options.out_dir) / file):
                    raise ValueError("not closed")
            except Exception as error:  # the kernel below raises what it likes, and sizes of a table may contradict
                failed.append(f"{file}: {error}")
                continue
            made += 1
            source = "bd_warehouse 0.4.0, build123d 0.13.0"
            rows.append({"file": file, "source": source, "author": "", "licence": "own output"})
            show(made, wanted, file)
    write_table(rows, Path(options.out_dir) / "hardware.csv")
    print(f"{len(rows)} meshes in {options.out_dir}, {len(failed)} could not be made")
    for line in failed[:10]:
        print(f"  {line[:150]}")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
