"""Fidelity of codes with residuals against bytes a shape, for `rate_distortion.py --residuals`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
import trimesh
from judging import encode_in_chunks, read_json, write_json

from latentsdf.codec.rate_distortion import RateDescent
from latentsdf.codec.residual import Residual
from latentsdf.decoder.linearize import code_hessians
from latentsdf.inference.code_fitting import TRUNCATION, EncodeConfig
from latentsdf.inference.code_rounding import ROUNDING_SAMPLES, CodeRounding
from latentsdf.inference.encoding import sample_for_codes
from latentsdf.inference.mesh_search import MeshSearch
from latentsdf.inference.rate_search import Target, rate_point
from latentsdf.inference.residual_fitting import SHIFT_UNDER_MESH, SampledMesh, prepare_residuals
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace

FRAME_BYTES = 22
"""Of a frame: a rotation vector of three int16, scale and centre in float32."""
WEIGHTS = tuple(1e-2 / 2.0**k for k in range(11))
"""Lambdas of the streams of a shape, one after another."""
BUDGETS = (128, 192, 256, 384, 512, 768, 1024, 2048)
TOLERANCES = (0.9, 0.95)


def measure_residuals(path: Path, space: LatentSpace, files: dict[str, Path], shifts: list[int], steps: int) -> None:
    """Judge streams of every shape, one at each lambda over each rounding of its code (`CodeRounding`), and meshes.

    A shape gets the roundings that it lacks, and meshes unless it has some.

    Raises:
        ValueError: the space keeps its codes in another form than streams.
    """
    if space.code_format is None:
        raise ValueError("residuals are measured on spaces whose codes are streams; train it anew")
    results = read_json(path, {"shapes": {}})
    rows = results["shapes"]
    done = {name: {point["shift"] for point in row.get("streams", [])} for name, row in rows.items()}
    missing = [
        (name, file)
        for name, file in files.items()
        if not set(shifts) <= done.get(name, set()) or "meshes" not in rows.get(name, {})
    ]
    config = EncodeConfig(steps=steps)
    for start in range(0, len(missing), 8):
        part = missing[start : start + 8]
        for shape in encode_in_chunks(space, part, config).shapes:
            began, sampled = monotonic(), sample_for_codes(files[shape.name], config)
            row = rows.setdefault(shape.name, {"streams": []})
            for shift in sorted(set(shifts) - done.get(shape.name, set())):
                row["streams"] += _streams(space, shape, sampled, shift)
            if "meshes" not in row:
                row["meshes"] = _meshes(space, shape, sampled)
            row["seconds"] = row.get("seconds", 0.0) + monotonic() - began
            write_json(path, results)
            points = row["streams"] + row["meshes"]
            print(shape.name, [(item["shift"], item["bytes"], round(item["f_0.01"], 3)) for item in points], flush=True)


def _streams(space: LatentSpace, shape: Shape, sampled: SampledMesh, shift: int) -> list[dict[str, Any]]:
    """Bytes and F-scores of the rounded code alone, and with the residual at each lambda."""
    assert space.code_format is not None
    points = prepare_residuals(shape, sampled)[0].points[:ROUNDING_SAMPLES]
    at = torch.from_numpy(points).float()[None]
    hessian = code_hessians(space.decoder.linearizer(), shape.code[None], at, TRUNCATION)[0]
    code, size = CodeRounding(shape.code, space.code_format, hessian).at(shift)
    samples, judge = prepare_residuals(replace(shape, code=code, correction=None), sampled)
    descent = RateDescent(samples, 4)
    residuals: list[Residual | None] = [None]
    residuals += [Residual.of(descent.solve(*rate_point(weight, len(samples.points)))) for weight in WEIGHTS]
    rows = []
    for residual in residuals:
        nbytes = size + FRAME_BYTES + (0 if residual is None else residual.nbytes)
        scores = judge.f_scores(residual, [0.01, 0.005])
        rows.append({"shift": shift, "bytes": nbytes, "f_0.01": scores[0], "f_0.005": scores[1]})
    return rows


def _meshes(space: LatentSpace, shape: Shape, sampled: SampledMesh) -> list[dict[str, Any]]:
    """Bytes, those of a coarse code included, and F-scores of the mesh for each budget and for F of .95."""
    assert space.code_format is not None
    code, size = CodeRounding(shape.code, space.code_format).at(SHIFT_UNDER_MESH)
    judge = prepare_residuals(replace(shape, code=code, correction=None), sampled)[1]
    truth = trimesh.Trimesh(shape.frame.to_unit(sampled.mesh.vertices), sampled.mesh.faces, process=False)
    search, size = MeshSearch(truth, 0.01), size + FRAME_BYTES
    targets = [Target(max_bytes=budget - size) for budget in BUDGETS if budget > size] + [Target(tolerance=0.01)]
    rows = []
    for target in targets:
        mesh = search.run(target).mesh
        if mesh is not None:
            surface = trimesh.Trimesh(mesh.mesh.vertices, mesh.mesh.faces, process=False)
            scores = judge.scores_of(surface, [0.01, 0.005])
            rows.append(
                {"shift": SHIFT_UNDER_MESH, "bytes": size + mesh.nbytes, "f_0.01": scores[0], "f_0.005": scores[1]}
            )
    return rows


def residual_table(results: dict[str, Any], keep: set[str] | None = None) -> str:
    """Best of each shape within each budget, and bytes to each F-score, as Markdown: residuals, meshes, the better."""
    shapes = [row for name, row in results["shapes"].items() if keep is None or name in keep]
    residuals = [row["streams"] for row in shapes]
    meshes = [row.get("meshes", []) for row in shapes]
    both = [first + second for first, second in zip(residuals, meshes, strict=True)]
    lines = ["| mode | bytes | F at 0.01 mean | median | least | F at 0.005 mean |", "|" + "---|" * 6]
    for mode, points in (("residual", residuals), ("mesh", meshes), ("the better", both)):
        lines += [f"| {mode} | {_within(points, budget)}" for budget in BUDGETS]
    for wanted in TOLERANCES:
        sizes = [min((r["bytes"] for r in rows if r["f_0.01"] >= wanted), default=np.inf) for rows in both]
        reached = [size for size in sizes if np.isfinite(size)]
        lines.append(
            f"F at 0.01 of {wanted}: {len(reached)} of {len(shapes)} shapes; bytes median {np.median(sizes):,.0f}, "
            f"mean of those {np.mean(reached):,.0f}"
        )
    return "\n".join(lines)


def _within(shapes: list[list[dict[str, Any]]], budget: int) -> str:
    """Cells of a row of the table: figures of the best of each shape within a budget."""
    nothing = {"f_0.01": 0.0, "f_0.005": 0.0}
    best = [
        max((row for row in rows if row["bytes"] <= budget), key=lambda row: row["f_0.01"], default=nothing)
        for rows in shapes
    ]
    score, fine = (np.array([row[key] for row in best]) for key in ("f_0.01", "f_0.005"))
    return f"{budget} | {score.mean():.3f} | {np.median(score):.3f} | {score.min():.3f} | {fine.mean():.3f} |"
