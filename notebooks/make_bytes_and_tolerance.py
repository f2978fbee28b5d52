"""Write `05_bytes_and_tolerance.ipynb`, and execute it: `python notebooks/make_bytes_and_tolerance.py [--no-execute]`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from notebook_maker import notebook_of, write_notebook

TARGET = Path(__file__).with_name("05_bytes_and_tolerance.ipynb")

CELLS = (
    "text",
    """# Bytes and tolerance

A code is a few bytes, and as close as the space knows such shapes. Where that is not close enough, a shape takes a residual
beside its code, or a compact mesh in its place: the fewest bytes that reach a tolerance, or the closest within a number of
bytes. The space is `checkpoints/families.h5`. With the environment variable `LATENTSDF_TINY` set, everything takes
seconds.""",
    "code",
    """import os
from pathlib import Path

import latentsdf as ls

TINY = bool(os.environ.get("LATENTSDF_TINY"))
space = ls.load(Path("..") / "checkpoints" / "families.h5")
classes = {name.split("/")[0] for name in space}
print(f"{len(space)} shapes of {len(classes)} classes, codes of {space.code_size} numbers")

RESOLUTION = 48 if TINY else 128  # lattice cells an axis of the meshes shown
SIZE = 96 if TINY else 220  # pixels a picture""",
    "text",
    """## A shape that the space does not know

A gear with other teeth and holes than those that were trained on. By its code alone it is the nearest gear that the space
can make.""",
    "code",
    """import tempfile

from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh
from latentsdf.plot.sheet import ORIGINAL, Cell, draw_sheet

work = Path(tempfile.mkdtemp(prefix="bytes_"))
truth = load_mesh(write_families(work, 1, 9, 64 if TINY else 112, families=("gear",))[0])
print(f"{len(truth.faces):,} faces: {12 * len(truth.vertices) + 12 * len(truth.faces):,} bytes as plain numbers")
fit = ls.EncodeConfig(steps=4 if TINY else 30)


def judged(name, shape):
    \"\"\"A picture of a shape with its bytes and figures.\"\"\"
    surface = shape.mesh(RESOLUTION)
    found = ls.compare(surface, truth, samples=5000)
    code = shape.metadata.get("code_bytes", 4 * len(shape.code))
    size = code + (shape.correction.nbytes if shape.correction is not None else 0)
    points.append((size, found.f_scores[0.01]))
    lines = (name, f"{shape.mode}, {size} bytes, F {found.f_scores[0.01]:.2f}")
    print(*lines, sep=": ")
    return Cell(surface, lines)


points = []
alone = ls.encode(space, truth, name="gear", config=fit)
cells = [Cell(truth, ("the mesh",), ORIGINAL), judged("code alone", alone)]""",
    "text",
    """## A number of bytes

`Target(max_bytes=N)` asks for the closest shape that N bytes allow, code and frame counted. The code itself may be rounded
more coarsely where its bytes are better spent on the residual.""",
    "code",
    """for limit in (120,) if TINY else (150, 300, 600):
    target = ls.Target(max_bytes=limit, levels=2 if TINY else 4)
    shape = ls.encode(space, truth, name="gear", config=fit, target=target)
    cells.append(judged(f"at most {limit} bytes", shape))""",
    "text",
    """## A tolerance

`Target(tolerance=T)` asks for the fewest bytes that bring the F-score at T, in the unit frame, to 0.95. Residual and mesh
are both tried; the smaller one is stored.""",
    "code",
    """if not TINY:
    shape = ls.encode(space, truth, name="gear", config=fit, target=ls.Target(tolerance=0.01))
    cells.append(judged("tolerance 0.01", shape))
draw_sheet(cells, 3, SIZE)""",
    "text",
    """## Bytes against closeness""",
    "code",
    """from latentsdf.plot.drawing import Drawing

drawing = Drawing(460, 250)
left, bottom, width, height = 60, 200, 370, 170
most = 1.1 * max(size for size, _ in points)
for score in (0.0, 0.25, 0.5, 0.75, 1.0):
    drawing.line([(left, bottom - score * height), (left + width, bottom - score * height)], "#dddddd")
    drawing.text(left - 8, bottom - score * height, f"{score:g}", 11, "end")
for size in range(0, int(most), 100):
    drawing.text(left + size / most * width, bottom + 16, str(size), 11, "middle")
placed = [(left + size / most * width, bottom - score * height) for size, score in sorted(points)]
drawing.line(placed, "#0072b2", 2)
for x, y in placed:
    drawing.dot(x, y, 4, "#0072b2")
drawing.text(left + width / 2, bottom + 36, "bytes of the shape", 12, "middle")
drawing.upright_text(16, bottom - height / 2, "F-score at 0.01")
drawing.image()""",
    "text",
    """## A whole collection

On the command line `latentsdf pack SPACE.h5 OUT.h5 --meshes MESH_DIR --tolerance 0.01` does this for every shape,
`latentsdf train ... --tolerance 0.01 --meshes MESH_DIR` at the end of training, and `latentsdf encode --tolerance 0.01` for
new ones; `latentsdf info` reports the bytes by part. In Python a shape is added with what it stores:""",
    "code",
    """space.add(shape, replace=True)
ls.save(space, work / "space.h5")
again = ls.load(work / "space.h5")["gear"]
print(f"{again.mode}, {again.correction.nbytes if again.correction is not None else 0} bytes beside the code")""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
