"""Cost of a space against its number of shapes: one row of JSON for each number, each in a process of its own.

    python benchmarks/scale.py scale.json [--shapes 100 1000 10000 100000 1000000] [--part store index]
    python benchmarks/scale.py scale.json --table

Codes of 64 numbers are drawn from the normal distribution of the codes of the base space, whose decoder is stored with
them, in eight bits both. Names are `class_KK/NNNNNNN`, metadata is the source file. A query is a sum of two codes, as
far from the mean of all as they. Seconds are of processor time, wall time beside them. Rows of other parts (`prepare`,
`train`, `encode`) in the same file are kept and shown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import numpy as np
import psutil
import torch

from latentsdf.space.byte_column import ByteColumn
from latentsdf.space.code_columns import CodeColumn, CodeForm
from latentsdf.space.file_info import space_info
from latentsdf.space.frame_columns import FrameColumn
from latentsdf.space.index import Index
from latentsdf.space.record_column import RecordColumn
from latentsdf.space.row_places import RowPlaces
from latentsdf.space.shape_columns import ShapeColumns
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, load, save
from latentsdf.space.stored_shapes import StoredShapes
from latentsdf.space.text_blocks import TextBlocks
from latentsdf.training.warm_start import base_space

COUNTS = (100, 1_000, 10_000, 100_000, 1_000_000)
CLASSES = 50
QUERIES = 1000
Row = dict[str, Any]


def main() -> None:
    """Measure each number of shapes in a process of its own, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shapes", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one where it is not given")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        part, count, path = options.one.split(":", 2)
        for row in PARTS[part](int(count), Path(path)):
            print(json.dumps(row), flush=True)
        return
    if not options.table:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.folder or Path(temporary)
            for count in options.shapes:
                path = folder / f"space_{count}.h5"
                if not path.exists():
                    make(path, count)
                for part in options.part:
                    measured(options, part, count, path)
    print(table(rows_of(options.out)))


def measured(options: argparse.Namespace, part: str, count: int, path: Path) -> None:
    """Run one part for one number of shapes; its row is written as it grows."""
    command = [sys.executable, __file__, str(options.out), "--one", f"{part}:{count}:{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        row: Row = {}
        for line in process.stdout:
            row |= json.loads(line)
            print(line, end="", flush=True)
            kept = [old for old in rows_of(options.out) if (old["part"], old["shapes"]) != (part, count)]
            kept.append({"part": part, "shapes": count, **row})
            options.out.write_text(json.dumps(sorted(kept, key=lambda r: (r["part"], r["shapes"])), indent=1) + "\n")
    if process.returncode:
        raise SystemExit(process.returncode)


def make(path: Path, count: int) -> None:
    """Write a space of so many shapes with drawn codes."""
    space, generator = base_space("dual"), np.random.default_rng(0)
    codes = space.codes().double()
    factor = torch.linalg.cholesky(codes.T.cov()).T.float().numpy()
    drawn = codes.mean(0).float().numpy() + generator.standard_normal((count, space.code_size), np.float32) @ factor
    names = [f"class_{row % CLASSES:02d}/{row:07d}" for row in range(count)]
    tensor = torch.from_numpy(drawn)
    scales, centers = generator.lognormal(size=count), generator.standard_normal((count, 3))
    columns = ShapeColumns(
        TextBlocks.of(names),
        TextBlocks.of([json.dumps({"source": f"{name}.obj"}) for name in names]),
        CodeColumn.of(tensor, CodeForm.of("int8", tensor)),
        FrameColumn.of_arrays(scales, centers, np.broadcast_to(np.eye(3), (count, 3, 3))),
        ByteColumn.of_lengths(np.zeros(0, np.uint8), np.zeros(count, np.uint32)),
        RecordColumn.of_stored({}, count),
    )
    stored = StoredShapes([columns], RowPlaces(count), space.decoder, "drawn")
    save(LatentSpace(space.decoder, stored=stored), path, codes="int8", precision="int8")


def store(count: int, path: Path) -> Iterator[Row]:
    """Bytes, opening, lookups and appends."""
    size, info = path.stat().st_size, space_info(path)
    yield {
        "bytes_per_shape": round((size - info.sizes.decoder) / len(info.names), 1),
        "decoder_bytes": info.sizes.decoder,
    }
    del info
    before = memory()
    row, space = timed(lambda: load(path), "open")
    yield {**row, "open_mib": round(memory() - before, 1)}
    near = f"class_07/{count // 2 // CLASSES * CLASSES + 7:07d}"
    yield timed(lambda: space[near], "first")[0]
    yield timed(lambda: [*space.names[:1], "x" in space], "names")[0] | {"names_mib": round(memory() - before, 1)}
    misspelt = {"one_edit": near.replace("class", "clas"), "two_edits": f"clsas_07/{near[9:12]}x{near[12:]}"}
    for label, wrong in misspelt.items():
        row, error = timed(lambda wrong=wrong: missed(space, wrong), f"near_{label}")
        yield row | {f"near_{label}_right": repr(near) in error}
    yield timed(space.codes, "codes")[0] | {"codes_mib": round(memory() - before, 1)}
    first = space[space.names[0]]
    few = [replace(first, name=f"new/{os.getpid()}/{k}") for k in range(10)]
    times = [timed(lambda shape=shape: append(path, [shape]), "append")[0] for shape in few]
    yield {key: float(np.median([row[key] for row in times])) for key in times[0]}
    many = [replace(first, name=f"new/{os.getpid()}/many/{k}") for k in range(1000)]
    yield timed(lambda: append(path, many), "append_1000")[0]
    row, space = timed(lambda: load(path), "open_after")
    assert len(space) >= count + 1010
    yield {**row, "peak_mib": peak()}


def index(count: int, path: Path) -> Iterator[Row]:
    """Building, keeping and searching an index of codes."""
    torch.set_num_threads(1)
    space = load(path)
    codes = space.codes()
    pairs = torch.from_numpy(np.random.default_rng(1).integers(count, size=(2, QUERIES)))
    queries = list(codes.mean(0) + (codes[pairs] - codes.mean(0)).sum(0) / 2**0.5)
    kept = path.with_name(f"{path.name}.index")
    kept.unlink(missing_ok=True)
    row, found = timed(lambda: Index(space, "code"), "index")
    yield row
    row, matches = timed(lambda: found.search_all(queries, 10), "first_batch")
    yield row
    row, matches = timed(lambda: found.search_all(queries, 10), "batch")
    exact = found.search_all(queries, 10, among=found.names)
    hits = [len({m.name for m in a} & {m.name for m in b}) for a, b in zip(matches, exact, strict=True)]
    yield {
        "milliseconds_a_query": round(1000 * row["batch_seconds"] / len(queries), 3),
        "recall_10": round(float(np.sum(hits)) / sum(map(len, exact)), 4),
        "index_bytes": kept.stat().st_size if kept.exists() else 0,
    }
    inside = [name for name in found.names if name.startswith("class_07/")]
    row, _ = timed(lambda: found.search_all(queries, 10, among=inside), "class")
    yield {"class_milliseconds": round(1000 * row["class_seconds"] / len(queries), 3)}
    again = Index(load(path), "code")
    yield timed(lambda: again.search_all(queries[:1], 10), "reopened")[0]


def missed(space: LatentSpace, name: str) -> str:
    """The message for an unknown name."""
    try:
        return repr(space[name])
    except KeyError as error:
        return str(error)


def timed(action: Callable[[], Any], key: str) -> tuple[Row, Any]:
    """Seconds of processor and wall time, and what the action returns."""
    wall, began = monotonic(), process_time()
    result = action()
    return {f"{key}_seconds": round(process_time() - began, 5), f"{key}_wall": round(monotonic() - wall, 5)}, result


def memory() -> float:
    """Resident memory in MiB."""
    return psutil.Process().memory_info().rss / 2**20


def peak() -> int:
    """Greatest resident memory of this process so far in MiB; that of `getrusage` counts the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def rows_of(path: Path) -> list[Row]:
    """Rows of the file; none where there is none."""
    return json.loads(path.read_text()) if path.exists() else []


def table(rows: list[Row]) -> str:
    """The rows as Markdown, one table a part."""
    parts = []
    for part in dict.fromkeys(row["part"] for row in rows):
        mine = [row for row in rows if row["part"] == part]
        keys = list(dict.fromkeys(key for row in mine for key in row if key not in ("part", "shapes")))
        lines = [f"| {part} | " + " | ".join(f"{row['shapes']:,}" for row in mine) + " |", "|---|" + "---|" * len(mine)]
        lines += [f"| {key} | " + " | ".join(str(row.get(key, "")) for row in mine) + " |" for key in keys]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


PARTS: dict[str, Callable[[int, Path], Iterator[Row]]] = {"store": store, "index": index}

if __name__ == "__main__":
    main()
