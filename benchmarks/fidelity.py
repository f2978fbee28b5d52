"""Decoders trained for the same time on the same split, judged on training shapes and on held-out shapes.

    python benchmarks/first_table.py DATASET.h5 MESH_DIR OUT_DIR --decoder dual --minutes 20
    python benchmarks/first_table.py DATASET.h5 MESH_DIR OUT_DIR --table      # the rows so far, as Markdown

A decoder's space is kept in OUT_DIR and trained once; its rows go to OUT_DIR/rows.json as they come, so that a run
that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from latentsdf.dataset import Dataset
from latentsdf.evaluation import EvaluationRow, evaluate, retrieval, split, summarize
from latentsdf.inference import EncodeConfig
from latentsdf.optimize import Stop
from latentsdf.preparation import find_meshes
from latentsdf.schedule import named_config
from latentsdf.store import load
from latentsdf.training import train

PSB = "psb_"
"""Classes of the Princeton benchmark, whose members share no pose."""


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("mesh_dir")
    parser.add_argument("out", type=Path)
    parser.add_argument("--decoder", default="dual")
    parser.add_argument("--joint", action="store_true")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--code-size", type=int, default=64)
    parser.add_argument("--shapes", type=int, default=33, help="training shapes judged")
    parser.add_argument("--held-out", type=int, default=1000, help="held-out shapes judged")
    parser.add_argument("--fit-steps", type=int, default=400)
    parser.add_argument("--fit-points", type=int, default=2048)
    parser.add_argument("--branches", nargs="*", default=None)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.table:
        measure(options)
    print(table(options.out / "rows.json"))


def measure(options: argparse.Namespace) -> None:
    """Train one decoder and judge it on both sides of the split."""
    dataset = Dataset(options.dataset)
    seen, unseen = split(dataset.names)
    rows_of = {name: row for row, name in enumerate(dataset.names)}
    label = f"{options.decoder}{'-joint' if options.joint else ''}-{options.code_size}-{options.minutes:g}min"
    path = options.out / f"{label}.h5"
    if not path.exists():
        config = named_config(options.decoder, options.code_size, joint=options.joint)
        last = [0.0]

        def tell(event: Any) -> None:
            if monotonic() - last[0] > 20:
                last[0] = monotonic()
                print(
                    f"{event.progress:.3f} {event.stage} {event.step.loss:.5f} {event.samples_per_second:.0f}/s",
                    flush=True,
                )

        train(
            dataset.subset([rows_of[name] for name in seen]),
            config,
            path=path,
            minutes=options.minutes,
            on_event=tell,
        )
    space = load(path)
    if space.history["stop"] != Stop.FINISHED.value:
        raise SystemExit(f"{path}: {space.history['stop']}; remove it and run again")
    files = dict(find_meshes(Path(options.mesh_dir))[0])
    order = np.random.default_rng(1).permutation(len(unseen))[: options.held_out]
    unseen_some = [unseen[i] for i in sorted(order)]
    some = list(np.random.default_rng(0).permutation(seen)[: options.shapes])
    fit = EncodeConfig(steps=options.fit_steps, points=options.fit_points)
    log = space.history.get("log") or [{}]
    for side, names in (
        ("seen", some),
        ("unseen", unseen_some),
    ):
        began = monotonic()
        rows, shapes = evaluate(
            space,
            [(name, files[name]) for name in names],
            known=side == "seen",
            branches=options.branches or list(space.decoder.branches),
            resolution=options.resolution,
            config=fit,
            on_row=lambda row, done, total: print(f"{done}/{total} {row.to_dict()}", flush=True),
        )
        record = {
            "label": label,
            "side": side,
            "parameters": space.decoder.parameter_count(),
            "training_shapes": len(space),
            "samples_per_second": log[-1].get("samples_per_second"),
            "seconds": monotonic() - began,
            "retrieval": getattr(retrieval(space, shapes), "__dict__", None),
            "branches": {
                branch: summarize([row for row in rows if row.branch == branch])
                for branch in dict.fromkeys(row.branch for row in rows)
            },
            "common_pose": {
                branch: summarize([r for r in rows if r.branch == branch and not r.name.startswith(PSB)])
                for branch in dict.fromkeys(row.branch for row in rows)
            },
            "classes": per_class([row for row in rows if row.branch == rows[-1].branch]),
            "threads": torch.get_num_threads(),
        }
        keep(options.out / "rows.json", record)


def per_class(rows: list[EvaluationRow]) -> dict[str, float]:
    """Median F at 0.01 of each class."""
    classes: dict[str, list[float]] = {}
    for row in rows:
        classes.setdefault(row.name.split("/")[0], []).append(row.comparison.f_scores[0.01] if row.comparison else 0.0)
    return {name: float(np.median(values)) for name, values in sorted(classes.items())}


def keep(path: Path, record: dict[str, Any]) -> None:
    """Put a record in the file, in place of an older one of the same label and side."""
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in rows if (row["label"], row["side"]) != (record["label"], record["side"])] + [record]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def table(path: Path) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| decoder, code, time | field | side | shapes | CD-L1 median (mean) | F@0.01 | F@0.005 | normals "
        "| parameters | samples/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in json.loads(path.read_text()):
        for branch, figures in row["branches"].items():
            pairs = [
                f"{figures[key]['median']:.{digits}f} ({figures[key]['mean']:.{digits}f})"
                for key, digits in (
                    ("chamfer_l1", 4),
                    ("f_0.01", 3),
                    ("f_0.005", 3),
                    ("normal_consistency", 3),
                )
            ]
            speed = f"{row['samples_per_second']:,}" if row["samples_per_second"] else "-"
            lines.append(
                f"| {row['label']} | {branch} | {row['side']} | {figures['shapes']} | {' | '.join(pairs)} | "
                f"{row['parameters']:,} | {speed} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
