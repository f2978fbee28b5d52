"""Decoders x code sizes x minutes on one fixed 80/20 split by shape: fidelity per byte and per second.

    python benchmarks/fidelity.py DATASET.h5 MESH_DIR OUT_DIR --decoder dual linear --code-size 16 64 --minutes 10 30
    python benchmarks/fidelity.py DATASET.h5 MESH_DIR OUT_DIR --precision int8 --code-bits 8 --prefix 0 16
    python benchmarks/fidelity.py DATASET.h5 MESH_DIR OUT_DIR --table      # the rows so far, as Markdown

A trained space is kept in OUT_DIR and trained once, one that was stopped half way is trained on. One row a (label,
side of the split, branch of the decoder) goes to OUT_DIR/rows.json as soon as it is there; rows that are there are not
made again. Figures of each single shape are beside it, in LABEL.SIDE.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from fidelity_table import table
from judging import (
    FIGURES,
    SURFACE,
    Encoded,
    by_class,
    by_kind,
    costs,
    encode_in_chunks,
    judge_shape,
    overlap,
    quantize_codes_of,
    read_json,
    solid,
    summarize,
    true_mesh,
    truncate_codes,
    write_json,
)
from split import split

from latentsdf.core.optimize import Stop
from latentsdf.dataset.dataset import Dataset
from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.inference.evaluation import retrieval
from latentsdf.mesh.folder import find_meshes
from latentsdf.space.quantize import code_unit
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load, load_resume, save
from latentsdf.training.config import TrainConfig
from latentsdf.training.loop import TrainEvent, train
from latentsdf.training.presets import named_config


def main() -> None:
    """Train, judge, print."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.table:
        for decoder, size, minutes in product(options.decoder, options.code_size, options.minutes):
            measure(argparse.Namespace(**{**vars(options), "decoder": decoder, "code_size": size, "minutes": minutes}))
    print(table(options.out / "rows.json"))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--decoder", nargs="+", default=["volumes"], help="names that `latentsdf train --decoder` takes"
    )
    parser.add_argument("--code-size", nargs="+", type=int, default=[256])
    parser.add_argument("--code-bytes", type=float, default=None, help="of a code; the default if left out")
    parser.add_argument("--minutes", nargs="+", type=float, default=[20.0])
    parser.add_argument("--joint", action="store_true", help="one joint stage; dual decoders")
    parser.add_argument(
        "--base", default="default", help="space file to start from, none, or default: as the library does"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=["float32", "float16", "int8"], default="float32", help="of the decoder")
    parser.add_argument("--code-bits", type=int, choices=[32, 8], default=32)
    parser.add_argument("--prefix", nargs="+", type=int, default=[0], help="first numbers of the code used; 0 is all")
    parser.add_argument("--shapes", type=int, default=33, help="training shapes judged")
    parser.add_argument("--held-out", type=int, default=1000, help="held-out shapes judged")
    parser.add_argument("--fit-steps", type=int, default=None)
    parser.add_argument("--fit-points", type=int, default=None)
    parser.add_argument("--branches", nargs="*", default=None, help="fields judged; all of the decoder's if left out")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="of training and code inference")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def train_config(options: argparse.Namespace) -> TrainConfig:
    """The training config of one measurement: adapt it when training gains a setting."""
    config = named_config(options.decoder, options.code_size, seed=options.seed, joint=options.joint)
    if options.base == "none" and config.start not in ("components", "random"):
        config = replace(config, start="components")
    elif options.base not in ("none", "default"):
        config = replace(config, start=options.base)
    if options.code_bytes is not None:
        config = replace(config, code_bytes=options.code_bytes)
    return replace(config, minutes=options.minutes)


def label_of(options: argparse.Namespace) -> str:
    """Name of a training run: decoder, code size, minutes, and what else was not as usual."""
    parts = [options.decoder]
    parts += ["joint"] if options.joint else []
    parts += [f"base-{Path(options.base).stem}"] if options.base != "default" else []
    parts += [str(options.code_size), f"{options.minutes:g}min"]
    parts += [f"{options.code_bytes:g}bytes"] if options.code_bytes is not None else []
    parts += [f"seed{options.seed}"] if options.seed else []
    return "-".join(parts)


def measure(options: argparse.Namespace) -> None:
    """Train one decoder, store it as asked, and judge what was stored on both sides of the split."""
    label = label_of(options)
    train_space(options, options.out / f"{label}.h5")
    stored, label = store_as(options, label)
    space = load(stored)
    files = dict(find_meshes(options.mesh_dir)[0])
    for side, names in names_to_judge(options).items():
        done = {row["label"] for row in read_json(options.out / "rows.json", []) if row["side"] == side}
        labels = {f"{label}-first{size}" if size else label: size for size in options.prefix}
        if not names or set(labels) <= done:
            continue
        if side == "seen":
            encoded = Encoded([space[name] for name in names], 0.0, 0.0)
        else:
            fitted = load(stored, options.device) if options.device != "cpu" else space
            encoded = encode_in_chunks(fitted, [(name, files[name]) for name in names], encode_config(options))
        for name, size in labels.items():
            if name not in done:
                judge_side(options, space, stored, name, side, encoded, size, files)


def train_space(options: argparse.Namespace, path: Path) -> None:
    """Train the space of a measurement into its file, unless it is there; go on where it was stopped."""
    resume = path.exists()
    if resume and load_resume(path) is None:
        return
    dataset = Dataset(options.dataset)
    rows_of = {name: row for row, name in enumerate(dataset.names)}
    seen, _ = split(dataset.names)
    last = [0.0]

    def tell(event: TrainEvent) -> None:
        if monotonic() - last[0] > 20:
            last[0] = monotonic()
            speed = f"{event.samples_per_second:.0f}/s"
            print(f"{event.progress:.3f} {event.stage} {event.step.loss:.5f} {speed}", flush=True)

    space = train(
        dataset.subset([rows_of[name] for name in seen]),
        train_config(options),
        path=path,
        resume=resume,
        device=options.device,
        on_event=tell,
    )
    dataset.close()
    if space.history["stop"] != Stop.FINISHED.value:
        raise SystemExit(f"{path}: {space.history['stop']}; run again to go on")


def store_as(options: argparse.Namespace, label: str) -> tuple[Path, str]:
    """The file that is judged, saved at the precision asked for, and the label of its rows."""
    source = options.out / f"{label}.h5"
    if (options.precision, options.code_bits) == ("float32", 32):
        return source, label
    label = f"{label}-{options.precision}-codes{options.code_bits}"
    path = options.out / f"{label}.h5"
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        save(load(source), path, precision=options.precision, codes="int8" if options.code_bits == 8 else "float32")
    return path, label


def names_to_judge(options: argparse.Namespace) -> dict[str, list[str]]:
    """Shapes judged on each side of the split: fixed random subsets of the training shapes and of the held-out ones."""
    dataset = Dataset(options.dataset, memory=0.0)
    seen, unseen = split(dataset.names)
    dataset.close()
    order = np.random.default_rng(1).permutation(len(unseen))[: options.held_out]
    chosen = np.random.default_rng(0).permutation(seen)[: options.shapes]
    return {"seen": [str(name) for name in chosen], "unseen": [unseen[i] for i in sorted(order)]}


def encode_config(options: argparse.Namespace) -> EncodeConfig:
    """The library's own config of code inference, but for what the command line says."""
    given = {"steps": options.fit_steps, "points": options.fit_points}
    return EncodeConfig(**{name: value for name, value in given.items() if value})


def judge_side(
    options: argparse.Namespace,
    space: LatentSpace,
    stored: Path,
    label: str,
    side: str,
    encoded: Encoded,
    size: int,
    files: dict[str, Path],
) -> None:
    """Judge shapes in every branch and keep a row of each."""
    shapes = [
        replace(shape, code=shape.code.cpu(), decoder=space.decoder) for shape in truncate_codes(encoded.shapes, size)
    ]
    if options.code_bits == 8 and side == "unseen":
        shapes = quantize_codes_of(shapes, code_unit(space.codes()))
    branches = options.branches or list(space.decoder.branches)
    singles: dict[str, list[dict[str, Any]]] = {branch: [] for branch in branches}
    for shape in shapes:
        truth = true_mesh(files[shape.name])
        whole = solid(truth, shape.frame)
        for branch in branches:
            # The last branch is what shapes are: at their level, if they have one.
            read = None if branch == space.decoder.branches[-1] else branch
            row = judge_shape(shape, truth, read, options.resolution)
            singles[branch].append({**row, "iou": overlap(shape, whole, read)})
        print(f"{label} {side} {len(singles[branches[-1]])}/{len(shapes)} {singles[branches[-1]][-1]}", flush=True)
    write_json(options.out / f"{label}.{side}.json", singles)
    count = max(1, len(shapes))
    per_shape = {"infer_seconds": encoded.seconds / count, "fit_seconds": encoded.fit_seconds / count}
    common = {
        "label": label,
        "side": side,
        **costs(space, stored, size or space.code_size, options.code_bits),
        **(per_shape if side == "unseen" else {}),
        "retrieval": getattr(retrieval(space, shapes, "code"), "__dict__", None) if side == "unseen" else None,
        "resolution": options.resolution,
        "threads": torch.get_num_threads(),
        "device": options.device,
    }
    keep(options.out / "rows.json", [row_of(common, branch, rows) for branch, rows in singles.items()])


def row_of(common: dict[str, Any], branch: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the table: figures over all shapes, by kind and by class."""
    keys = (*FIGURES, *SURFACE)
    parts = {"figures": summarize(rows, keys), "kinds": by_kind(rows, keys), "classes": by_class(rows, keys)}
    return {**common, "branch": branch, **parts}


def keep(path: Path, fresh: list[dict[str, Any]]) -> None:
    """Put rows in the file, in place of older ones of the same label, side and branch."""
    taken = {(row["label"], row["side"], row["branch"]) for row in fresh}
    rows = [row for row in read_json(path, []) if (row["label"], row["side"], row["branch"]) not in taken]
    write_json(path, rows + fresh)


if __name__ == "__main__":
    main()
