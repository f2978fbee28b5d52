"""Write `03_reconstruct_scan.ipynb`, and execute it: `python notebooks/make_reconstruct_scan.py [--no-execute]`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from notebook_maker import notebook_of, write_notebook

TARGET = Path(__file__).with_name("03_reconstruct_scan.ipynb")

CELLS = (
    "text",
    """# Reconstruct a scan

A closed surface from the points of a sensor: of the points alone, and with a space that has seen such shapes. The space is
`checkpoints/families.h5`; the object that is scanned is not in it. With the environment variable `LATENTSDF_TINY` set,
meshes are coarser and everything takes seconds.""",
    "code",
    """import os
from pathlib import Path

import latentsdf as ls

TINY = bool(os.environ.get("LATENTSDF_TINY"))
space = ls.load(Path("..") / "checkpoints" / "families.h5")
classes = {name.split("/")[0] for name in space}
print(f"{len(space)} shapes of {len(classes)} classes, codes of {space.code_size} numbers")

RESOLUTION = 48 if TINY else 128  # lattice cells an axis of the meshes shown
SIZE = 96 if TINY else 240  # pixels a picture""",
    "text",
    """## A scan

`virtual_scan` samples what one sensor sees of a mesh, with noise. A scan of your own is `ls.Scan.load("scan.ply")`; where
the sensor stood is part of it, `Scan(points, normals, sensor)`, if you know it.""",
    "code",
    """import tempfile

import numpy as np
import trimesh

from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh
from latentsdf.mesh.render import framed
from latentsdf.plot.sheet import ALBEDOS, ORIGINAL, Cell, draw_sheet
from latentsdf.scan import virtual_scan

work = Path(tempfile.mkdtemp(prefix="scan_"))
truth = load_mesh(write_families(work, 1, 11, 48 if TINY else 96, families=("mug",))[0])
scan = virtual_scan(truth, count=600 if TINY else 3000, noise=0.005, views=1, seed=4)
scan = ls.Scan(scan.points, sensor=scan.sensor)  # without the normals: they are estimated
print(f"{len(scan)} points, seen from {np.round(scan.sensor, 2)}")


def dots(points, radius=0.008):
    \"\"\"Points as a mesh of small octahedra, to draw them.\"\"\"
    ball = trimesh.creation.icosphere(subdivisions=0, radius=radius)
    vertices = (points[:, None] + ball.vertices).reshape(-1, 3)
    faces = (12 * np.arange(len(points))[:, None, None] + ball.faces).reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces, process=False)


def rows(*pictures):
    \"\"\"Pictures of one frame side by side: mesh, caption, colour.\"\"\"
    frame = framed(truth.vertices)
    cells = [Cell(mesh, tuple(text.split("|")), colour, frame) for mesh, text, colour in pictures]
    return draw_sheet(cells, len(cells), SIZE)


rows((truth, "the object", ORIGINAL), (dots(scan.points), "what the sensor saw", ALBEDOS[1]))""",
    "text",
    """## The points alone

One linear solve, in a second. Where nothing was seen the surface is closed in the smoothest way, which is seldom the right
one.""",
    "code",
    """def figures(surface):
    \"\"\"F-score at two hundredths, and the share of the surface that the truth does not have.\"\"\"
    found = ls.compare(surface, truth, samples=5000)
    return f"F {found.f_scores[0.02]:.2f}, not there in truth {found.to_dict()['ghost_area']:.0%}"


alone = ls.solve_scan(scan)
surface = alone.mesh(RESOLUTION)
print(figures(surface), *alone.notes, sep="\\n")""",
    "text",
    """## With a space

Code and frame of a shape of the space are fitted to the points, and the decoded field is then corrected at the points. The
sensor says more than the points: the rays to them are empty, and so are directions in which nothing was met.""",
    "code",
    """guided = ls.reconstruct(space, scan)
whole = guided.mesh(RESOLUTION)
print(figures(whole))
print(f"mean distance of the points to the surface {guided.residual_mean:.4f}; {guided.stop.value}")
print(*guided.notes, sep="\\n")""",
    "code",
    """rows(
    (surface, "the points alone|" + figures(surface), ALBEDOS[0]),
    (whole, "with the space|" + figures(whole), ALBEDOS[0]),
    (truth, "the object", ORIGINAL),
)""",
    "text",
    """## What is measured, and what is guessed

The colours of the mesh say it: grey is supported by points, orange is farther than a tenth of the radius from all of them.
Each vertex also carries its distance to the nearest point (`support`) and the standard deviation of the surface there
(`deviation`), in the scan's units; a PLY keeps both.""",
    "code",
    """support, deviation = whole.vertex_attributes["support"], whole.vertex_attributes["deviation"]
guessed = support > 0.1 * guided.shape.frame.scale
print(f"{guessed.mean():.0%} of the vertices are guessed; standard deviation there {deviation[guessed].mean():.3f},")
print(f"at the points {deviation[~guessed].mean():.3f}")
print(f"trust in the space beyond the points: {guided.refinement.trust:.2f}" if guided.refinement else "")
whole.export(work / "whole.ply")
(work / "whole.ply").stat().st_size""",
    "text",
    """## Add it to the space

The result is a shape: it can be searched by, morphed, and stored, its correction beside its code.""",
    "code",
    """from dataclasses import replace

for match in ls.Index(space).search(guided.shape, k=3):
    print(f"{match.distance:7.3f}  {match.name}")
space.add(replace(guided.shape, name="scanned/mug"))
ls.save(space, work / "space.h5")
print(f"{len(space)} shapes, the last is stored as {space['scanned/mug'].mode}")""",
)


def build() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    return notebook_of(CELLS)


if __name__ == "__main__":
    write_notebook(build(), TARGET, __doc__)
