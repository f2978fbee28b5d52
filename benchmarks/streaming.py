"""Samples a second of training from the disk, with a fraction of the dataset in memory, against all of it in memory.

    python benchmarks/streaming.py DATASET.h5 [--fraction 0.2] [--steps 60] [--rounds 3]

Both are trained in turn by one thread from the same seed, each in a process of its own; the rates are those of the
steps after the first five, by the processor's time (the reader in the background included) and by the clock. A short
run from disk pays for steps that were read ahead and not taken. Drawing the samples of many steps and nothing else
shows the cost of a step without that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

SKIPPED = 5


def measure(path: Path, memory: float, steps: int) -> dict[str, float]:
    """Samples a second of one run, the loss at its end, and the most bytes that were read ahead."""
    import torch

    from latentsdf.dataset.dataset import Dataset
    from latentsdf.training.loop import TrainEvent, train
    from latentsdf.training.presets import named_config

    torch.set_num_threads(1)
    dataset = Dataset(path, memory=memory)
    config = named_config()
    times: list[tuple[float, float]] = []
    peak = [0]
    last: list[TrainEvent] = []

    def on_event(event: TrainEvent) -> None:
        times.append((time.process_time(), time.monotonic()))
        last[:] = [event]
        if dataset._prefetch is not None:
            peak[0] = max(peak[0], dataset._prefetch.peak)

    train(dataset, config, steps=steps, on_event=on_event)
    samples = config.shapes_per_batch * config.points_per_shape
    (cpu, wall), (cpu_end, wall_end) = times[SKIPPED - 1], times[-1]
    taken = len(times) - SKIPPED
    return {
        "cpu": taken * samples / (cpu_end - cpu),
        "wall": taken * samples / (wall_end - wall),
        "loss": last[0].step.loss,
        "peak": peak[0],
    }


def draw(path: Path, memory: float, steps: int) -> float:
    """Milliseconds of processor time that drawing the samples of a step takes, the reader included."""
    import torch

    from latentsdf.dataset.dataset import Dataset, Draw
    from latentsdf.training.batch_sampler import BatchSampler
    from latentsdf.training.presets import named_config

    torch.set_num_threads(1)
    dataset, config = Dataset(path, memory=memory), named_config()
    here, ahead = (BatchSampler(config, len(dataset), 0) for _ in range(2))
    parts = next(iter(config.plan()[0].losses.values()))
    counts = {group: round(part * config.points_per_shape) for group, part in parts.items()}

    def drawn(sampler: BatchSampler, step: int) -> Draw:
        rows, generator = sampler.rows(0, step), torch.Generator().manual_seed(step)
        return rows, counts, torch.rand(len(rows), len(counts), dtype=torch.float64, generator=generator)

    with dataset.prefetched(lambda step: [drawn(ahead, step)], 0) as wait:
        began = time.process_time()
        for step in range(steps):
            wait(step)
            dataset.sample_at(*drawn(here, step))
        return 1e3 * (time.process_time() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--fraction", type=float, default=0.2, help="of the samples that the limit allows to hold")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=2000, help="steps whose samples are drawn and nothing else")
    parser.add_argument("--memory", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory is not None:
        print(json.dumps(measure(options.dataset, options.memory, options.steps)))
        return
    from latentsdf.dataset.file import stored_shapes

    total = 8 * sum(shape.samples for shape in stored_shapes(options.dataset).values())
    limits = {"memory": 2 * total / 2**30, "disk": options.fraction * total / 2**30}
    print(f"{total / 2**20:.0f} MiB of samples, limit {limits['disk'] * 1024:.0f} MiB")
    for name, limit in limits.items():
        print(
            f"{name:7} {draw(options.dataset, limit, options.draws):.2f} ms to draw the samples of a step", flush=True
        )
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in limits}
    for _ in range(options.rounds):
        for name, limit in limits.items():
            command = [sys.executable, __file__, str(options.dataset), "--memory", str(limit)]
            command += ["--steps", str(options.steps)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            rows[name].append(json.loads(answer))
            row = rows[name][-1]
            print(
                f"{name:7} {row['cpu']:9.0f} samples/s of processor time {row['wall']:9.0f} by the clock  "
                f"loss {row['loss']:.9f}  read ahead {row['peak'] / 2**20:.1f} MiB",
                flush=True,
            )
    if not options.rounds:
        return
    for key, words in (("cpu", "processor time"), ("wall", "the clock")):
        memory, disk = (statistics.median(row[key] for row in rows[name]) for name in limits)
        print(f"from disk / from memory by {words}: {disk / memory:.3f}")


if __name__ == "__main__":
    main()
