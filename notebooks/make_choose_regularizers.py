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
from latentsdf.plot.sheet import ORIGINAL, Cell, draw_sheet
from latentsdf.scan import virtual_scan

TINY = bool(os.environ.get("LATENTSDF_TINY"))
STEPS = 3 if TINY else 120  # of each fit
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
    fall = ""
    if term.anneal:
        begin, end, weight = term.anneal
        fall = f", falls to {weight:g} from {begin:g} to {end:g} of the fit"
    print(f"{term.label:14s} weight {term.weight:g}{fall}")
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
fields = {name: ls.fit(scan, terms, ls.FitConfig(steps=STEPS)) for name, terms in objectives.items()}
cells += [judged(name, field.mesh(RESOLUTION)) for name, field in fields.items()]
cells.append(judged("linear solve", ls.solve_scan(scan).mesh(RESOLUTION)))
draw_sheet(cells, 3, SIZE)""",
    "text",
    """The last one is no descent at all: `ls.solve_scan` estimates the noise and chooses cells and smoothness by it. Where only a
surface is wanted it is the first thing to try; terms are for what it cannot be told.

## An objective of one's own

Rows can be scheduled. In `digs` the divergence is gone after two fifths of the fit, so that edges can be found; for a scan as
noisy as this one that is early. Here it stays for half of the fit, and does not fall to zero.""",
    "code",
    """own = [*data, slope, ls.Term(name="divergence", weight=100, anneal=(0.5, 1.0, 10.0))]
fitted = ls.fit(scan, own, ls.FitConfig(steps=STEPS))
print(fitted.stop.value, {name: round(value, 3) for name, value in fitted.trace[-1].items()})
cell = judged("own", fitted.mesh(RESOLUTION))
draw_sheet([cells[0], cells[3], cell], 3, SIZE)""",
    "text",
    """## The field, not only its surface

A term acts on the field. A fit begins at approximate distances to the scan, whose slope is near one everywhere; smoothing
bends the field a little, and the eikonal term holds against it. `Jet` takes value and derivatives of any field at once.""",
    "code",
    """import torch

places = 1.6 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 0.8
for name, field in (("points alone", fields["points"]), ("own", fitted)):
    slopes = ls.Jet(field.sdf, places).gradient.norm(dim=-1)
    print(f"{name:14s} slope {slopes.mean():.2f}, off one by {(slopes - 1).abs().mean():.2f} in the mean")""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
