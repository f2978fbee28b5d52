"""Make the collection of real shapes that `latentsdf demo` works on: chairs, vessels, tools, bones, machine parts.

    python datasets/real_shapes.py WORK_DIR --furniture DIR --wheels DIR [--only NAME ...]

writes `latentsdf/dataset/real_shapes.npz` (positions and faces, see `latentsdf.dataset.real_shapes`) and
`real_shapes.csv` (name, source, author, licence, change, unit). WORK_DIR keeps each mesh as PLY, and is not made again.
Meshes are closed (union of closed parts, or an alpha wrap), at most `FACES` faces, z up, and rounded to `CELLS` cells.

Needs: `pip install pymeshlab manifold3d fast-simplification pycollada bd_warehouse==0.4.0 build123d==0.13.0 torch
anny==0.6.2`; the files of Debian's sweethome3d-furniture 1.8-1 below DIR (see `furniture.py`); and in the folder of
wheels, by `pip download --no-deps robosuite==1.5.2 myo-sim==0.2.4`, those two.
Licences: BlendSwap-CC-0 and MakeHuman's data CC0-1.0, the other furniture CC-BY-3.0 (authors in the table), Panda links
Apache-2.0 (in robosuite, MIT), bones Apache-2.0 (myo-sim) and CC-BY-3.0 (OpenSim), parts of bd_warehouse are the output
of an Apache-2.0 generator. `real_shapes_licences.txt` beside the collection holds the notices.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh
from common import leave, need, show, write_mesh, write_table
from furniture import LIBRARIES, catalogue
from hardware import tessellate
from humans import body_faces, make
from repair import close, geometry
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee
from simplification import simplified

INSTALL = "pip install pymeshlab manifold3d fast-simplification pycollada bd_warehouse==0.4.0 build123d==0.13.0"
TARGET = Path(__file__).parents[1] / "latentsdf" / "dataset" / "real_shapes.npz"
FACES, CELLS = 5000, 4096
"""Faces of a shape at most, and cells along its longest side that vertices are rounded to."""
ALPHA, OFFSET = 1.0, 0.2
"""Of the alpha wrap, percent of the diagonal."""

FURNITURE = """
chair/windsor BlendSwap-CC-0 oakChair
chair/bentwood BlendSwap-CC-0 thonet
chair/shell BlendSwap-CC-0 osakaChair
chair/child BlendSwap-CC-BY childChair
chair/crossback BlendSwap-CC-0 chairWithCushion
armchair/square KatorLegaz mid-century-chair
armchair/rounded BlendSwap-CC-BY fotel
sofa/cushions BlendSwap-CC-0 sofa2
stool/high BlendSwap-CC-0 stool2
stool/low BlendSwap-CC-BY green_stool
table/pedestal BlendSwap-CC-0 oakTable
table/cloth BlendSwap-CC-0 tableWithTablecloth
lamp/mushroom BlendSwap-CC-0 desklamp
lamp/shade Scopia little_lamp2
lamp/stone BlendSwap-CC-0 stoneLantern
vase/long_neck Scopia vase3
vase/amphora Scopia jar
vase/jar Scopia old_jar
vase/ribbed Scopia vase2
cup/beer BlendSwap-CC-0 beerGlass
cup/mug KatorLegaz coffee-mug
cup/wine BlendSwap-CC-BY glass
cup/teapot Scopia teapot
kitchen/mixer BlendSwap-CC-0 kitchenaid
kitchen/pot BlendSwap-CC-BY largePan
kitchen/squeezer Scopia squeezer
kitchen/moka BlendSwap-CC-BY espressokettle
bottle/flacon BlendSwap-CC-0 flacon
toy/teddy BlendSwap-CC-0 teddyBear
toy/rocking_horse BlendSwap-CC-0 caballito
toy/wooden_boy BlendSwap-CC-0 woodToy
toy/biplane BlendSwap-CC-0 cartoon_biplane
animal/deer BlendSwap-CC-0 deer
animal/dog Scopia dog
food/cupcake BlendSwap-CC-0 cupcake
food/hamburger BlendSwap-CC-BY hamburger
food/chicken Scopia roasted-chicken
wear/hat Scopia chapeau
wear/helmet Scopia casque
wear/ankle_boots BlendSwap-CC-0 bootie
wear/sunglasses BlendSwap-CC-BY sunglasses
tool/drill Scopia perceuse-electrique
tool/hammer Scopia marteau
tool/spoon BlendSwap-CC-BY spoon
music/guitar BlendSwap-CC-0 electricGuitar
thing/extinguisher BlendSwap-CC-0 fireExtinguisher
thing/barrel BlendSwap-CC-0 barrel
thing/football BlendSwap-CC-BY ballonFoot
thing/cone Scopia cone
"""
"""Name, library and model of each."""

PARTS = """
bone/skull myo_sim 0.2.4|models/meshes/hat_skull.stl
bone/femur myo_sim 0.2.4|models/meshes/r_femur.stl
robot/shoulder robosuite 1.5.2|models/assets/bullet_data/panda_description/meshes/visual/link1.dae
robot/forearm robosuite 1.5.2|models/assets/bullet_data/panda_description/meshes/visual/link5.dae
"""
"""Name, package, version and file of each."""
AUTHORS = {
    "myo_sim": "The MyoSuite authors; OpenSim models of S. Delp et al., A. Seth, A. Rajagopal et al.",
    "robosuite": "Franka Emika GmbH (franka_ros); the robosuite authors",
}
BONES, LINKS = "Apache-2.0 AND CC-BY-3.0", "Apache-2.0 AND MIT"
"""Licences: of myo_sim and of the OpenSim models that its bones are from, of franka_ros and of robosuite."""
UPRIGHT = {"bone/skull": (2, 0, 1), "bone/femur": (2, 0, 1)}
"""Orders of the axes that set a shape upright; the other parts are."""
HUMANS = {"human/standing": 4, "human/moving": 7}
"""Seeds of bodies (`humans.make`)."""


class Made(NamedTuple):
    """A closed mesh of at most `FACES` faces, z up, and the row of the table."""

    mesh: trimesh.Trimesh
    row: dict[str, str]


Make = Callable[[], Made]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", metavar="WORK_DIR", type=Path)
    parser.add_argument("--furniture", required=True, metavar="DIR", type=Path, help="holds *.sh3f at any depth")
    parser.add_argument("--wheels", required=True, metavar="DIR", type=Path, help="holds the two wheels")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="make these, and write no collection")
    options = parser.parse_args()
    for package in ("pymeshlab", "manifold3d", "fast_simplification"):
        need("real_shapes", package, INSTALL)
    warnings.filterwarnings("ignore")
    sources = [*furniture(options.furniture), *parts(options.wheels), *hardware(), *humans()]
    rows, meshes = [], []
    for done, (name, build) in enumerate(sources):
        if options.only and name not in options.only:
            continue
        path, table = options.work / f"{name}.ply", options.work / f"{name}.csv"
        if not (path.exists() and table.exists()):
            made = build()
            if not write_mesh(made.mesh, path):
                leave("real_shapes", f"{name} is not closed")
            write_table([{"name": name, **made.row}], table)
        with table.open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
        meshes.append(trimesh.load(path, process=False))
        show(done + 1, len(sources), name)
    if not options.only:
        write_collection(rows, meshes)
    return 0


def furniture(folder: Path) -> Iterator[tuple[str, Make]]:
    """Models of the Sweet Home 3D libraries."""
    archives = {path.stem: zipfile.ZipFile(path) for path in sorted(folder.rglob("*.sh3f"))}
    for line in FURNITURE.split("\n")[1:-1]:
        name, library, stem = line.split()
        if library not in archives:
            leave("real_shapes", f"no {library}.sh3f below {folder}")
        yield name, lambda library=library, stem=stem: piece_of_furniture(library, archives[library], stem)


def piece_of_furniture(library: str, archive: zipfile.ZipFile, stem: str) -> Made:
    """One model, closed, y to z."""
    (path,) = [path for path in archive.namelist() if path.endswith(f"/{stem}.obj") or path == f"{stem}.obj"]
    authors = {model.path: model.author for model in catalogue(library, archive)}
    whole, change = close(geometry(archive.read(path)), ALPHA, OFFSET)
    mesh = simplified(whole, FACES)
    mesh.vertices = np.asarray(mesh.vertices)[:, [2, 0, 1]]
    source = f"Debian sweethome3d-furniture 1.8-1, {library}, {path}"
    author = authors.get(path) or LIBRARIES[library].author
    if not author:
        leave("real_shapes", f"{path} has no author")
    return Made(mesh, row_of(source, author, LIBRARIES[library].licence, f"{change}, simplified", "cm"))


def parts(folder: Path) -> Iterator[tuple[str, Make]]:
    """Files of the two wheels."""
    for line in PARTS.split("\n")[1:-1]:
        name, package, rest = line.split(" ", 2)
        version, file = rest.split("|")
        wheels = sorted(folder.rglob(f"{package}-{version}-*.whl"))
        if not wheels:
            leave("real_shapes", f"no wheel of {package} {version} below {folder}")
        yield name, lambda n=name, w=wheels[0], p=package, f=file, v=version: part(n, w, f"{p}/{f}", f"{p} {v}, {f}")


def part(name: str, wheel: Path, file: str, source: str) -> Made:
    """One file of a wheel, closed."""
    data = zipfile.ZipFile(wheel).read(file)
    mesh: Any = trimesh.load(io.BytesIO(data), file_type=Path(file).suffix[1:], force="mesh")
    bare = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    bare.merge_vertices(merge_tex=True, merge_norm=True)
    whole, change = close(bare, ALPHA, OFFSET)
    whole = simplified(whole, FACES)
    whole.vertices = np.asarray(whole.vertices)[:, list(UPRIGHT.get(name, (0, 1, 2)))]
    package = source.split()[0]
    licence = BONES if package == "myo_sim" else LINKS
    return Made(whole, row_of(source, AUTHORS[package], licence, f"{change}, simplified", "m"))


def hardware() -> Iterator[tuple[str, Make]]:
    """Standard parts by bd_warehouse."""
    build = need("real_shapes", "build123d", INSTALL)
    fastener, gear, bearing, sprocket, flange = (
        need("real_shapes", f"bd_warehouse.{name}", INSTALL)
        for name in ("fastener", "gear", "bearing", "sprocket", "flange")
    )
    made = {
        "hardware/bolt": lambda: fastener.HexHeadScrew("M10-1.5", 30, "iso4014", simple=False),
        "hardware/gear": lambda: gear.SpurGear(2, 18, 20, 10) - build.Cylinder(6, 40),
        "hardware/bearing": lambda: bearing.SingleRowDeepGrooveBallBearing("M8-22-7"),
        "hardware/sprocket": lambda: sprocket.Sprocket(
            num_teeth=16,
            chain_pitch=12.7,
            roller_diameter=7.9,
            thickness=5,
            bore_diameter=14,
            num_mount_bolts=5,
            bolt_circle_diameter=36,
            mount_bolt_diameter=6,
        ),
        "hardware/flange": lambda: flange.WeldNeckFlange(nps="2", flange_class=150),
    }
    for name, make_part in made.items():
        yield name, lambda make_part=make_part: piece_of_hardware(make_part)


def piece_of_hardware(make_part: Callable[[], Any]) -> Made:
    """One part, as a closed mesh."""
    mesh = tessellate(make_part(), 5e-4, 0.2)
    if not mesh.is_watertight:
        mesh, _ = close(mesh, ALPHA, 0.05)
    row = row_of("bd_warehouse 0.4.0, build123d 0.13.0", "output of the generator", "Apache-2.0", "simplified", "mm")
    return Made(simplified(mesh, FACES), row)


def humans() -> Iterator[tuple[str, Make]]:
    """Bodies of the MakeHuman base mesh."""
    for name, seed in HUMANS.items():
        yield name, lambda seed=seed: body(seed)


def body(seed: int) -> Made:
    """One body."""
    anny, torch = need("real_shapes", "anny", "pip install anny==0.6.2"), need("real_shapes", "torch", INSTALL)
    model = anny.create_fullbody_model(skinning_method="lbs")
    faces = body_faces(np.asarray(model.faces), len(model.template_vertices))
    mesh, pose = make(model, torch, faces, np.random.default_rng([seed, 0]))
    mesh = simplified(mesh, FACES)
    mesh.vertices = np.asarray(mesh.vertices)[:, [2, 0, 1]]
    source = f"anny 0.6.2 (MakeHuman base mesh, {pose})"
    return Made(mesh, row_of(source, "MakeHuman team", "CC0-1.0", "generated, simplified", "dm"))


def write_collection(rows: list[dict[str, str]], meshes: list[trimesh.Trimesh]) -> None:
    """Write the packaged files."""
    from latentsdf.dataset.real_shapes import pack_meshes

    with TARGET.open("wb") as file:
        np.savez_compressed(file, **pack_meshes([ordered(mesh) for mesh in meshes], CELLS))
    write_table(rows, TARGET.with_suffix(".csv"))


def ordered(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with neighbouring vertices and faces near each other, which compresses best (Cuthill and McKee 1969)."""
    edges, count = mesh.edges_unique, len(mesh.vertices)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)).tocsr()
    order = reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    faces = place[mesh.faces]
    first = faces.argmin(axis=1)
    faces = np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
    return trimesh.Trimesh(np.asarray(mesh.vertices)[order], faces[np.lexsort(faces.T[::-1])], process=False)


def row_of(source: str, author: str, licence: str, change: str, unit: str) -> dict[str, str]:
    return {"source": source, "author": author, "licence": licence, "change": change, "unit": unit}


if __name__ == "__main__":
    sys.exit(main())
