"""Seen and unseen error against training time, for the default training and for changes of it one at a time.

    python benchmarks/training_curves.py DATASET.h5 OUT.json --minutes 5 --variants default "1024 points" "no tail"
    python benchmarks/training_curves.py DATASET.h5 OUT.json --table          # the rows so far, as Markdown

Every second class of the dataset is trained on, shapes of the others are encoded at the end. Errors are those of
distances truncated at 0.02, near the surface (unit frame, times 1,000), and the share of samples farther than 0.01 from
the surface that have the wrong sign: missing parts and ghosts. A row goes to OUT.json as soon as it is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from judging import read_json, write_json
from torch import Tensor

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.coarse import CoarseVolumes
from latentsdf.decoder.volumes import VolumesConfig
from latentsdf.inference.code_fitting import EncodeConfig, infer_codes
from latentsdf.inference.residuals import SignedSamples
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import Trainer, TrainEvent
from latentsdf.training.presets import named_config
from latentsdf.training.rehearsal import make_rehearsal
from latentsdf.training.state import TrainState
from latentsdf.training.warm_start import start_space

NEAR, WRONG = 0.02, 0.01
"""Truncation of the error, and distance from which on a wrong sign counts."""
JUDGED, UNSEEN = 80, 24
"""Shapes of each side that are judged."""


def _volumes(resolutions: tuple[int, ...], channels: tuple[int, ...], width: int = 64, warp: int = 5) -> VolumesConfig:
    return VolumesConfig(volumes=CoarseVolumes(resolutions=resolutions, channels=channels, width=width, warp=warp))


VARIANTS: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "default": lambda config: config,
    "64 numbers": lambda config: named_config(code_size=64),
    "128 numbers": lambda config: named_config(code_size=128),
    "384 numbers": lambda config: named_config(code_size=384),
    "nested (prefix) codes": lambda config: replace(config, nested=(16, 32, 64, 128)),
    "no squared tail": lambda config: replace(config, tail=0.0),
    "1,024 points a shape": lambda config: replace(config, points_per_shape=1024),
    "256 points a shape": lambda config: replace(config, points_per_shape=256),
    "volumes 8 x 8, 16 x 4": lambda config: replace(config, decoder=_volumes((8, 16), (8, 4))),
    "volumes 8 x 8, 24 x 4": lambda config: replace(config, decoder=_volumes((8, 24), (8, 4))),
    "head of 96": lambda config: replace(config, decoder=_volumes((8, 24), (8, 2), width=96)),
    "no warp": lambda config: replace(config, decoder=_volumes((8, 24), (8, 2), warp=0)),
    "warp of 7": lambda config: replace(config, decoder=_volumes((8, 24), (8, 2), warp=7)),
    "warp of 9": lambda config: replace(config, decoder=_volumes((8, 24), (8, 2), warp=9)),
    "random start": lambda config: replace(config, start="random"),
    "fine branch (dual), components": lambda config: replace(named_config("dual"), start="components"),
    "fine branch (dual), base space": lambda config: named_config("dual"),
    "version 0.1": lambda config: replace(named_config("dual", 64), tail=0.0, points_per_shape=1024),
}


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--classes", nargs="+", help="classes of the dataset that take part; all if left out")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.table:
        dataset = Dataset(options.dataset)
        for name in options.variants:
            measure(dataset, name, options)
    print(table(read_json(options.out, [])))


def measure(dataset: Dataset, name: str, options: argparse.Namespace) -> None:
    """Train one variant for the time, and append its row."""
    rows = read_json(options.out, [])
    if any((row["variant"], row["minutes"]) == (name, options.minutes) for row in rows):
        return
    classes = sorted(set(options.classes or dataset.classes))
    seen, unseen = (
        dataset.subset([row for row, kind in enumerate(dataset.classes) if kind in part])
        for part in (classes[::2], classes[1::2])
    )
    config = VARIANTS[name](named_config())
    start = start_space(config)
    state = TrainState.fresh(seen, config, start, torch.device("cpu"))
    judged = torch.arange(0, len(seen), max(1, len(seen) // JUDGED))
    points, distances = state.dataset.sample(judged, {"near": 1600, "uniform": 400}, torch.Generator().manual_seed(99))
    curve: list[tuple[float, float, float]] = []
    spent = [0.0]

    def on_event(event: TrainEvent) -> None:
        if event.progress >= 0.1 * (1 + len(curve)) and event.progress < 1.0:
            began = monotonic()
            errors = judge(state, judged, points, distances)
            curve.append((round(60 * options.minutes * event.progress), *errors))
            spent[0] = event.samples_per_second
            print(name, curve[-1], f"{monotonic() - began:.1f} s to judge", flush=True)

    Trainer(state, make_rehearsal(config, start, torch.device("cpu")), None, None, 60 * options.minutes, on_event).run()
    final = judge(state, judged, points, distances)
    row = {"variant": name, "minutes": options.minutes, "shapes": len(seen), "seen": final, "curve": curve}
    row |= {"unseen": encode_unseen(state, unseen), "samples_per_second": spent[0]}
    row["parameters"] = state.decoder.parameter_count()
    write_json(options.out, [*read_json(options.out, []), row])
    print(table([row]), flush=True)


@torch.no_grad()
def judge(state: TrainState, rows: Tensor, points: Tensor, distances: Tensor) -> tuple[float, float]:
    """Error near the surface times 1,000, and percent of wrong signs, of stored codes."""
    parts = [state.decoder(state.codes.weight[rows[i : i + 8]], points[i : i + 8]) for i in range(0, len(rows), 8)]
    return errors_of(torch.cat(parts), distances)


def errors_of(predicted: Tensor, distances: Tensor) -> tuple[float, float]:
    """The same of predicted distances (S, N); the first 1,600 samples of a shape lie near its surface."""
    near = (predicted.clamp(-NEAR, NEAR) - distances.clamp(-NEAR, NEAR)).abs()[:, :1600].mean()
    wrong = ((predicted * distances < 0) & (distances.abs() > WRONG)).float().mean()
    return round(1e3 * float(near), 3), round(100 * float(wrong), 3)


def encode_unseen(state: TrainState, unseen: Dataset) -> tuple[float, float]:
    """The same of shapes that were not trained on, encoded from other samples of theirs in a known pose."""
    decoder = state.decoder.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(98)
    errors = []
    for rows in torch.linspace(0, len(unseen) - 1, UNSEEN).long().split(8):
        data = SignedSamples(*unseen.sample(rows, {"near": 16_000, "uniform": 4_000}, generator))
        config = EncodeConfig(pose="known")
        result = infer_codes(decoder, data, state.codes.weight.detach(), config)
        points, distances = unseen.sample(rows, {"near": 1600, "uniform": 400}, generator)
        with torch.no_grad():
            errors.append(errors_of(decoder(result.guess.codes, points), distances))
    return tuple(round(sum(part) / len(errors), 3) for part in zip(*errors, strict=True))  # type: ignore[return-value]


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    lines = [
        "| training | minutes | numbers in the decoder | samples/s | seen: error x 1000, wrong % | unseen |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = " | ".join(f"{row[side][0]:.2f}, {row[side][1]:.2f}" for side in ("seen", "unseen"))
        size, speed = row["parameters"], row["samples_per_second"]
        lines.append(f"| {row['variant']} | {row['minutes']:g} | {size:,} | {speed:,.0f} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
