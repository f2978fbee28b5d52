"""Draw `docs/opening.png`, the picture at the head of README: `python docs/make_opening.py [WORK_DIR] [--steps 800]`.

Generates 24 shapes (`datasets/`, this project's own), trains a space on them, and draws shapes decoded from their codes
and a morph. What WORK_DIR (by default `opening`) already holds is not made again. About five minutes of one core.
Needs `pip install manifold3d fast-simplification`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.dataset.sampling import SamplingConfig
from latentsdf.mesh.load import load_mesh
from latentsdf.plot.sheet import ALBEDOS, draw_shape, row_frames
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config

DATASETS = Path(__file__).parents[1] / "datasets"
TARGET = Path(__file__).with_name("opening.png")
RECIPES = {
    "vessels": "--count 44 --kinds cup vase bottle jug pot goblet",
    "creatures": "--count 40 --kinds quadruped aircraft fish bird",
    "household": "--count 33",
    "families": "--count 2 --families airplane gear ring lamp --resolution 80",
}
"""Options of each recipe."""
SHAPES = {
    "vessels": "bottle/2 bottle/3 bottle/4 bottle/5 cup/3 cup/4 jug/4 pot/2 pot/5 vase/7",
    "creatures": "aircraft/2 aircraft/9 quadruped/6 fish/4",
    "household": "chair/0 chair/2 lamp/1 sofa/1 car/2 table/1",
    "families": "airplane/1 gear/1 ring/0 lamp/0",
}
"""Shapes that are taken from each: some of those that stand upright."""
PICTURES = """airplane/1 household_chair/2 pot/2 creatures_quadruped/6 jug/4 gear/1 household_lamp/1 bottle/2
    ring/0 household_sofa/1 vase/7 creatures_fish/4 cup/4 lamp/0 household_car/2 creatures_aircraft/2"""
MORPH = ("creatures_fish/4", "creatures_quadruped/6")
RESOLUTION = 112
COLUMNS, CELL, OVERLAP = 8, 200, 24
"""Pictures in a row, their side in pixels, and how far a row reaches into the next one."""


def main() -> None:
    """Make what is missing, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="?", type=Path, default=Path("opening"))
    parser.add_argument("--steps", type=int, default=800)
    options = parser.parse_args()
    meshes, dataset, path = options.work / "meshes", options.work / "dataset.h5", options.work / "space.h5"
    if not meshes.exists():
        write_meshes(options.work / "recipes", meshes)
    if not dataset.exists():
        sampling = SamplingConfig(near=40_000, uniform=8_000, band=24_000, lattice=32)
        prepare(meshes, dataset, config=PrepareConfig(sampling=sampling), workers=1)
    if not path.exists():
        train(dataset, replace(named_config(), schedule_steps=options.steps), path=path, steps=options.steps)
    draw(load(path)).save(TARGET, optimize=True)


def write_meshes(recipes: Path, meshes: Path) -> None:
    """Run the recipes, and keep the chosen shapes, z up."""
    for recipe, arguments in RECIPES.items():
        command = [sys.executable, str(DATASETS / f"{recipe}.py"), str(recipes / recipe), *arguments.split()]
        subprocess.run(command, check=True)
        for name in SHAPES[recipe].split():
            kind, number = name.split("/")
            file = next((recipes / recipe / kind).glob(f"*{int(number):03d}.ply"))
            mesh = load_mesh(file)
            if recipe != "families":
                mesh.vertices = np.asarray(mesh.vertices)[:, [2, 0, 1]]
            kind = kind if recipe in ("vessels", "families") else f"{recipe}_{kind}"
            target = meshes / kind / f"{number}.ply"
            target.parent.mkdir(parents=True, exist_ok=True)
            mesh.export(str(target))


def draw(space: LatentSpace) -> Image.Image:
    """Two rows of decoded shapes and a row of a morph."""
    cells = [
        draw_shape(space[name].mesh(RESOLUTION), CELL, ALBEDOS[i % len(ALBEDOS)])
        for i, name in enumerate(PICTURES.split())
    ]
    steps = [space.interpolate(*MORPH, float(t)).mesh(RESOLUTION) for t in np.linspace(0, 1, COLUMNS)]
    frames = row_frames([np.asarray(mesh.vertices) for mesh in steps])
    for i, (mesh, frame) in enumerate(zip(steps, frames, strict=True)):
        first, last = np.array(ALBEDOS[0]), np.array(ALBEDOS[2])
        colour = tuple((first + (last - first) * i / (COLUMNS - 1)).tolist())
        cells.append(draw_shape(mesh, CELL, colour, frame))
    high, rows = CELL - OVERLAP, len(cells) // COLUMNS
    picture = Image.new("RGB", (COLUMNS * CELL, rows * high + OVERLAP), "white")
    for i, cell in enumerate(cells):
        at = (i % COLUMNS * CELL, i // COLUMNS * high)
        under = picture.crop((*at, at[0] + CELL, at[1] + CELL))
        picture.paste(ImageChops.multiply(under, cell), at)
    return picture


if __name__ == "__main__":
    main()
