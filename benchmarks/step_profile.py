"""Profile of a training step on one thread: shares of products, gathers and activations, and their rates.

    python benchmarks/step_profile.py [--points 1024] [--shapes 16] [--branch coarse fine]

The default decoder (the base space's), forward and backward, codes and weights alike; no optimiser, no data. The rate
of products is set beside that of a large one, the rate of a copy says what memory gives.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from latentsdf.training.warm_start import base_space

PRODUCTS = "matrix products"
KINDS = {
    PRODUCTS: ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul"),
    "gathers and their gradients": ("embedding", "index", "WeightedRows", "Scattered", "gather"),
    "activations": ("silu", "mul", "sigmoid"),
}
REPEATS = 20


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--shapes", type=int, default=16)
    parser.add_argument("--branch", nargs="+", default=["coarse", "fine"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"large product {product_rate():.0f} GFLOP/s, copy {copy_rate():.1f} GB/s (read and written), one thread\n")
    print("| branch | samples/s | part | share of the time | |\n|---|---|---|---|---|")
    decoder = base_space("dual").decoder.requires_grad_(True)
    codes = nn.Parameter(0.1 * torch.randn(options.shapes, decoder.code_size))
    points = torch.rand(options.shapes, options.points, 3) * 2 - 1

    for branch in options.branch:

        def step(branch: str = branch) -> Tensor:
            loss = decoder(codes, points, branch).abs().mean()
            loss.backward()
            return loss

        step()
        with FlopCounterMode(display=False) as counter:
            step()
        began = perf_counter()
        for _ in range(REPEATS):
            step()
        seconds = (perf_counter() - began) / REPEATS
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(REPEATS):
                step()
        shares = by_kind({event.key: event.self_cpu_time_total for event in profiled.key_averages()})
        for kind, share in shares.items():
            reached = f"{counter.get_total_flops() / (share * seconds) / 1e9:.0f} GFLOP/s"
            done = reached if kind == PRODUCTS else ""
            rate = f"{options.points * options.shapes / seconds:,.0f}"
            print(f"| {branch} | {rate} | {kind} | {share:.0%} | {done} |", flush=True)


def by_kind(times: dict[str, float]) -> dict[str, float]:
    """Shares of the whole time, by kind of operation."""
    shares = dict.fromkeys([*KINDS, "the rest"], 0.0)
    for name, time in times.items():
        kinds = [kind for kind, words in KINDS.items() if any(word in name for word in words)]
        shares[kinds[0] if kinds else "the rest"] += time
    return {kind: time / sum(times.values()) for kind, time in shares.items()}


def product_rate(size: int = 2048) -> float:
    """GFLOP/s of a large product in single precision."""
    first, second = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / least_seconds(lambda: first @ second) / 1e9


def copy_rate(count: int = 50_000_000) -> float:
    """GB/s read and written by a copy that no cache holds."""
    source, target = torch.randn(count), torch.empty(count)
    return 8 * count / least_seconds(lambda: target.copy_(source)) / 1e9


def least_seconds(work, times: int = 5) -> float:
    """Least seconds of several."""
    taken = []
    for _ in range(times):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return min(taken)


if __name__ == "__main__":
    main()
