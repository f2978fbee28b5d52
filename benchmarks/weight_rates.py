"""Bytes of a stored decoder against the error of the shapes it was trained on, with codes refitted and rounded.

    python benchmarks/weight_rates.py DATASET.h5 SPACE.h5 --rise 0.03 0.05 0.1 0.2

SPACE.h5 holds weights in more than the precision asked for (float32, or eight bits a number). Errors are those of
distances truncated at 0.02, near the surface (unit frame, times 1,000), and the percent of samples farther than 0.01
from the surface that have the wrong sign, of every fifth shape.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from training_curves import errors_of

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.base import Decoder
from latentsdf.space.store import load
from latentsdf.training import weight_precision
from latentsdf.training.code_precision import stored_codes
from latentsdf.training.code_refit import refitted_codes


def main() -> None:
    """Round, refit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("space", type=Path)
    parser.add_argument("--rise", type=float, nargs="+", default=[0.03, 0.05, 0.1, 0.2])
    parser.add_argument("--code-bytes", type=float, default=140.0)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    space, dataset = load(options.space), Dataset(options.dataset)
    rows = {name: row for row, name in enumerate(dataset.names)}
    seen = dataset.subset([rows[name] for name in space.names])
    decoder, codes = space.decoder, space.codes()
    judged = torch.arange(0, len(codes), 5)
    points, distances = seen.sample(judged, {"near": 1600, "uniform": 400}, torch.Generator().manual_seed(99))

    def errors(decoder: Decoder, codes: Tensor) -> str:
        with torch.no_grad():
            parts = [decoder(codes[judged[i : i + 8]], points[i : i + 8]) for i in range(0, len(judged), 8)]
        return "{:.3f}, {:.2f} %".format(*errors_of(torch.cat(parts), distances))

    print("| weights | bytes of large tensors | codes as they were | refitted | refitted and rounded |")
    print("|---|---|---|---|---|")
    refitted = refitted_codes(decoder, codes, seen, 0)
    print(f"| as given | - | {errors(decoder, codes)} | {errors(decoder, refitted)} | - |")
    for rise in options.rise:
        with patch.object(weight_precision, "RISE", rise):
            stored = weight_precision.stored_weights(decoder, codes, seen, 0)
        weights = dict(stored.decoder.named_parameters())
        size = sum(len(steps.pack(weights[name])) for name, steps in stored.steps.items())
        refitted = refitted_codes(stored.decoder, codes, seen, 0)
        rounded = stored_codes(stored.decoder, refitted, seen, options.code_bytes, 0).codes
        row = [errors(stored.decoder, found) for found in (codes, refitted, rounded)]
        print(f"| rise of {rise:.0%} | {size:,} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
