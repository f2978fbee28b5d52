"""Write `02_search_and_morph.ipynb`, and execute it: `python notebooks/make_search_and_morph.py [--no-execute]`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from notebook_maker import notebook_of, write_notebook

TARGET = Path(__file__).with_name("02_search_and_morph.ipynb")

CELLS = (
    "text",
    """# Interpolate, search, find duplicates

The small space of the repository, `checkpoints/families.h5`, holds 168 generated shapes; any space that you trained serves
as well. With the environment variable `LATENTSDF_TINY` set, meshes are coarser and everything takes seconds.""",
    "code",
    """import os
from pathlib import Path

import latentsdf as ls

TINY = bool(os.environ.get("LATENTSDF_TINY"))
space = ls.load(Path("..") / "checkpoints" / "families.h5")
classes = {name.split("/")[0] for name in space}
print(f"{len(space)} shapes of {len(classes)} classes, codes of {space.code_size} numbers")

RESOLUTION = 48 if TINY else 112  # lattice cells an axis of the meshes shown
SIZE = 64 if TINY else 118  # pixels a picture""",
    "text",
    """## Search by a name

An index compares search records where every shape has one (they are the same in every pose), else codes. This space was
made without records, so its codes are compared; the distance has no unit.""",
    "code",
    """from latentsdf.plot.sheet import ALBEDOS, Cell, draw_sheet

index = ls.Index(space)
cells = []
for query in ("lamp/003", "airplane/005")[: 1 if TINY else 2]:
    for match in index.search(query, k=6):
        label = query if match.name == query else f"{match.name}: {match.distance:.2f}"
        colour = ALBEDOS[1] if match.name == query else ALBEDOS[0]
        cells.append(Cell(space[match.name].mesh(RESOLUTION), (label,), colour))
draw_sheet(cells, 6, SIZE)""",
    "text",
    """## Search by a mesh that the space does not know

Another seed of the generator gives shapes that were not trained on. A mesh is encoded first, with the decoder frozen; its
code is the query.""",
    "code",
    """import tempfile

from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh

work = Path(tempfile.mkdtemp(prefix="search_"))
unseen = write_families(work, 1, 5, 48 if TINY else 80, families=("ring", "stool")[: 1 if TINY else 2])
cells = []
for path in unseen:
    mesh = load_mesh(path)
    found = ls.encode(space, mesh, config=ls.EncodeConfig(steps=4 if TINY else 30))
    cells.append(Cell(mesh, (f"unseen {path.parent.name}",), ALBEDOS[1]))
    cells.append(Cell(found.mesh(RESOLUTION), ("from its code",), ALBEDOS[4]))
    for match in index.search(found, k=3):
        cells.append(Cell(space[match.name].mesh(RESOLUTION), (f"{match.name}: {match.distance:.2f}",)))
draw_sheet(cells, 5, SIZE)""",
    "text",
    """## Interpolate

`interpolate` moves the surfaces of two shapes onto each other and blends them at a given volume, so that thin parts move
instead of fading away. Shapes of one kind morph best; a solid that becomes hollow is ragged half-way. What it returns is a shape like any other: a signed distance function in source units.""",
    "code",
    """from latentsdf.plot.sheet import row_frames

steps = 3 if TINY else 7
cells = []
for a, b in (("lamp/007", "lamp/004"), ("stool/000", "stool/002"))[: 1 if TINY else 2]:
    meshes = [space.interpolate(a, b, t=step / (steps - 1)).mesh(RESOLUTION) for step in range(steps)]
    frames = row_frames([mesh.vertices for mesh in meshes])
    for step, (mesh, frame) in enumerate(zip(meshes, frames, strict=True)):
        label = a if step == 0 else b if step == steps - 1 else f"t = {step / (steps - 1):.2f}"
        cells.append(Cell(mesh, (label,), ALBEDOS[2], frame))
draw_sheet(cells, steps, SIZE)""",
    "text",
    """## Duplicates

Six shapes, and four copies of some of them: turned and scaled, mirrored, with other triangles, with a hole. The records
propose pairs, and the surfaces, aligned, decide: `distance` is the greatest share of the bounding radius by which they
differ. On the command line: `latentsdf duplicates FOLDER --sheet same.png`.""",
    "code",
    """import numpy as np
import trimesh

from latentsdf.mesh.duplicates import Item, find_duplicates
from latentsdf.mesh.record import record_of_mesh

names = ("bracket", "gear", "hammer") if TINY else ("bracket", "gear", "hammer", "mug", "bolt", "airplane")
meshes = {p.parent.name: load_mesh(p) for p in write_families(work / "more", 1, 3, 64, families=names)}
turned = meshes["bracket"].copy()
turned.apply_transform(trimesh.transformations.random_rotation_matrix(np.array([0.1, 0.5, 0.9])))
turned.apply_scale(3.0)
mirrored = meshes["hammer"].copy()
mirrored.vertices = mirrored.vertices * [1.0, -1.0, 1.0]
mirrored.invert()
meshes["gear, other triangles"] = load_mesh(write_families(work / "fine", 1, 3, 80, families=("gear",))[0])
meshes["bracket, turned, larger"] = turned
meshes["hammer, mirrored"] = mirrored
holed = meshes["gear"].copy()
holed.update_faces(np.arange(len(holed.faces)) % 97 > 2)
meshes["gear, with holes"] = holed

items = [Item(name, record_of_mesh(mesh), lambda mesh=mesh: mesh) for name, mesh in meshes.items()]
found = find_duplicates(items)
for relation in found.relations:
    print(f"{relation.a} = {relation.b}: {relation}")""",
    "code",
    """cells, columns = [], max(map(len, found.groups))
for number, group in enumerate(found.groups):
    for name in [*group, *[""] * (columns - len(group))]:
        lines = tuple(part.strip() for part in name.split(",", 1)) if name else ()
        cells.append(Cell(meshes.get(name), lines, ALBEDOS[number]))
draw_sheet(cells, columns, SIZE)""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
