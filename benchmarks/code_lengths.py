"""How many numbers should a code of so many bytes have? A base space restricted to fewer numbers, rounded to sizes.

    python benchmarks/code_lengths.py DATASET.h5 --numbers 64 96 128 160 200 256 --bytes 50 68 100 140

The shapes of the dataset that `split.py` trains on are encoded into the default base space, whose codes are turned
to the axes that matter most to the fields (`training.start_codes.ordered_codes`); `--plain` takes the principal axes
of the codes instead. Held-out shapes are then fitted in the first so many numbers, in a known pose, and rounded as a
file holds them. Printed: mean bytes, and of the fields near the surface the error times 1,000 and the share of wrong
signs in percent, without rounding and at each size.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from split import split
from torch import Tensor
from training_curves import errors_of

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.base import Decoder
from latentsdf.decoder.linearize import code_hessians
from latentsdf.inference.code_fitting import EncodeConfig, infer_codes
from latentsdf.inference.residuals import SignedSamples
from latentsdf.space.code_format import CodeFormat
from latentsdf.training.code_precision import NEAR, SAMPLES, hessians_and_error
from latentsdf.training.start_codes import fitted_codes, ordered_codes
from latentsdf.training.warm_start import base_space

BATCH = 8


def main() -> None:
    """Restrict, fit, round, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--numbers", type=int, nargs="+", default=[64, 96, 128, 160, 200, 256])
    parser.add_argument("--bytes", type=float, nargs="+", default=[50, 68, 100, 140])
    parser.add_argument("--shapes", type=int, default=32)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    dataset, base = Dataset(options.dataset), base_space()
    row_of = {name: row for row, name in enumerate(dataset.names)}
    seen, unseen = (dataset.subset([row_of[name] for name in names]) for names in split(dataset.names))
    codes = fitted_codes(base, base.decoder, seen, 0)
    if options.plain:
        axes = torch.linalg.svd(codes, full_matrices=False)[2]
        turned = codes @ axes.T
    else:
        turned, axes = ordered_codes(base.decoder, codes, base.codes(), seen, 0)
    for numbers in options.numbers:
        decoder = base.decoder.restricted(axes[:numbers])
        assert decoder is not None
        print(numbers, judge(decoder, turned[:, :numbers], seen, unseen, options), flush=True)


def judge(
    decoder: Decoder, stored: Tensor, seen: Dataset, unseen: Dataset, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Mean bytes, error and wrong signs of held-out shapes, without rounding and by each size asked for."""
    generator, linearize = torch.Generator().manual_seed(98), decoder.linearizer()
    some = torch.randperm(len(stored), generator=torch.Generator().manual_seed(0))[:64]
    hessians, _ = hessians_and_error(decoder, stored, seen, some, generator)
    slopes = hessians.mean(0).diagonal().sqrt()
    forms = {f"{size:g}": CodeFormat.of_size(stored, slopes, size) for size in options.bytes}
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in ("not rounded", *forms)}
    for part in torch.linspace(0, len(unseen) - 1, options.shapes).long().split(BATCH):
        samples = SignedSamples(*unseen.sample(part, {"near": 16_000, "uniform": 4_000}, generator))
        fitted = infer_codes(decoder, samples, stored, EncodeConfig(pose="known")).guess.codes
        points, distances = unseen.sample(part, {"near": 1600, "uniform": 400}, generator)
        own = code_hessians(linearize, fitted, unseen.sample(part, SAMPLES, generator)[0], NEAR)
        with torch.no_grad():
            rows["not rounded"].append((4.0 * fitted.shape[1], *errors_of(decoder(fitted, points), distances)))
            for name, form in forms.items():
                rounded = form.rounded(fitted, own)
                length = sum(map(len, form.pack(rounded))) / len(rounded)
                rows[name].append((length, *errors_of(decoder(rounded, points), distances)))
    return {name: means(part) for name, part in rows.items()}


def means(rows: Sequence[tuple[float, ...]]) -> list[float]:
    """Means of columns."""
    return [round(sum(column) / len(rows), 2) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    main()
