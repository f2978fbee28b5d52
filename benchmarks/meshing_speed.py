"""Speed of meshing shapes against an older commit in one run, and the share of the matrix rate it reaches, on one core.

    git worktree add --detach OLD 709c575
    python benchmarks/meshing_speed.py --old OLD [--space SPACE.h5] [--resolution 64 128 256] [--shapes 4] [--rounds 5]
    python benchmarks/meshing_speed.py --whole --space SPACE.h5 [--resolution 128] [--shapes 18]

Each tree meshes the same shapes of one space in a process of its own, in turns; the space must be one that both can
open, by default checkpoints/families.h5 of the old tree. Seconds are processor time of one thread, the least of all
rounds for each shape, summed over the shapes. "Same" counts shapes with as many faces from both. With --whole the
meshes are compared with those of the lattice that is evaluated completely instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from latentsdf import LatentSpace, load
from latentsdf.mesh import crossed_cells

HERE = Path(__file__).resolve().parents[1]
TIMED = """
import json, sys, time
import torch
torch.set_num_threads(1)
import latentsdf
path, resolutions, number = json.loads(sys.argv[1])
space, out = latentsdf.load(path), []
names = list(space)
for name in names[:: max(1, len(names) // number)][:number]:
    space[name].mesh(min(resolutions))
    for resolution in resolutions:
        began = time.process_time()
        mesh = space[name].mesh(resolution)
        out.append([name, resolution, time.process_time() - began, len(mesh.faces), bool(mesh.is_watertight)])
print(json.dumps(out))
"""


class Meshed(NamedTuple):
    """Processor seconds of a mesh, its faces, and whether it is watertight."""

    seconds: float
    faces: int
    tight: bool


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="a working tree of the commit to compare with")
    parser.add_argument("--space", type=Path, help="a space that both can open")
    parser.add_argument("--resolution", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--shapes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    if options.whole:
        compare_with_whole(load(options.space), options.shapes, max(options.resolution))
        return
    path = (options.space or options.old / "checkpoints" / "families.h5").resolve()
    request = json.dumps([str(path), options.resolution, options.shapes])
    rounds = [(meshed(options.old, request), meshed(HERE, request)) for _ in range(options.rounds)]
    print("| cells per axis | seconds, old | new | ratio | ratio by shape | same | watertight |\n" + "|---" * 7 + "|")
    for resolution in options.resolution:
        old, new = (best([pair[side] for pair in rounds], resolution) for side in range(2))
        ratios = [old[name].seconds / new[name].seconds for name in old]
        before, after = (sum(item.seconds for item in side.values()) for side in (old, new))
        same, tight = sum(old[name].faces == new[name].faces for name in old), sum(item.tight for item in new.values())
        print(
            f"| {resolution} | {before:.2f} | {after:.3f} | {before / after:.1f} | {min(ratios):.1f} to "
            f"{max(ratios):.1f} | {same} of {len(old)} | {tight} of {len(old)} |",
            flush=True,
        )
    torch.set_num_threads(1)
    report_rates(path, max(options.resolution))


def compare_with_whole(space: LatentSpace, shapes: int, resolution: int) -> None:
    """Count the meshes with as many faces and vertices as those of the complete lattice."""
    names, same = list(space)[:: max(1, len(space) // shapes)][:shapes], 0
    for name in names:
        mesh = space[name].mesh(resolution)
        crossed_cells.WHOLE, before = resolution, crossed_cells.WHOLE
        whole = space[name].mesh(resolution)
        crossed_cells.WHOLE = before
        same += len(mesh.faces) == len(whole.faces) and len(mesh.vertices) == len(whole.vertices)
    print(f"{same} of {len(names)} meshes at {resolution} cells are those of the complete lattice")


def meshed(tree: Path, request: str) -> dict[tuple[str, int], Meshed]:
    """Run `TIMED` with the package of a tree: (name, resolution) -> what it took."""
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TIMED, request]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=tree)
    return {(row[0], row[1]): Meshed(*row[2:]) for row in json.loads(result.stdout)}


def best(rounds: list[dict[tuple[str, int], Meshed]], resolution: int) -> dict[str, Meshed]:
    """Fastest of all rounds by name."""
    names = [name for name, size in rounds[0] if size == resolution]
    return {name: min(found[name, resolution] for found in rounds) for name in names}


def report_rates(path: Path, resolution: int, points: int = 1 << 18) -> None:
    """Print points per second of a field, and the rate of matrix products in it and in a mesh beside a large one's."""
    space = load(path)
    shape = space[next(iter(space))]
    queries = torch.rand(points, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    size = 2048
    first, second = torch.randn(size, size), torch.randn(size, size)
    product = 2 * size**3 / least_seconds(lambda: first @ second)
    print(f"\nlarge product {product / 1e9:.0f} GFLOP/s, one thread")
    with torch.no_grad():
        sdf = shape.sdf
        for name, work in (
            (f"field at {points:,} points in the cube", lambda: sdf(queries)),
            (f"mesh({resolution})", lambda: shape.mesh(resolution)),
        ):
            with FlopCounterMode(display=False) as counter:
                work()
            seconds = least_seconds(work)
            rate = counter.get_total_flops() / seconds
            done = f", {points / seconds / 1e6:.2f} million points/s" if "field" in name else ""
            print(f"{name}: {seconds:.3f} s{done}, {rate / 1e9:.0f} GFLOP/s = {rate / product:.0%} of it", flush=True)


def least_seconds(work: Any, times: int = 7) -> float:
    """Least processor seconds of several."""
    taken = []
    for _ in range(times):
        began = process_time()
        work()
        taken.append(process_time() - began)
    return min(taken)


if __name__ == "__main__":
    main()
