"""Do generated shapes help shapes of classes that were left out? Training on real, on generated, and on both.

    python benchmarks/generated_shapes.py REAL.h5 GENERATED.h5 WORK_DIR --steps 1500 --base-steps 3000

REAL.h5 and GENERATED.h5 are datasets of `latentsdf prepare`. Every second class of the real ones is trained on; shapes
of the others are encoded at the end, as in `training_curves.py`, whose errors these are. Rows: both together, the real
ones alone, the generated ones alone (`--base-steps`), and the real ones begun from the space of the generated ones. One
row a run goes to WORK_DIR/rows.json as soon as it is there. `--space SPACE.h5` trains nothing: that space
encodes the shapes of the classes left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import h5py
import torch
import training_curves
from judging import read_json, write_json
from training_curves import encode_unseen, judge

from latentsdf.dataset.dataset import Dataset
from latentsdf.inference.objective import Guess
from latentsdf.inference.short_codes import shortened
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import Trainer
from latentsdf.training.presets import named_config
from latentsdf.training.rehearsal import make_rehearsal
from latentsdf.training.state import TrainState
from latentsdf.training.warm_start import start_space

JUDGED, UNSEEN = 80, 48
"""Shapes of each side that are judged."""


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--base-steps", type=int, default=3000)
    parser.add_argument("--space", type=Path, help="a trained space, judged in place of the runs")
    parser.add_argument("--numbers", type=int, nargs="*", default=[], help="and restricted to so many numbers a shape")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    training_curves.UNSEEN = UNSEEN
    both, base = options.work / "both.h5", options.work / "base.h5"
    if options.space is None and not both.exists():
        join_datasets(options.real, options.generated, both)
    dataset, count = Dataset(both if options.space is None else options.real), len(Dataset(options.real))
    classes = sorted(set(dataset.classes[:count]))
    seen = [row for row in range(count) if dataset.classes[row] in classes[::2]]
    unseen = dataset.subset([row for row in range(count) if dataset.classes[row] in classes[1::2]])
    if options.space is not None:
        space = load(options.space)
        for numbers in [space.code_size, *options.numbers]:
            print(options.space, len(space), numbers, encode_unseen(_restricted(space, numbers), unseen), flush=True)
        return
    generated = list(range(count, len(dataset)))
    run = _Run(dataset, unseen, options.work / "rows.json")
    config = named_config()
    run.measure("both", seen + generated, config, options.steps)
    run.measure("real alone", seen, config, options.steps)
    run.measure("generated alone", generated, config, options.base_steps, base)
    run.measure("real, from generated", seen, replace(config, start=str(base), align=False), options.steps)


def join_datasets(first: Path, second: Path, out: Path) -> None:
    """Write the shapes of two datasets to one file; its settings are those of the first."""
    part = out.with_suffix(".part")
    part.write_bytes(first.read_bytes())
    with h5py.File(part, "a") as file, h5py.File(second) as source:
        shapes: Any = source["shapes"]
        for key in sorted(shapes):
            source.copy(shapes[key], file["shapes"], name=f"z{key}")
    part.rename(out)


class _Codes(NamedTuple):
    weight: torch.Tensor


def _restricted(space: LatentSpace, numbers: int) -> TrainState:
    """A space as it is, or with codes in the principal directions of its own, the last number that of their mean."""
    decoder, codes = space.decoder, space.codes()
    if numbers < space.code_size:
        short = shortened(decoder, codes, numbers - 1)
        assert short is not None
        decoder, codes = short.decoder, short.shorten(Guess(codes)).codes
    return cast(TrainState, SimpleNamespace(decoder=decoder, codes=_Codes(codes)))


class _Run:
    def __init__(self, dataset: Dataset, unseen: Dataset, out: Path):
        self.dataset, self.unseen, self.out = dataset, unseen, out

    def measure(
        self, name: str, rows: Sequence[int], config: TrainConfig, steps: int, path: Path | None = None
    ) -> None:
        """Train on rows, and append errors of them and of unseen shapes."""
        known = read_json(self.out, [])
        if any(row["name"] == name for row in known):
            return
        config, began = replace(config, schedule_steps=steps), monotonic()
        start, device = start_space(config), torch.device("cpu")
        state = TrainState.fresh(self.dataset.subset(rows), config, start, device)
        Trainer(state, make_rehearsal(config, start, device), path, steps, 0.0).run()
        judged = torch.arange(0, len(rows), max(1, len(rows) // JUDGED))
        counts = {"near": 1600, "uniform": 400}
        points, distances = state.dataset.sample(judged, counts, torch.Generator().manual_seed(99))
        row = {"name": name, "shapes": len(rows), "steps": steps, "seconds": round(monotonic() - began)}
        row |= {"seen": judge(state, judged, points, distances), "unseen": encode_unseen(state, self.unseen)}
        print(row, flush=True)
        write_json(self.out, [*known, row])


if __name__ == "__main__":
    main()
