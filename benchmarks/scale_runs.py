"""Cost of preparing, training and encoding against the number of shapes, by the command line as a user has it.

    python benchmarks/scale_runs.py scale.json [--shapes 100 1000] [--minutes 1] [--encoded 32] [--folder FOLDER]
    python benchmarks/scale.py scale.json --table

Meshes are those of ten families (`datasets/families.py`), prepared with the default settings; training takes so many
minutes with the default settings, beside what comes before (components) and after them (streams, refitted codes); other
meshes of the families are then encoded in one command. Rows go to the file of `scale.py`: seconds by the clock and of
processors (of all processes of a command), and the greatest memory of one process in MiB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scale import rows_of

from latentsdf.dataset.synthetic import write_families
from latentsdf.primitives.families import FAMILIES

HERE = Path(__file__).resolve().parents[1]
WATCH = """
import json, resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
row = {"seconds": round(time.monotonic() - began, 1), "processor_seconds": round(used.ru_utime + used.ru_stime, 1)}
print(json.dumps(row | {"peak_mib": used.ru_maxrss // 1024}))
"""
"""Runs a command in a process of its own, whose children are those of the command alone."""


def main() -> None:
    """Run the commands and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shapes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--encoded", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one where it is not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        unseen = meshes(folder / "unseen" / "new", options.encoded, 2).parent  # other names than those trained on
        for count in options.shapes:
            source = meshes(folder / f"meshes_{count}", count, 1)
            data, space = folder / f"shapes_{count}.h5", folder / f"space_{count}.h5"
            row = run("prepare", source, data)
            parts = [data, *data.parent.glob(f"{data.name}.shards/*")]
            size = sum(part.stat().st_size for part in parts)
            keep(options.out, "prepare", count, row | {"file_bytes_per_shape": size // count})
            row = run("train", data, space, "--minutes", options.minutes)
            keep(options.out, "train", count, row | {"minutes": options.minutes})
            row = run("encode", space, unseen)
            keep(options.out, "encode", count, row | {"meshes": options.encoded})


def meshes(folder: Path, count: int, seed: int) -> Path:
    """So many meshes of the families in a folder, about as many of each."""
    if not folder.exists():
        kinds = sorted(FAMILIES)[:10]
        write_families(folder, -(-count // len(kinds)), seed, families=kinds, workers=2)
        for extra in sorted(folder.glob("*/*.ply"), key=lambda path: path.stem)[count:]:
            extra.unlink()
    return folder


def run(*arguments: object) -> dict[str, Any]:
    """Seconds and memory of a command."""
    command = [sys.executable, "-c", WATCH, sys.executable, "-m", "latentsdf", *map(str, arguments), "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE)
    return json.loads(done.stdout.splitlines()[-1])


def keep(out: Path, part: str, count: int, row: dict[str, Any]) -> None:
    """Write a row, in place of an earlier one of the same part and number."""
    print(part, count, row, flush=True)
    kept = [old for old in rows_of(out) if (old["part"], old["shapes"]) != (part, count)]
    kept.append({"part": part, "shapes": count, **row})
    out.write_text(json.dumps(sorted(kept, key=lambda item: (item["part"], item["shapes"])), indent=1) + "\n")


if __name__ == "__main__":
    main()
