"""A noisy one-sided scan of an unseen mug to watertight meshes, with `out/space.h5` (made by 01) and without it."""

import os
from pathlib import Path

import latentsdf as ls
from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh
from latentsdf.scan import virtual_scan

RESOLUTION = 48 if os.environ.get("LATENTSDF_TINY") else 128
OUT = Path("out")

truth = load_mesh(write_families(OUT / "scanned", count=1, seed=2, resolution=64, families=("mug",))[0])
scan = virtual_scan(truth, count=2000, noise=0.005, views=1, seed=0)  # or ls.Scan.load("scan.ply")

# With a space: code and frame are fitted to the points, then the decoded field is corrected where there are points.
guided = ls.reconstruct(ls.load(OUT / "space.h5"), scan)
print(f"{guided.stop.value}; mean distance of the points to the surface {guided.residual_mean:.4f}")
# Without one: a B-spline field of the points alone, by one linear solve.
alone = ls.solve_scan(scan)

for name, surface in (("guided", guided.mesh(RESOLUTION)), ("alone", alone.mesh(RESOLUTION))):
    surface.export(str(OUT / f"{name}.ply"))
    figures = ls.compare(surface, truth)
    print(f"{name}: F at 0.02 {figures.f_scores[0.02]:.3f}, Chamfer-L1 {figures.chamfer_l1:.4f}")
