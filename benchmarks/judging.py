"""Shared by the benchmarks: codes in batches, figures of a surface, sizes as stored, rows in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh
from torch import Tensor

from latentsdf.core.field import SDF
from latentsdf.core.frame import Frame
from latentsdf.core.names import class_of
from latentsdf.inference.code_fitting import EncodeConfig
from latentsdf.inference.encoding import encode_all
from latentsdf.mesh.distance import MeshSDF
from latentsdf.mesh.load import load_mesh
from latentsdf.mesh.metrics import compare, iou
from latentsdf.mesh.repair import repair_mesh
from latentsdf.space.file_info import space_info
from latentsdf.space.quantize import quantize_codes, restore_codes
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace

PSB = "psb_"
"""Classes of the Princeton benchmark, whose members share no pose."""
NOTHING = {
    "chamfer_l1": 1.0,
    "f_0.01": 0.0,
    "f_0.005": 0.0,
    "normal_consistency": 0.0,
    "ghost_area": 1.0,
    "missing_area": 1.0,
    "components_right": 0.0,
}
"""Figures of a shape without a surface: counted as a failure, never left out."""
FIGURES = (*NOTHING, "iou")
"""Figures of a field; a bare mesh has all but the last."""
SURFACE = ("components", "components_true", "genus", "genus_true", "roughness", "roughness_true")
"""Figures of a shape with a surface alone; a genus is None where the mesh is not closed."""


@dataclass(frozen=True)
class Encoded:
    """Shapes encoded from meshes, seconds for all of it (samples too), and seconds of the steps of the fit alone."""

    shapes: list[Shape]
    seconds: float
    fit_seconds: float


def true_mesh(path: Path) -> trimesh.Trimesh:
    """The true mesh of a shape, repaired as `prepare` does."""
    return repair_mesh(load_mesh(path))[0]


def encode_in_chunks(
    space: LatentSpace, meshes: Sequence[tuple[str, Path]], config: EncodeConfig | None = None, chunk: int = 16
) -> Encoded:
    """Codes of unseen meshes, fitted in batches of `chunk`."""
    shapes: list[Shape] = []
    began, fit = monotonic(), 0.0
    for start in range(0, len(meshes), chunk):
        steps: list[float] = []
        shapes += encode_all(
            space, meshes[start : start + chunk], config=config, on_step=lambda _, to=steps: to.append(monotonic())
        )
        fit += monotonic() - steps[0] if steps else 0.0
        print(f"encoded {len(shapes)}/{len(meshes)} {monotonic() - began:.0f} s", flush=True)
    return Encoded(shapes, monotonic() - began, fit)


def truncate_codes(shapes: Iterable[Shape], size: int) -> list[Shape]:
    """The shapes with their codes truncated to the first `size` numbers, the rest zero; 0 keeps all."""
    return [shape.truncated(size) for shape in shapes] if size else list(shapes)


def quantize_codes_of(shapes: Sequence[Shape], unit: Tensor) -> list[Shape]:
    """The shapes with their codes quantised to 8 bits a number, in the unit of their space."""
    if not shapes:
        return []
    codes = restore_codes(quantize_codes(torch.stack([shape.code for shape in shapes]), unit), unit)
    return [replace(shape, code=code) for shape, code in zip(shapes, codes, strict=True)]


def code_bytes(numbers: int, bits: int) -> int:
    """Bytes of a code: four a number, or one a number and a step of four."""
    return numbers + 4 if bits == 8 else 4 * numbers


def costs(space: LatentSpace, stored: Path, numbers: int, bits: int) -> dict[str, Any]:
    """Costs of a space: bytes as stored, numbers, training time and speed."""
    info = space_info(stored)
    sizes, adjusted = info.sizes, sum(info.adjustments) / max(1, len(space))
    whole = numbers == space.code_size and space.code_format is not None
    decoder, code = sizes.decoder, sizes.code if whole else code_bytes(numbers, bits)
    log = space.history.get("log") or [{}]
    return {
        "parameters": space.decoder.parameter_count(),
        "training_shapes": len(space),
        "decoder_bytes": decoder,
        "code_bytes": code,
        "adjustment_bytes": adjusted,
        "bytes_per_shape": code + adjusted + decoder / max(1, len(space)),
        "training_minutes": round(space.history.get("seconds", 0.0) / 60, 2),
        "samples_per_second": log[-1].get("samples_per_second"),
    }


def solid(mesh: trimesh.Trimesh, frame: Frame) -> SDF:
    """Occupancy of a mesh in the unit frame: -1 inside and 1 outside, all that a volume overlap needs."""
    inner = MeshSDF(frame.to_unit(mesh.vertices), mesh.faces)
    return lambda points: torch.where(torch.from_numpy(inner.inside(points.numpy())), -1.0, 1.0)


def judge_mesh(candidate: trimesh.Trimesh, truth: trimesh.Trimesh, frame: Frame) -> dict[str, Any]:
    """Figures of a mesh against the true one, lengths in the unit frame."""
    plain = compare(candidate, truth, frame=frame).to_dict()
    plain["components_right"] = float(plain["components"] == plain["components_true"])
    return {key: plain[key] for key in (*NOTHING, *SURFACE)}


def judge_shape(shape: Shape, truth: trimesh.Trimesh, branch: str | None, resolution: int) -> dict[str, Any]:
    """Figures of a decoded shape against the true mesh; those of a failure where the field has no surface."""
    try:
        made = shape.mesh(resolution, branch)
    except ValueError as error:
        return {"name": shape.name, **NOTHING, "reason": f"no surface: {error}"}
    return {"name": shape.name, **judge_mesh(made, truth, Frame.around(truth.vertices))}


def overlap(shape: Shape, whole: SDF, branch: str | None) -> float:
    """Volume IoU of a decoded field and the true solid; 0 where neither has a volume."""
    try:
        return iou(shape.sdf if branch is None else shape.decoded(branch), whole, samples=50_000)
    except ValueError:
        return 0.0


def summarize(rows: Sequence[dict[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """Median and mean of each figure over the rows that have it, the number of rows, and of those without a surface."""
    summary: dict[str, Any] = {"shapes": len(rows), "without_surface": sum("reason" in row for row in rows)}
    for key in keys:
        values = [row[key] for row in rows if row.get(key) is not None]
        if values:
            summary[key] = {"median": float(np.median(values)), "mean": float(np.mean(values))}
    return summary


def by_class(rows: Sequence[dict[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """`summarize` for each class."""
    keys, classes = list(keys), sorted({class_of(row["name"]) for row in rows})
    return {name: summarize([row for row in rows if class_of(row["name"]) == name], keys) for name in classes}


def by_kind(rows: Sequence[dict[str, Any]], keys: Iterable[str]) -> dict[str, Any]:
    """`summarize` for classes whose members share a pose, and for those of the Princeton benchmark."""
    keys = list(keys)
    return {
        "common_pose": summarize([row for row in rows if not row["name"].startswith(PSB)], keys),
        "psb": summarize([row for row in rows if row["name"].startswith(PSB)], keys),
    }


def read_json(path: Path, empty: Any) -> Any:
    """Content of a JSON file, or `empty` where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else empty


def write_json(path: Path, value: Any) -> None:
    """Write atomically, so that a killed run leaves the old file."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
