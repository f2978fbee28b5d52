"""Training by one process and by several on this machine, one core each: steps, samples and processor time.

    python benchmarks/ranks.py DATASET.h5 [--ranks 2] [--steps 60] [--runs 3]

Runs of one process and of several follow each other. Wall clock counts on an idle machine alone; processor time of the
slowest process a step also says on a busy one how the work divides, messages included.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from statistics import median
from typing import Any

WARM = 5
"""Steps that are not counted."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if "RANKS_REPORT" in os.environ:
        work(options.dataset, options.steps)
        return
    ratios = []
    for _ in range(options.runs):
        one, several = (run(options, count) for count in (1, options.ranks))
        cpu, wall = (one[key] / several[key] for key in ("cpu", "wall"))
        ratios.append((cpu, wall))
        print(f"1 process: {1e3 * one['cpu']:.1f} ms of processor time a step, {1e3 * one['wall']:.1f} ms in all")
        print(f"{options.ranks} processes: {1e3 * several['cpu']:.1f} ms each, {1e3 * several['wall']:.1f} ms in all")
        print(f"ratio: {cpu:.2f} by processor time, {wall:.2f} by the clock", flush=True)
    cpu, wall = (median(column) for column in zip(*ratios, strict=True))
    print(f"median ratio of {options.runs} runs: {cpu:.2f} by processor time, {wall:.2f} by the clock")


def run(options: argparse.Namespace, count: int) -> dict[str, float]:
    """Seconds a step of the slowest of some processes: of a processor, and of the clock."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    cores = sorted(os.sched_getaffinity(0))
    processes = []
    for rank in range(count):
        environment = {"RANKS_REPORT": "1", "RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
        environment |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = ["taskset", "-c", str(cores[rank % len(cores)]), sys.executable, *sys.argv]
        processes.append(subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True))
    reports = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    return {key: max(report[key] for report in reports) for key in ("cpu", "wall")}


def work(dataset: str, steps: int) -> None:
    """Train the default decoder for some steps, and print seconds a step."""
    from dataclasses import replace

    import latentsdf.training.loop as loop
    from latentsdf.training.presets import named_config

    times: list[tuple[float, float]] = []

    class Timed(loop.StageObjective):
        def __call__(self, step: int) -> dict[str, Any]:
            times.append((time.process_time(), time.monotonic()))
            return super().__call__(step)

    loop.StageObjective = Timed  # type: ignore[misc]
    loop.train(dataset, replace(named_config(), start="random"), steps=steps)
    spans = [last - first for first, last in zip(times[WARM], times[-1], strict=True)]
    print(json.dumps({key: span / (steps - 1 - WARM) for key, span in zip(("cpu", "wall"), spans, strict=True)}))


if __name__ == "__main__":
    main()
