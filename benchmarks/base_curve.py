"""What more shapes buy a base space: error on classes that it lacks against the number of shapes it is trained on.

    python benchmarks/base_curve.py BASE.h5 GENERATED.h5 JUDGED.h5 OUT.json [--steps 800 --grown 2400] [--only ROW ...]
    python benchmarks/base_curve.py BASE.h5 GENERATED.h5 JUDGED.h5 OUT.json --table [--figure docs/base_curve.png]

Datasets of `latentsdf prepare`: BASE.h5 has all shapes that a base is made of, GENERATED.h5 those of them that nobody
modelled, JUDGED.h5 shapes of which none is in the base. Rows: an eighth, a quarter, half and all of the shapes (nested
subsets of one random order) at equal steps and at steps in proportion to the shapes, and generated and real ones alone.
The first two shapes of each class of JUDGED.h5 are then encoded in a known pose, as in `training_curves.py`, whose
errors these are. A row goes to OUT.json as soon as it is there.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Any

import torch
from judging import read_json, write_json
from training_curves import errors_of

from latentsdf.dataset.dataset import Dataset
from latentsdf.inference.code_fitting import EncodeConfig, infer_codes
from latentsdf.inference.residuals import SignedSamples
from latentsdf.training.loop import Trainer
from latentsdf.training.presets import named_config
from latentsdf.training.state import TrainState

FRACTIONS = (8, 4, 2, 1)
OF_CLASS = 2
"""Judged shapes of each class."""


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("judged", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=800, help="of all shapes, and of every row at equal steps")
    parser.add_argument("--grown", type=int, default=2400, help="steps of all shapes where they grow with the shapes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="names of the rows that are made")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if not options.table:
        torch.set_num_threads(options.threads)
        measure(options)
    rows = read_json(options.out, [])
    print(table(rows))
    if options.figure:
        draw(rows, options.figure)


def measure(options: argparse.Namespace) -> None:
    """Make the rows that are not there."""
    dataset, judged = Dataset(options.base), Dataset(options.judged)
    made = set(Dataset(options.generated, memory=0.0).names)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    generated = [row for row in order if dataset.names[row] in made]
    real = [row for row in order if dataset.names[row] not in made]
    wanted: list[tuple[str, list[int], int]] = []
    for part in FRACTIONS:
        wanted.append((f"1/{part}", order[: len(order) // part], options.steps))
    wanted += [("generated alone", generated, options.steps), ("real alone", real, options.steps)]
    for part in FRACTIONS:
        wanted.append((f"1/{part}, steps grown", order[: len(order) // part], options.grown // part))
    for name, rows, steps in wanted:
        known = read_json(options.out, [])
        if any(row["name"] == name for row in known) or (options.only and name not in options.only):
            continue
        began = monotonic()
        config = replace(named_config(), schedule_steps=steps, refit=False)
        state = TrainState.fresh(dataset.subset(sorted(rows)), config, None, torch.device("cpu"))
        Trainer(state, None, None, steps, 0.0).run()
        row = {"name": name, "shapes": len(rows), "steps": steps, "seconds": round(monotonic() - began)}
        row["classes"] = judge_classes(state, judged)
        print(name, len(rows), steps, mean_of(row), flush=True)
        write_json(options.out, [*known, row])


def judge_classes(state: TrainState, judged: Dataset) -> dict[str, list[tuple[float, float]]]:
    """Error near the surface times 1,000, and percent of wrong signs, of some shapes of each class."""
    decoder = state.decoder.eval().requires_grad_(False)
    of_class: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(judged.classes):
        of_class[name].append(row)
    rows = torch.tensor([row for name in sorted(of_class) for row in of_class[name][:OF_CLASS]])
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    generator = torch.Generator().manual_seed(98)
    for part in rows.split(8):
        data = SignedSamples(*judged.sample(part, {"near": 16_000, "uniform": 4_000}, generator))
        result = infer_codes(decoder, data, state.codes.weight.detach(), EncodeConfig(pose="known"))
        points, distances = judged.sample(part, {"near": 1600, "uniform": 400}, generator)
        with torch.no_grad():
            predicted = decoder(result.guess.codes, points)
        for number, row in enumerate(part.tolist()):
            one = slice(number, number + 1)
            found[judged.classes[row]].append(errors_of(predicted[one], distances[one]))
    return dict(found)


def mean_of(row: dict[str, Any]) -> tuple[float, float]:
    """Error and percent of wrong signs over all judged shapes of a row."""
    pairs = [pair for pairs in row["classes"].values() for pair in pairs]
    return fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows, and the classes of the last row of all shapes, as Markdown."""
    lines = ["| trained on | shapes | steps | error x 1000 | wrong signs |", "|---" * 5 + "|"]
    for row in rows:
        error, wrong = mean_of(row)
        lines.append(f"| {row['name']} | {row['shapes']:,} | {row['steps']:,} | {error:.2f} | {wrong:.2f} % |")
    wholes = [row for row in rows if row["name"] == "1/1, steps grown"] or rows[-1:]
    if wholes:
        worst = sorted(wholes[0]["classes"].items(), key=lambda item: -fmean(pair[0] for pair in item[1]))
        figures = (f"{name} {fmean(pair[0] for pair in pairs):.1f}" for name, pairs in worst)
        lines += ["", f"By class, {wholes[0]['name']}: " + ", ".join(figures)]
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Error against shapes, at equal and at grown steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    curves = {"equal steps": [], "steps grown with the shapes": []}
    for row in rows:
        if row["name"].startswith("1/"):
            curves["steps grown with the shapes" if "grown" in row["name"] else "equal steps"].append(row)
        else:
            axes.plot(row["shapes"], mean_of(row)[0], "s", label=row["name"])
    for name, part in curves.items():
        part.sort(key=lambda row: row["shapes"])
        axes.plot([row["shapes"] for row in part], [mean_of(row)[0] for row in part], "o-", label=name)
    axes.set(xscale="log", xlabel="shapes of the base", ylabel="error of classes it lacks, x 1000")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
