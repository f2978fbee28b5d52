"""Write `01_first_space.ipynb`, and execute it: `python notebooks/make_first_space.py [--no-execute]`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from notebook_maker import notebook_of, write_notebook

TARGET = Path(__file__).with_name("01_first_space.ipynb")

CELLS = (
    "text",
    """# A first latent space

A latent space is trained on meshes of a few parametric families. Then one shape is meshed from its code, its nearest
shapes are searched, two shapes are interpolated, and an unseen shape is encoded.

The settings below take a few minutes on one core, most of it training. With the environment variable `LATENTSDF_TINY`
set, everything runs in seconds, with rough shapes.""",
    "code",
    """import os
import tempfile
from pathlib import Path

TINY = bool(os.environ.get("LATENTSDF_TINY"))

FAMILIES = ("chair", "mug") if TINY else ("bolt", "chair", "lamp", "mug", "table", "vase")
MORPHS = (("chair", "mug"),) if TINY else (("chair", "table"), ("mug", "vase"))
COUNT = 3 if TINY else 12  # shapes a family
STEPS = 40 if TINY else 1200  # training steps
RESOLUTION = 32 if TINY else 96  # lattice cells an axis of the meshes shown
SIZE = 64 if TINY else 120  # pixels a picture
WORK = Path(tempfile.mkdtemp(prefix="first_space_"))  # give a folder of your own to keep the files""",
    "text",
    """## Meshes

`write_families` writes one folder a family; the folder's name is the class. Any other folder of meshes can be used in
the same way, see `datasets/README.md`.""",
    "code",
    """import latentsdf as ls
from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh
from latentsdf.mesh.render import contact_sheet

paths = write_families(WORK / "meshes", COUNT, 0, 32 if TINY else 80, families=FAMILIES)
print(f"{len(paths)} meshes")

rows = [(family, [load_mesh(WORK / "meshes" / family / f"{i:03d}.ply") for i in range(3)]) for family in FAMILIES]
contact_sheet(rows, ("000", "001", "002"), size=SIZE)""",
    "text",
    """## Query samples

`prepare` repairs and audits each mesh, maps it into the unit frame, and stores points with their signed distances in
one HDF5 file.""",
    "code",
    """from latentsdf.dataset import SamplingConfig

sampling = SamplingConfig(near=30_000, uniform=8_000, band=16_000, lattice=32)
if TINY:
    sampling = SamplingConfig(near=4_000, uniform=1_000, band=2_000, band_resolution=64, lattice=16)

report = ls.prepare(WORK / "meshes", WORK / "dataset.h5", config=ls.PrepareConfig(sampling=sampling), workers=1)
print(f"{report.ok} shapes, {report.skipped} skipped, {report.samples:,} samples")
print(report.rows[0].name, "-", report.rows[0].audit)""",
    "text",
    """## Training

A training run is a list of stages: first the codes and the coarse field over all shapes, then the fine field near the
surface. Here the schedule is given in steps, so that its length is the same on any machine; `ls.train(..., minutes=10)`
scales it to a time budget instead.""",
    "code",
    """config = ls.TrainConfig(schedule_steps=STEPS)
for stage in config.plan():
    print(f"{stage.name:10s} {stage.share:.0%} of the schedule, fits {', '.join(stage.losses)}")

space = ls.train(WORK / "dataset.h5", config, path=WORK / "space.h5", steps=STEPS)

log = space.history["log"]
for row in log[:: max(1, len(log) // 6)]:
    print(f"{row['progress']:5.0%}  {row['stage']:10s}  loss {row['loss']:.4f}")
print(space.history["stop"])
print(f"{len(space)} shapes, {space.code_size} numbers each; {space.decoder.parameter_count():,} numbers shared")""",
    "text",
    """## A shape from its code

A shape of the space is a signed distance function in the units of its own mesh, negative inside. `mesh` extracts its
surface, or raises a ValueError if there is none.""",
    "code",
    """import torch

name = "chair/000"
vertices = load_mesh(WORK / "meshes" / f"{name}.ply").vertices
print(name, "at three vertices of its mesh:", space[name](torch.tensor(vertices[:3])).tolist())


def surface(shape):
    \"\"\"The mesh of a shape, or None where its field has no surface.\"\"\"
    try:
        return shape.mesh(RESOLUTION)
    except ValueError:
        return None


rows = []
for family in FAMILIES:
    known = f"{family}/000"
    rows.append((family, (load_mesh(WORK / "meshes" / f"{known}.ply"), surface(space[known]))))
contact_sheet(rows, ("mesh", "from its code"), size=SIZE)""",
    "code",
    """from IPython.display import display
from PIL import Image

from latentsdf.mesh.render import render

made = surface(space[name])
if made is not None:
    print(f"{len(made.vertices):,} vertices, {len(made.faces):,} faces, watertight: {made.is_watertight}")
    display(Image.fromarray(render(made, 3 * SIZE, azimuth=20.0)))""",
    "text",
    """## Search

The index ranks shapes by the Euclidean distance of their codes.""",
    "code",
    """index = ls.Index(space)
for match in index.search(name, k=5):
    print(f"{match.distance:7.4f}  {match.name}")""",
    "text",
    """## Interpolation

Codes are interpolated linearly, and the frames (position and size) with them. Between classes, after so short a
training, intermediate shapes belong to neither class, and parts vanish.""",
    "code",
    """times = (0.0, 0.25, 0.5, 0.75, 1.0)
rows = []
for a, b in MORPHS:
    rows.append((f"{a} - {b}", [surface(space.interpolate(f"{a}/000", f"{b}/000", t)) for t in times]))
contact_sheet(rows, [f"t = {t}" for t in times], size=SIZE)""",
    "text",
    """## An unseen shape

Other seeds give other members of the same families. `encode` fits their codes with the decoder frozen; `compare`
measures the decoded surface against the true mesh, in the unit frame of the latter.""",
    "code",
    """write_families(WORK / "unseen", 1, 1, 32 if TINY else 80, families=FAMILIES)
fit = ls.EncodeConfig(steps=20 if TINY else 200, points=1024, samples=4_000 if TINY else 20_000)

rows = []
for family in FAMILIES:
    truth = load_mesh(WORK / "unseen" / family / "000.ply")
    found = ls.encode(space, truth, name=f"unseen/{family}", config=fit)
    nearest = index.search(found, k=1)[0].name
    decoded = surface(found)
    score = ls.compare(decoded, truth).f_scores[0.02] if decoded is not None else 0.0
    print(f"{family:10s} F-score at 0.02 {score:.3f}   nearest {nearest}")
    rows.append((family, (truth, decoded, surface(space[nearest]))))
    space.add(found)
contact_sheet(rows, ("unseen mesh", "from its code", "nearest known"), size=SIZE)""",
    "text",
    """## The space file

One file holds the decoder, every code and every frame. Each further shape adds its code and a few numbers.""",
    "code",
    """ls.save(space, WORK / "space.h5")
again = ls.load(WORK / "space.h5")
size = (WORK / "space.h5").stat().st_size
print(f"{len(again)} shapes, codes of {again.code_size} numbers, file {size:,} bytes")""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
