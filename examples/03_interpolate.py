"""A morph between two shapes of `out/space.h5` (made by 01): five meshes in `out/morph`."""

import os
from pathlib import Path

import torch

import latentsdf as ls

RESOLUTION = 48 if os.environ.get("LATENTSDF_TINY") else 128
OUT = Path("out")

space = ls.load(OUT / "space.h5")
(OUT / "morph").mkdir(exist_ok=True)
for step in range(5):
    between = space.interpolate("bottle/000", "vase/000", t=step / 4)
    # A shape is its signed distance function: points (N, 3) in, distances (N,) out, negative inside.
    distance = between(torch.tensor(between.frame.center[None])).item()
    surface = between.mesh(RESOLUTION)
    surface.export(str(OUT / "morph" / f"{step}.ply"))
    print(f"t = {step / 4:.2f}: volume {surface.volume:.3f}, signed distance at its centre {distance:+.3f}")
