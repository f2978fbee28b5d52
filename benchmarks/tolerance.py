"""Shapes that a space does not hold, encoded to a tolerance: bytes, modes and the least F-score.

    python benchmarks/tolerance.py SPACE.h5 MESH_DIR OUT.json [--tolerance 0.01] [--starts 8 --steps 24]
    python benchmarks/tolerance.py SPACE.h5 MESH_DIR OUT.json --table        # the rows so far, as Markdown

One row for each mesh goes to OUT.json as soon as it is there; rows that are there are not made again. Bytes are those
of the code, of the residual or mesh, and of the frame. F is measured on samples of its own, of the mesh of 128 cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from judging import read_json, true_mesh, write_json
from residual_rates import FRAME_BYTES

from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.inference.encoding import encode
from latentsdf.inference.rate_search import Target
from latentsdf.mesh.folder import find_meshes
from latentsdf.mesh.metrics import compare
from latentsdf.space.store import load


def main() -> None:
    """Encode what is missing, then print."""
    options = parsed()
    torch.set_num_threads(options.threads)
    if not options.table:
        measure(options)
    print(table(read_json(options.out, [])))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> None:
    """Append a row for each mesh that has none."""
    space, config = load(options.space), EncodeConfig(starts=options.starts, steps=options.steps)
    target = Target(tolerance=options.tolerance)
    done = {row["name"] for row in read_json(options.out, [])}
    for name, path in sorted(find_meshes(options.mesh_dir)[0]):
        if name in space or name in done:
            continue
        began = monotonic()
        shape = encode(space, path, name=name, config=config, target=target)
        seconds = monotonic() - began
        size = FRAME_BYTES + shape.metadata["code_bytes"] + (0 if shape.correction is None else shape.correction.nbytes)
        score = compare(shape.mesh(128), true_mesh(path), frame=shape.frame).f_scores[0.01]
        row = {"name": name, "mode": shape.mode, "bytes": size, "f_score": shape.metadata["f_score"]}
        row |= {"f_0.01": score, "seconds": seconds}
        write_json(options.out, [*read_json(options.out, []), row])
        print(row, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """All rows, and those of each mode, as Markdown."""
    lines = ["| mode | shapes | F at 0.01 mean | least | bytes mean | median | largest | seconds |", "|" + "---|" * 8]
    for mode in ("all", "code", "residual", "mesh"):
        of_mode = [row for row in rows if mode in ("all", row["mode"])]
        if of_mode:
            score, size, seconds = (np.array([row[key] for row in of_mode]) for key in ("f_0.01", "bytes", "seconds"))
            cells = [mode, str(len(of_mode)), f"{score.mean():.3f}", f"{score.min():.3f}"]
            cells += [f"{size.mean():,.0f}", f"{np.median(size):,.0f}", f"{size.max():,}", f"{seconds.mean():.1f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
