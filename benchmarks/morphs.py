"""Morphs between stored shapes: do they stay whole, keep their volume and move evenly? Methods compared.

    python benchmarks/morphs.py SPACE.h5 OUT.json [--within 200] [--between 200] [--method NAME ...] [--table]

Pairs are drawn with a seed: within classes (a class, then two of its shapes) and between classes (two classes, then a
shape of each). Each morph is read at t = 1/8 ... 7/8 on a lattice of 97 vertices an axis, its ends from their samples
on it. A piece is a connected set of vertices inside; *pieces* are those of at least 1 % of the volume, *all* counts
crumbs too. A pair is right where the number of pieces goes monotonically from that of one end to that of the other: it
is constant where the ends have as many, which is counted by itself. In *all* the ends count without their crumbs.
Columns of the table: shares of pairs; least volume on the way over that of the smaller end, and greatest over that of
the larger one; greatest step, the mean distance of neighbouring surfaces over that of the ends (1/8 if even);
seconds a step on one core, registration included. OUT.json grows pair by pair, and a second run continues it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path
from torch import Tensor
from torch.nn import functional

from latentsdf.core.names import class_of
from latentsdf.space.morph import Morph, MorphConfig, level_of_volume, sample_field
from latentsdf.space.pieces import count_pieces
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load
from latentsdf.space.velocity import signed_distances

STEPS, RESOLUTION, CRUMB, NEIGHBOURS = 8, 97, 0.01, 6
PARTS = {
    "fields": MorphConfig(warp=False, sharpness=0, keep_volume=False, join=False),
    "fields, volume": MorphConfig(warp=False, sharpness=0, join=False),
    "fields 20, volume, join": MorphConfig(warp=False),
    "warp": MorphConfig(sharpness=0, keep_volume=False, join=False),
    "warp, volume": MorphConfig(sharpness=0, join=False),
    "warp 20, volume": MorphConfig(join=False),
    "warp 60, volume": MorphConfig(sharpness=60, join=False),
    "warp 20, volume, join": MorphConfig(),
    "warp 60, volume, join": MorphConfig(sharpness=60),
}
"""Methods of `Morph`: fields mixed in place or moved first, sharpness of the blend, level by volume, pieces joined."""
CODES = ("codes", "codes, volume", "neighbours")
"""Methods on codes: linear, with the level of the volume, along shortest paths over nearest stored codes."""

At = Callable[[float], Tensor]


def main() -> None:
    """Draw pairs, morph, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--within", type=int, default=200, help="pairs within classes")
    parser.add_argument("--between", type=int, default=200, help="pairs between classes")
    parser.add_argument("--method", nargs="+", default=["warp 20, volume, join"], choices=[*CODES, *PARTS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="print the table of OUT.json and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = json.loads(options.out.read_text()) if options.out.is_file() else []
    if not options.table:
        space = load(options.space)
        known = {(row["a"], row["b"], row["method"]) for row in rows}
        for number, (a, b) in enumerate(draw_pairs(list(space), options.within, options.between, options.seed)):
            methods = [method for method in options.method if (a, b, method) not in known]
            if methods:
                rows += [{"a": a, "b": b, **row} for row in measure_pair(space, a, b, methods)]
                options.out.write_text(json.dumps(rows))
                print(f"{number + 1}: {a} - {b}", flush=True)
    print_table(rows)


def draw_pairs(names: list[str], within: int, between: int, seed: int) -> list[tuple[str, str]]:
    """Distinct pairs within classes and between classes, alternating while both last."""
    rng = np.random.default_rng(seed)
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(class_of(name), []).append(name)
    several = [members for members in classes.values() if len(members) > 1]
    inner: dict[tuple[str, str], None] = {}
    while len(inner) < min(within, sum(len(m) * (len(m) - 1) // 2 for m in several)):
        members = several[rng.integers(len(several))]
        i, j = sorted(rng.choice(len(members), 2, replace=False))
        inner[members[i], members[j]] = None
    rng, outer = np.random.default_rng(seed + 1), {}
    while len(outer) < between:
        chosen = [list(classes.values())[row] for row in rng.choice(len(classes), 2, replace=False)]
        a, b = (members[rng.integers(len(members))] for members in chosen)
        outer[a, b] = None
    return [pair for group in (list(inner), list(outer)) for pair in group]


def measure_pair(space: LatentSpace, a: str, b: str, methods: Iterable[str]) -> list[dict[str, Any]]:
    """One row of figures for each method."""
    began = process_time()
    base = Morph(space[a], space[b])
    ends = list(base.ends)
    if min(count_pieces(values, CRUMB) for values in ends) == 0:
        return [{"method": method, "empty": True} for method in methods]
    base.step(0.5)
    registration = process_time() - began
    rows = []
    for method in methods:
        began = process_time()
        at = on_codes(space, a, b, ends, method) if method in CODES else of_morph(base, method)
        path = [ends[0], *(at(step / STEPS) for step in range(1, STEPS)), ends[1]]
        seconds = (process_time() - began + registration * method.startswith("warp")) / (STEPS - 1)
        rows.append({"method": method, "seconds": seconds, **figures(path)})
    return rows


def of_morph(base: Morph, method: str) -> At:
    """Samples of a morph with the parts of a method."""
    morph = base.with_config(PARTS[method])
    return lambda t: morph.step(t).values


def on_codes(space: LatentSpace, a: str, b: str, ends: list[Tensor], method: str) -> At:
    """Samples of decoded codes on a path of straight legs, evenly by length."""
    names = neighbour_path(space, a, b) if method == "neighbours" else [a, b]
    codes = torch.stack([space[name].code for name in names])
    lengths = np.cumsum([0.0, *(codes[1:] - codes[:-1]).norm(dim=1).tolist()])
    volumes = [float((end < 0).sum()) for end in ends]

    def at(t: float) -> Tensor:
        leg = min(int(np.searchsorted(lengths, t * lengths[-1], side="right")) - 1, len(names) - 2)
        share = (t * lengths[-1] - lengths[leg]) / (lengths[leg + 1] - lengths[leg])
        code = codes[leg] + float(share) * (codes[leg + 1] - codes[leg])
        values = sample_field(space.decoder.condition(code), RESOLUTION, code)
        if method == "codes, volume":
            values = values - level_of_volume(values.flatten(), volumes[0] ** (1 - t) * volumes[1] ** t)
        return values

    return at


def neighbour_path(space: LatentSpace, a: str, b: str) -> list[str]:
    """Stored shapes on the shortest path in the graph of nearest codes, lengths squared."""
    codes, names = space.codes().double(), list(space)
    squared = torch.cdist(codes, codes).square().numpy()
    nearest = np.argsort(squared, axis=1)[:, 1 : NEIGHBOURS + 1]
    graph = np.zeros_like(squared)
    rows = np.repeat(np.arange(len(names)), NEIGHBOURS)
    graph[rows, nearest.ravel()] = squared[rows, nearest.ravel()]
    start, end = names.index(a), names.index(b)
    _, before = shortest_path(np.maximum(graph, graph.T), indices=start, return_predecessors=True)
    path = [end]
    while path[-1] != start and before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return [names[row] for row in path[::-1]] if path[-1] == start else [a, b]


def figures(path: list[Tensor]) -> dict[str, Any]:
    """Pieces, volumes and distances between neighbours along a path of samples."""
    inside = [functional.max_pool3d((values < 0).float()[None], 3, stride=2, padding=1)[0] for values in path]
    distances = [signed_distances(0.5 - values) for values in inside]
    return {
        "pieces": [count_pieces(values, CRUMB) for values in path],
        "all": [count_pieces(values, 0.0) for values in path],
        "volumes": [int((values < 0).sum()) for values in path],
        "steps": [surface_distance(first, second) for first, second in pairwise(distances)],
        "total": surface_distance(distances[0], distances[-1]),
    }


def surface_distance(a: Tensor, b: Tensor) -> float:
    """Mean difference of two distance fields at surface vertices of either, unit frame; nan without a surface."""
    width = 2.0 / (len(a) - 1)
    return float(np.mean([(a - b)[end.abs() < width].abs().mean().item() for end in (a, b)]))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a Markdown table of every method within and between classes."""
    print("| pairs | method | pairs | constant | monotone where ends differ | right | all right | no surface "
          "| least volume | greatest volume | greatest step | seconds |\n|" + "---|" * 12)  # fmt: skip
    for within in (True, False):
        for method in (*CODES, *PARTS):
            chosen = [row for row in rows if row["method"] == method and "pieces" in row]
            chosen = [row for row in chosen if (class_of(row["a"]) == class_of(row["b"])) == within]
            if chosen:
                print(f"| {'within' if within else 'between'} | {method} | {len(chosen)} | {line(chosen)} |")


def line(rows: list[dict[str, Any]]) -> str:
    """Cells of a row of the table."""
    same = [row for row in rows if row["pieces"][0] == row["pieces"][-1]]
    differ = [row for row in rows if row["pieces"][0] != row["pieces"][-1]]
    whole = [{**row, "all": [row["pieces"][0], *row["all"][1:-1], row["pieces"][-1]]} for row in rows]
    least = [min(row["volumes"]) / min(row["volumes"][0], row["volumes"][-1]) for row in rows]
    most = [max(row["volumes"]) / max(row["volumes"][0], row["volumes"][-1]) for row in rows]
    steps = [max(row["steps"]) / row["total"] for row in rows if np.isfinite(row["steps"]).all()]
    shares = [share(same, "pieces"), share(differ, "pieces"), share(rows, "pieces"), share(whole, "all")]
    vanished = np.mean([min(row["volumes"]) == 0 for row in rows])
    cells = [*shares, f"{vanished:.0%}", f"{np.median(least):.2f}, 5 % below {np.percentile(least, 5):.2f}"]
    cells += [f"{np.median(most):.2f}, 5 % above {np.percentile(most, 95):.2f}"]
    cells += [f"{np.median(steps):.2f}, 5 % above {np.percentile(steps, 95):.2f}"]
    return " | ".join([*cells, f"{np.median([row['seconds'] for row in rows]):.1f}"])


def share(rows: list[dict[str, Any]], key: str) -> str:
    """Share of rows whose numbers go monotonically."""
    if not rows:
        return "-"
    moves = [np.diff(row[key]) for row in rows]
    return f"{np.mean([(move >= 0).all() or (move <= 0).all() for move in moves]):.0%} of {len(rows)}"


if __name__ == "__main__":
    main()
