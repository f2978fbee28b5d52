"""Train the network of `latentsdf.solver.learned_weights`: supervised first, then through the adjoint of the solve.

    python benchmarks/train_reliability.py MESH_DIR WORK_DIR --minutes 20
    python benchmarks/train_reliability.py MESH_DIR WORK_DIR --judge        # fields of every stage on held-out scans
    cp WORK_DIR/adjoint.npz latentsdf/scan/reliability.npz                  # or supervised.npz, the better one

MESH_DIR is a folder of meshes, 80 % of which are trained on (the split of `fidelity.py`), the rest is for --judge.
Scans are stored in WORK_DIR/pool, the network and the state of its optimizer after each report in WORK_DIR, from which
a stopped run resumes. The first stage classifies points by whether they lie near the true surface; the second solves
for the field with the network's weights and backpropagates the field's error at true points through the adjoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from field_error import Bench
from reliability_pool import Item, pool
from torch import Tensor, nn

from latentsdf.scan.local_features import FEATURES, local_features
from latentsdf.scan.reliability import network_weights

WIDTH = 32
"""Units of each of the two hidden layers."""
STEPS = 2000
"""Of the supervised stage, 4,096 points each."""
LEARNING = 1e-3
"""Rate of the adjoint stage."""
SMALL = 3000
"""Scans of at most so many points take part in the adjoint stage: a step costs a solve and an adjoint solve each."""


class Weigher(nn.Module):
    """The network: standardised features (N, F) to logits (N,)."""

    def __init__(self, mean: Tensor, deviation: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        sizes = (FEATURES, WIDTH, WIDTH, 1)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))

    def forward(self, features: Tensor) -> Tensor:
        state = (features - self.get_buffer("mean")) / self.get_buffer("deviation")
        for layer in self.layers[:-1]:
            state = torch.relu(layer(state))
        return self.layers[-1](state)[:, 0]

    def parts(self) -> list[np.ndarray]:
        """Arrays as `network_weights` takes them."""
        arrays = [self.get_buffer("mean"), self.get_buffer("deviation")]
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            arrays += [layer.weight.detach().T, layer.bias.detach()]
        return [array.float().numpy().copy() for array in arrays]

    def load_parts(self, parts: list[np.ndarray]) -> None:
        """Load arrays as `parts` returns them."""
        with torch.no_grad():
            self.get_buffer("mean").copy_(torch.from_numpy(parts[0]))
            self.get_buffer("deviation").copy_(torch.from_numpy(parts[1]))
            for layer, matrix, shift in zip(self.layers, parts[2::2], parts[3::2], strict=True):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(torch.from_numpy(matrix).T)
                layer.bias.copy_(torch.from_numpy(shift))


def main() -> None:
    """Create the pool, train the stages, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--scans", type=int, default=300)
    parser.add_argument("--held-out", type=int, default=40, help="scans for the judgement")
    parser.add_argument("--minutes", type=float, default=20.0, help="of the adjoint stage in this run")
    parser.add_argument("--batch", type=int, default=4, help="scans a step of the adjoint stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", action="store_true", help="train nothing")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    if not options.judge:
        items = list(pool(options.work / "pool", options.meshes, options.scans, held_out=False))
        print(f"{len(items)} scans", flush=True)
        features = [known_features(item, options.work / f"features/{n}.npy") for n, item in enumerate(items)]
        if not (options.work / "supervised.npz").exists():
            supervised(items, features, options)
        adjoint(items, features, options)
    judge(options)


def known_features(item: Item, path: Path) -> np.ndarray:
    """Features of a scan's points, cached in a file."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        np.save(path, local_features(item.points, item.normals).astype(np.float32), allow_pickle=False)
    return np.load(path, allow_pickle=False)


def supervised(items: list[Item], features: list[np.ndarray], options: argparse.Namespace) -> None:
    """Train the first stage: whether a point lies near the true surface."""
    table = torch.from_numpy(np.concatenate(features))
    labels = torch.from_numpy(np.concatenate([item.distances < item.limit for item in items])).float()
    network = Weigher(table.mean(0), table.std(0) + 0.05)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    total = 0.0
    for step in range(1, STEPS + 1):
        rows = torch.randint(len(table), (4096,))
        loss = nn.functional.binary_cross_entropy_with_logits(network(table[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += float(loss.detach())
        if step % 250 == 0:
            print(f"supervised {step}: cross entropy {total / 250:.4f}", flush=True)
            total = 0.0
    keep(options.work / "supervised.npz", network.parts())


def adjoint(items: list[Item], features: list[np.ndarray], options: argparse.Namespace) -> None:
    """Train the second stage: the error of the solved field, through the solve."""
    path, state = options.work / "adjoint.npz", options.work / "adjoint_state.npz"
    network = Weigher(torch.zeros(FEATURES), torch.ones(FEATURES))
    network.load_parts(read(path if path.exists() else options.work / "supervised.npz"))
    optimizer, step = torch.optim.Adam(network.parameters(), LEARNING), 0
    if state.exists():
        step = load_moments(optimizer, state)
    small = [number for number, item in enumerate(items) if len(item.points) <= SMALL]
    benches: dict[int, Bench] = {}
    rng, began, total = np.random.default_rng([options.seed, step]), monotonic(), 0.0
    while monotonic() - began < 60 * options.minutes:
        optimizer.zero_grad()
        for number in rng.choice(small, options.batch, replace=False):
            if number not in benches:
                benches[number] = Bench(items[number])
            logits = network(torch.from_numpy(features[number]))
            weights = torch.sigmoid(logits)
            error, slope = benches[number].error_and_gradient(weights.detach().double().numpy())
            # The logarithm, so that scans that fail for other reasons, such as flipped normals, dominate no others.
            weights.backward(torch.from_numpy(slope / error / options.batch).float())
            total += np.log(error) / options.batch
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 10 == 0:
            print(f"adjoint {step}: log of the field error {total / 10:.4f}, {monotonic() - began:.0f} s", flush=True)
            total = 0.0
            keep(path, network.parts())
            keep_moments(optimizer, step, state)
    keep(path, network.parts())
    keep_moments(optimizer, step, state)


def judge(options: argparse.Namespace) -> None:
    """Mean field error on held-out scans: no weights, each stage, and weights by the ground truth."""
    stages = {name: read(options.work / f"{name}.npz") for name in ("supervised", "adjoint")}
    rows: list[dict[str, float]] = []
    for item in pool(options.work / "pool", options.meshes, options.held_out, held_out=True):
        bench, features = Bench(item), local_features(item.points, item.normals)
        row = {"none": bench.error(np.ones(len(item.points)))}
        for name, parts in stages.items():
            row[name] = bench.error(network_weights(features, parts))
        row["knowing"] = bench.error((item.distances < item.limit).astype(np.float64))
        rows.append(row)
        print({name: round(value, 4) for name, value in row.items()}, flush=True)
    for name in rows[0]:
        values = [row[name] for row in rows]
        middle = np.exp(np.mean(np.log(values)))
        print(f"{name}: mean {np.mean(values):.4f}, median {np.median(values):.4f}, geometric mean {middle:.4f}")
    better = sum(row["adjoint"] < row["supervised"] for row in rows)
    print(f"adjoint below supervised on {better} of {len(rows)} scans")


def keep(path: Path, parts: list[np.ndarray]) -> None:
    """Write a network."""
    temporary = path.with_suffix(".part.npz")
    named: dict[str, Any] = {f"part{number}": part for number, part in enumerate(parts)}
    np.savez(temporary, **named)
    temporary.rename(path)


def read(path: Path) -> list[np.ndarray]:
    """Read a network."""
    with np.load(path, allow_pickle=False) as parts:
        return [parts[f"part{number}"] for number in range(len(parts.files))]


def keep_moments(optimizer: torch.optim.Adam, step: int, path: Path) -> None:
    """Write the step and the moments of Adam."""
    moments = [optimizer.state[p][name].numpy() for p in optimizer.param_groups[0]["params"] for name in MOMENTS]
    keep(path, [np.array(step), *moments])


MOMENTS = ("exp_avg", "exp_avg_sq")


def load_moments(optimizer: torch.optim.Adam, path: Path) -> int:
    """Read the moments of Adam; returns the step."""
    step, *arrays = read(path)
    pairs = iter(arrays)
    for parameter in optimizer.param_groups[0]["params"]:
        moments = {name: torch.from_numpy(next(pairs)) for name in MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}
    return int(step)


if __name__ == "__main__":
    main()
