"""Speed of encoding and reconstructing against an older commit in one run, and how close both come, on one core.

    git worktree add --detach OLD 709c575
    python benchmarks/fit_speed.py MESHES OUT.json --old OLD [--shapes 16] [--only CLASS/ ...] [--table]

Both trees encode the same meshes into the base space of the old one, one by one and in one batch, and reconstruct the
same scans of them (5,000 points of the whole surface, noise .005, without normals and sensor), alone and with that
space, each with its own defaults and one thread; old and new in turn, each in a process of its own. Seconds are of the
processor, the mesh of 128 cells of a reconstruction included; F-scores at 0.01 are medians (means) of such meshes by
`latentsdf.compare` of this tree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import trimesh

from latentsdf import compare
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.load import load_mesh
from latentsdf.scan.virtual import virtual_scan

HERE = Path(__file__).resolve().parents[1]
WORK = """
import json, sys, time
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
import latentsdf
from latentsdf.inference import encode_all
space_path, folder, tasks, out = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4])
space, rows = latentsdf.load(space_path), []

def scan_of(number):
    return latentsdf.Scan(np.load(folder / f"{number}.npy"))

def timed(kind, number, work):
    began = time.process_time()
    made = work()
    rows.append([kind, number, time.process_time() - began])
    return made

def keep(kind, number, made):
    try:
        made.mesh(128).export(out / f"{kind}-{number}.ply")
    except ValueError:
        pass

mesh = lambda number: str(folder / f"{number}.ply")
latentsdf.encode(space, mesh(tasks[0]))
latentsdf.solve_scan(scan_of(tasks[0])).mesh(64)
for number in tasks:
    keep("encode", number, timed("encode", number, lambda: latentsdf.encode(space, mesh(number))))
batch = timed("batch", len(tasks), lambda: encode_all(space, [(str(number), mesh(number)) for number in tasks]))
for number, shape in zip(tasks, batch):
    keep("batch", number, shape)
for number in tasks:
    def alone():
        made = latentsdf.solve_scan(scan_of(number))
        keep("alone", number, made)
    def guided():
        keep("space", number, latentsdf.reconstruct(space, scan_of(number)).shape)
    timed("alone", number, alone)
    timed("space", number, guided)
print(json.dumps(rows))
"""
NAMES = {
    "encode": "encode, one by one",
    "batch": "encode, one batch",
    "alone": "reconstruct alone",
    "space": "reconstruct with the space",
}


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--old", type=Path, help="a working tree of the commit to compare with")
    parser.add_argument("--shapes", type=int, default=16)
    parser.add_argument("--only", nargs="*", help="beginnings of the names that are taken")
    parser.add_argument("--table", action="store_true", help="print the table of OUT.json and stop")
    options = parser.parse_args()
    if not options.table:
        options.out.write_text(json.dumps(measure(options), indent=1), encoding="utf-8")
    print(table(json.loads(options.out.read_text(encoding="utf-8"))))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and F-scores of both trees, of each kind of work."""
    files = dict(find_meshes(options.meshes)[0])
    names = [name for name in sorted(files) if not options.only or name.startswith(tuple(options.only))]
    names = names[:: max(1, len(names) // options.shapes)][: options.shapes]
    rows: dict[str, Any] = {"shapes": names}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truths = [load_mesh(files[name]) for name in names]
        for number, truth in enumerate(truths):
            truth.export(folder / f"{number}.ply")
            radius = float(np.linalg.norm(truth.vertices - truth.bounds.mean(0), axis=1).max())
            np.save(folder / f"{number}.npy", virtual_scan(truth, noise=0.005 * radius, seed=number).points)
        for side, tree in (("old", options.old), ("new", HERE)):
            (folder / side).mkdir()
            space = options.old.resolve() / "latentsdf" / "base_space.h5"
            rows[side] = _judged(_worked(tree, [space, folder], len(truths), folder / side), truths, folder / side)
    return rows


def _worked(tree: Path, given: list[Path], count: int, out: Path) -> list[list[Any]]:
    environment = os.environ | {"PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORK, *map(str, given), json.dumps(list(range(count))), str(out)]
    done = subprocess.run(command, env=environment, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _judged(rows: list[list[Any]], truths: list[trimesh.Trimesh], out: Path) -> dict[str, Any]:
    """Seconds a shape and F-scores by kind."""
    judged: dict[str, Any] = {}
    for kind in NAMES:
        seconds = sum(row[2] for row in rows if row[0] == kind) / len(truths)
        scores = []
        for number, truth in enumerate(truths):
            file = out / f"{kind}-{number}.ply"
            found = trimesh.load(file, process=False) if file.exists() else None
            scores.append(compare(found, truth).f_scores[0.01] if isinstance(found, trimesh.Trimesh) else 0.0)
        judged[kind] = {"seconds": seconds, "f_0.01": scores}
    return judged


def table(rows: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| work | seconds a shape, old | new | ratio | F at 0.01, old | new |", "|---" * 6 + "|"]
    for kind, name in NAMES.items():
        old, new = rows["old"][kind], rows["new"][kind]
        scores = (f"{median(side['f_0.01']):.3f} ({fmean(side['f_0.01']):.3f})" for side in (old, new))
        speed = f"{old['seconds']:.2f} | {new['seconds']:.2f} | {old['seconds'] / new['seconds']:.1f}"
        lines.append(f"| {name} | {speed} | {' | '.join(scores)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
