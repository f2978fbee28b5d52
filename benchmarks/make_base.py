"""Make the base space that comes with the library, from meshes that the recipes in `datasets/` write.

    python benchmarks/make_base.py OUT_DIR --datasets A.h5 B.h5 ... [--minutes 35] [--threads 2] [--start EARLIER.h5]

The datasets are those of `latentsdf prepare` (60,000 samples a shape are enough): humans, hardware, random objects,
furniture and the families, none of them a mesh that a benchmark judges. They become one dataset, whose shapes are
rotated by the cube group until they have most in common. On it the default decoder's generalising branch is trained
with nested codes; the finer branch is left to the collections that start from it. The space is written in eight bits a
number to OUT_DIR/base_space.h5, with 1,000 of its shapes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from congealing import common_rotations

from latentsdf.core.cube_rotations import cube_rotations
from latentsdf.core.optimize import Stop
from latentsdf.dataset.dataset import Dataset
from latentsdf.dataset.file import assemble, stored_shapes
from latentsdf.space.file_info import space_info
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, save
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import train
from latentsdf.training.presets import named_config
from latentsdf.training.stages import FIT_CODES, GENERALIZE

LATTICE = 16
"""Lattice vertices per axis at which shapes are compared when they are aligned."""
KEPT = 1000
"""Shapes whose codes stay in the file."""


def main() -> None:
    """Merge, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--datasets", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", default="components", help="an earlier OUT_DIR/base_full.h5 to go on from")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    merged, full = options.out / "merged.h5", options.out / "base_full.h5"
    if not merged.exists():
        merge(options.datasets, merged)
    stages = (replace(GENERALIZE, share=0.95),)
    stages = stages if options.start == "components" else (FIT_CODES, *stages)
    config = replace(named_config("dual", 64), start=options.start, stages=stages, rehearsal=0.0, align=False)
    train_to_the_end(align(merged), config, full, options.minutes)
    small = options.out / "base_space.h5"
    save(trim(load(full)), small, precision="int8", codes="int8")
    print(f"{small}: {small.stat().st_size:,} bytes, {space_info(small).sizes}")


def merge(sources: list[Path], target: Path) -> None:
    """One dataset file of several."""
    config = Dataset(sources[0], memory=0.0).config
    shapes = [shape for source in sources for shape in stored_shapes(source).values()]
    assemble(target, shapes, config, 0)
    print(f"{target}: {len(shapes)} shapes", flush=True)


def align(path: Path) -> Dataset:
    """The dataset, every shape rotated to where it has most in common with the others."""
    dataset = Dataset(path)
    rows = common_rotations(dataset.lattices(resolution=LATTICE))
    print(f"{int((rows != 0).sum())} of {len(dataset)} shapes were rotated", flush=True)
    return dataset.rotated(cube_rotations()[rows])


def train_to_the_end(dataset: Dataset, config: TrainConfig, path: Path, minutes: float) -> None:
    """Train, or resume an earlier call; a finished space is left alone."""
    resume = path.exists()
    if resume and load(path).history["stop"] == Stop.FINISHED.value:
        return
    last = [0.0]

    def tell(event: Any) -> None:
        if monotonic() - last[0] > 20:
            last[0] = monotonic()
            terms = " ".join(f"{name} {value:.5f}" for name, value in event.step.terms.items())
            print(f"{event.progress:.3f} {event.stage} {terms} {event.samples_per_second:.0f}/s", flush=True)

    train(
        dataset,
        None if resume else config,
        path=path,
        resume=resume,
        minutes=None if resume else minutes,
        on_event=tell,
    )


def trim(space: LatentSpace) -> LatentSpace:
    """The space with some of its shapes, and without the log of its training."""
    history = {name: value for name, value in space.history.items() if name != "log"}
    order = np.random.default_rng(0).permutation(len(space))[:KEPT]
    shapes = [replace(space[space.names[i]], metadata={}) for i in sorted(order)]
    return LatentSpace(space.decoder, shapes, {**history, "trained_on": len(space)})


if __name__ == "__main__":
    main()
