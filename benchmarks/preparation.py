"""Seconds of preparation a mesh, of this checkout and of an earlier one in one run on the same files, and their values.

    git worktree add /tmp/before 6d2a0d5
    python benchmarks/preparation.py /tmp/before meshes/*/*.ply [--json FILE]

Each checkout has one process of one thread that loads, repairs, audits, samples (200,000 samples and the lattice) and
stores a mesh at a time, in turn with the other's; a first mesh, that loads libraries, is not counted. Time is that of
the processor, so that other programs disturb it little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS"), "1")


def serve(folder: Path) -> None:
    """Prepare the meshes whose paths come in on standard input, a line of JSON back for each."""
    from latentsdf.dataset.file import ShapeSamples, write_part
    from latentsdf.dataset.mesh_samples import sample_mesh
    from latentsdf.dataset.sampling import SamplingConfig
    from latentsdf.mesh.load import load_mesh

    config = SamplingConfig()
    for line in sys.stdin:
        path = Path(line.strip())
        began = time.process_time()
        samples = sample_mesh(load_mesh(path), config, 1)
        write_part(folder / "part.h5", ShapeSamples(path.stem, path.name, "", samples), config, 1)
        seconds = time.process_time() - began
        values: dict[str, Any] = {"record": samples.record, "audit": json.dumps(samples.audit.to_dict())}
        for name, group in samples.groups.items():
            values[f"{name}/points"], values[f"{name}/distances"] = group.points, group.distances
        np.savez(folder / "values.npz", **values)
        print(json.dumps({"seconds": seconds, "faces": samples.audit.faces}), flush=True)


class Side:
    """The process of a checkout."""

    def __init__(self, checkout: Path, folder: Path):
        folder.mkdir()
        self.folder = folder
        python_path = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", str(folder)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": python_path}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder
        )

    def prepare(self, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path.resolve()}\n")
        self.process.stdin.flush()
        row = json.loads(self.process.stdout.readline())
        with np.load(self.folder / "values.npz") as values:
            return row, dict(values)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, Any]:
    """Differences of the values of one mesh."""
    groups = [name.removesuffix("/points") for name in before if name.endswith("/points")]
    pairs = [(before[f"{name}/distances"], after[f"{name}/distances"]) for name in groups]
    old, new = (np.concatenate(side) for side in zip(*pairs, strict=True))
    turned = (old < 0) != (new < 0)
    return {
        "points_equal": all(np.array_equal(before[f"{name}/points"], after[f"{name}/points"]) for name in groups),
        "distance_difference": float(np.abs(np.abs(old) - np.abs(new)).max()),
        "signs_changed": int(turned.sum()),
        "farthest_changed": float(np.abs(new[turned]).max(initial=0.0)),
        "record_bytes_changed": int((before["record"] != after["record"]).sum()),
        "audit_equal": _equal(json.loads(str(before["audit"])), json.loads(str(after["audit"]))),
    }


def _equal(old: Any, new: Any) -> bool:
    """Whether two records of audits are the same to rounding."""
    if isinstance(old, dict):
        return set(old) == set(new) and all(_equal(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_equal, old, new))
    return abs(old - new) <= 1e-9 * abs(old) if isinstance(old, float) else old == new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, nargs="?", help="checkout of the earlier commit")
    parser.add_argument("meshes", type=Path, nargs="*")
    parser.add_argument("--json", type=Path, help="file that gets the rows")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if not options.before or not options.meshes:
        parser.error("a checkout and meshes are wanted")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(__file__).resolve().parent.parent
        sides = [Side(options.before.resolve(), Path(folder) / "before"), Side(here, Path(folder) / "after")]
        for side in sides:
            side.prepare(options.meshes[0])
        for path in options.meshes:
            (old, before), (new, after) = (side.prepare(path) for side in sides)
            row = {"mesh": f"{path.parent.name}/{path.stem}", "faces": new["faces"]}
            row |= {"before_s": old["seconds"], "after_s": new["seconds"], **compare(before, after)}
            rows.append(row)
            print(
                f"{row['mesh'][:48]:48} {row['faces']:7} faces {row['before_s']:7.2f} -> {row['after_s']:5.2f} s "
                f"{row['before_s'] / row['after_s']:5.1f}x  distances {row['distance_difference']:.1e}, "
                f"signs {row['signs_changed']} (at {row['farthest_changed']:.0e}), "
                f"record {row['record_bytes_changed']}, audit {'equal' if row['audit_equal'] else 'differs'}",
                flush=True,
            )
        for side in sides:
            side.close()
    before_s, after_s = (sum(row[key] for row in rows) for key in ("before_s", "after_s"))
    ratios = sorted(row["before_s"] / row["after_s"] for row in rows)
    print(
        f"{len(rows)} meshes: {before_s / len(rows):.2f} -> {after_s / len(rows):.2f} s a mesh, "
        f"{before_s / after_s:.1f} times; of single meshes {ratios[0]:.1f} to {ratios[-1]:.1f}, "
        f"median {ratios[len(ratios) // 2]:.1f}"
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
