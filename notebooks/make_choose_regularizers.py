"""Write `04_choose_regularizers.ipynb`, and execute it: `python notebooks/make_choose_regularizers.py [--no-execute]`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from notebook_maker import notebook_of, write_notebook

TARGET = Path(__file__).with_name("04_choose_regularizers.ipynb")

CELLS = (
    "text",
    """# Choose regularizers

A scan without normals is noisy, and a field that is only told to vanish at its points becomes rough. The terms of
`latentsdf.regularizers` say what a good surface is like; which of them helps depends on what is wrong. The page *Terms for
my scan* of the documentation goes through more cases. With the environment variable `LATENTSDF_TINY` set, fits are a few
steps long.""",
    "code",
    """import os
import tempfile
from pathlib import Path

import latentsdf as ls
from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh
from latentsdf.plot.sheet import ALBEDOS, ORIGINAL, Cell, draw_sheet
from latentsdf.scan import virtual_scan

TINY = bool(os.environ.get("LATENTSDF_TINY"))
STEPS = 3 if TINY else 150  # of each fit
RESOLUTION = 32 if TINY else 96  # lattice cells an axis of the meshes shown
SIZE = 96 if TINY else 250  # pixels a picture

work = Path(tempfile.mkdtemp(prefix="terms_"))
truth = load_mesh(write_families(work, 1, 0, 48 if TINY else 96, families=("airplane",))[0])
scan = ls.Scan(virtual_scan(truth, count=6000, noise=0.012, seed=1).points)
print(f"{len(scan)} points with noise of 0.012, without normals")""",
    "text",
    """## Terms, and presets of papers

A `Term` is a row of an objective: a name, a weight, where it is evaluated, when it is active. A preset is the objective of
a paper.""",
    "code",
    """for term in ls.regularizers.PRESETS["digs"]:
    print(f"{term.label:14s} weight {term.weight:g}" + (f", falls to {term.anneal.weight:g} from {term.anneal.begin:g} to "
          f"{term.anneal.end:g} of the fit" if term.anneal else ""))
print("all presets:", ", ".join(ls.regularizers.PRESETS))""",
    "text",
    """## Four objectives on one scan

First the points alone, kept from vanishing everywhere. Then a slope of one (`eikonal`), then a small divergence too, as
DiGS has it, which smooths; then queries that are pulled onto their nearest points with level sets kept parallel.""",
    "code",
    """data = [ls.Term(name="surface", weight=3000), ls.Term(name="off_surface", weight=100)]
slope = ls.Term(name="eikonal", weight=50, on=("surface", "space"))
objectives = {
    "points": data,
    "+ eikonal": [*data, slope],
    "+ divergence (digs)": "digs",
    "pull + alignment": "neural-pull+lsa",
}


def judged(name, surface):
    \"\"\"A picture with the figures of a surface.\"\"\"
    found = ls.compare(surface, truth, samples=5000).to_dict()
    lines = (name, f"F {found['f_0.01']:.2f}, normals {found['normal_consistency']:.2f}, pieces {found['components']}")
    print(f"{name:20s} {lines[1]}")
    return Cell(surface, lines)


cells = [Cell(truth, ("the object",), ORIGINAL)]
for name, terms in objectives.items():
    fitted = ls.fit(scan, terms, ls.FitConfig(steps=STEPS))
    cells.append(judged(name, fitted.mesh(RESOLUTION)))
cells.append(judged("linear solve", ls.solve_scan(scan).mesh(RESOLUTION)))
draw_sheet(cells, 3, SIZE)""",
    "text",
    """The last one is no descent at all: `ls.solve_scan` estimates the noise and chooses cells and smoothness by it. Where only a
surface is wanted it is the first thing to try; terms are for what it cannot be told.

## An objective of one's own

Rows can be scheduled. Here the divergence is strong at first, while the rough shape is found, and gone at the end, when
edges are. The trace of a fit has the value of each term.""",
    "code",
    """own = [*data, slope, ls.Term(name="divergence", weight=300, anneal=(0.3, 0.9, 0.0))]
fitted = ls.fit(scan, own, ls.FitConfig(steps=STEPS))
print(fitted.stop.value, {name: round(value, 3) for name, value in fitted.trace[-1].items()})
cell = judged("own", fitted.mesh(RESOLUTION))
draw_sheet([cells[0], cell], 2, SIZE)""",
    "text",
    """## The field, not only its surface

A term acts on the field. A slice shows what the eikonal term is for: level sets at equal distances, so that the field is a
distance also away from the surface. Blue is inside, orange outside, the black line is the surface.""",
    "code",
    """from IPython.display import display

from latentsdf.plot.slice import draw_slice, slice_field

fields = {"points": ls.fit(scan, data, ls.FitConfig(steps=STEPS)), "+ eikonal and divergence": fitted}
for name, found in fields.items():
    drawing = draw_slice(slice_field(found.sdf, found.frame, axis=2, resolution=64 if TINY else 220), name)
    display(drawing.image().resize((460, 420)))""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
