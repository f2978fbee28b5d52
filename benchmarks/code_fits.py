"""Codes of held-out shapes: second-order fits and Adam side by side, error and seconds a shape.

    python benchmarks/code_fits.py SPACE.h5 DATASET.h5 --shapes 32 --adam 800

Shapes of the dataset that the space does not hold, in batches of 16, samples ready. Error: mean truncated distance
error (0.03) on 4,000 samples that no fit saw, times 1000.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, median
from time import monotonic

import torch

from latentsdf.code_fit import EncodeConfig, Targets, infer_codes
from latentsdf.code_problem import Guess, Problem
from latentsdf.dataset import Dataset
from latentsdf.residuals import Residuals
from latentsdf.store import load

BATCH = 16
JUDGED = 4000
SAMPLES = {"near": 32_000, "uniform": 8_000}


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--shapes", type=int, default=32)
    parser.add_argument("--starts", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--adam", nargs="*", type=int, default=[800], help="steps")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    space, dataset = load(options.space), Dataset(options.dataset)
    held = [row for row, name in enumerate(dataset.names) if name not in space]
    rows = held[:: max(1, len(held) // options.shapes)][: options.shapes]
    points, distances = dataset.draw(rows, SAMPLES, torch.Generator().manual_seed(0))
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(0))
    points, distances = points[:, order], distances[:, order]
    problem = Problem(space.decoder, 0.0)
    ways = {f"second order, {starts} starts": EncodeConfig(starts=starts) for starts in options.starts}
    ways |= {f"Adam, {steps} steps": EncodeConfig(method="adam", steps=steps) for steps in options.adam}
    print("| fit | shapes | error: mean, median | seconds a shape |", "|---|---|---|---|", sep="\n", flush=True)
    for name, config in ways.items():
        errors: list[float] = []
        seconds = 0.0
        for part in torch.arange(len(rows)).split(BATCH):
            began = monotonic()
            found = infer_codes(
                space.decoder, Targets(points[part, JUDGED:], distances[part, JUDGED:]), space.codes(), config
            )
            seconds += monotonic() - began
            judged = Residuals(points[part, :JUDGED], distances[part, :JUDGED])
            with torch.no_grad():
                errors += (1e3 * problem.losses(Guess(found.codes), [judged], 0.03)).tolist()
        print(
            f"| {name} | {len(rows)} | {mean(errors):.2f}, {median(errors):.2f} | {seconds / len(rows):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
