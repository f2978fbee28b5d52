"""Time of a read of feature volumes and of its gradient: ours, torch's embedding_bag, and grid_sample, one thread.

python benchmarks/lookup.py [--points 16384] [--shapes 16]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional

from latentsdf.decoder.lookup import read_volumes


def main() -> None:
    """Print a Markdown table, milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=16384)
    parser.add_argument("--shapes", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| volume | ours | plain gather | grid_sample |\n|---|---|---|---|")
    for resolution, channels in ((8, 8), (16, 4), (32, 4)):
        volumes = torch.randn(options.shapes, *[resolution] * 3, channels, requires_grad=True)
        points = torch.rand(options.shapes, options.points // options.shapes, 3) * 2 - 1
        reads: list[Callable[[], Tensor]] = [
            lambda v=volumes, p=points: read_volumes(v, p, False),
            lambda v=volumes, p=points: read_volumes(v, p, True),
            lambda v=volumes, p=points: read_by_grid_sample(v, p),
        ]
        times = [f"{milliseconds(read, volumes):.1f}" for read in reads]
        print(f"| {resolution}^3 x {channels} | {' | '.join(times)} |", flush=True)


def read_by_grid_sample(volumes: Tensor, points: Tensor) -> Tensor:
    """The same read by torch's own sampler."""
    grid = points.flip(-1)[:, :, None, None]
    values = functional.grid_sample(volumes.permute(0, 4, 1, 2, 3), grid, align_corners=True, padding_mode="border")
    return values[..., 0, 0].transpose(1, 2)


def milliseconds(read: Callable[[], Tensor], volumes: Tensor, times: int = 20) -> float:
    """Milliseconds of a read and the gradient of the volumes, median of several."""
    taken = []
    for _ in range(times):
        began = perf_counter()
        value = read()
        torch.autograd.grad(value.sum(), volumes)
        taken.append(perf_counter() - began)
    return 1e3 * sorted(taken)[len(taken) // 2]


if __name__ == "__main__":
    main()
