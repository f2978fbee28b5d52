"""Make checkpoints/families.h5: a space of the embedded families, small enough to be committed.

python checkpoints/make_families.py [TARGET.h5] [--count 12] [--minutes 6]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from latentsdf.dataset.preparation import PrepareConfig, prepare
from latentsdf.dataset.sampling import SamplingConfig
from latentsdf.dataset.synthetic import write_families
from latentsdf.decoder import CoarseVolumes, DualConfig
from latentsdf.space.store import save
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import train

DECODER = DualConfig(code_size=32, coarse=CoarseVolumes(), grid_resolution=24, grid_channels=8, fine_width=32)


def main() -> None:
    """Collection, samples, training, and a file in half precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=Path(__file__).with_name("families.h5"))
    parser.add_argument("--count", type=int, default=12, help="shapes a family")
    parser.add_argument("--minutes", type=float, default=6.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        meshes, dataset = Path(folder) / "meshes", Path(folder) / "families.h5"
        write_families(meshes, options.count, 0, 80, workers=os.cpu_count() or 1)
        sampling = SamplingConfig(near=60_000, uniform=16_000, band=32_000, lattice=32)
        print(prepare(meshes, dataset, config=PrepareConfig(sampling=sampling)))
        space = train(dataset, TrainConfig(decoder=DECODER, minutes=options.minutes))
    space.history.pop("log", None)
    save(space, options.target, precision="float16")
    print(f"{options.target}: {len(space)} shapes, {options.target.stat().st_size:,} bytes, {space.history['stop']}")


if __name__ == "__main__":
    main()
