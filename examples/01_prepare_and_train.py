"""Four shape families become one latent space, `out/space.h5`; a few minutes, seconds with LATENTSDF_TINY=1."""

import os
from pathlib import Path

import latentsdf as ls
from latentsdf.dataset import SamplingConfig, write_families

TINY = bool(os.environ.get("LATENTSDF_TINY"))
OUT = Path("out")

# Any folder of meshes will do; its sub-folders are the classes.
families = ("bottle", "chair", "mug", "vase")
meshes = write_families(OUT / "meshes", count=2 if TINY else 12, resolution=32 if TINY else 64, families=families)
print(f"{len(meshes)} meshes, the first {meshes[0]}")

# Meshes -> signed distances at points near the surface, in a band about it, and anywhere in the cube.
part = 0.1 if TINY else 1.0
sampling = SamplingConfig(near=int(30_000 * part), uniform=int(8_000 * part), band=int(16_000 * part), lattice=32)
report = ls.prepare(OUT / "meshes", OUT / "shapes.h5", config=ls.PrepareConfig(sampling=sampling))
print(f"{report.ok} shapes, {report.samples:,} signed samples, {report.skipped} meshes skipped")

# Signed distances -> one decoder and one code a shape, from principal components.
config = ls.TrainConfig(minutes=2.0, shapes_per_batch=8 if TINY else 32, schedule_steps=20)
space = ls.train(OUT / "shapes.h5", config, path=OUT / "space.h5", steps=20 if TINY else None)
print(f"{len(space)} codes of {space.code_size} numbers; {space.decoder.parameter_count():,} numbers shared by all")
