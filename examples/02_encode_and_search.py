"""Unseen meshes get codes in `out/space.h5` (made by 01), the decoder frozen, and their nearest shapes are listed."""

import os
from pathlib import Path

import latentsdf as ls
from latentsdf.dataset import write_families
from latentsdf.mesh import load_mesh

TINY = bool(os.environ.get("LATENTSDF_TINY"))
OUT = Path("out")

space = ls.load(OUT / "space.h5")
index = ls.Index(space)

# Another seed gives members of the families that the space has not seen.
unseen = write_families(OUT / "unseen", count=1, seed=1, resolution=64, families=("mug", "vase"))
for path in unseen:
    shape = ls.encode(space, path, name=f"unseen/{path.parent.name}", config=ls.EncodeConfig(steps=8 if TINY else 40))
    figures = ls.compare(shape.mesh(48 if TINY else 128), load_mesh(path))
    print(f"{shape.name}: F at 0.01 {figures.f_scores[0.01]:.3f}, Chamfer-L1 {figures.chamfer_l1:.4f}")
    for match in index.search(shape, k=3):
        print(f"  {match.distance:7.3f}  {match.name}")
    space.add(shape, replace=True)

ls.save(space, OUT / "space.h5")
