"""Smooth reads of decoded fields against the trilinear one: distance of the surfaces, normals, curvature.

    python benchmarks/smooth_reads.py SPACE.h5 [--shapes 10] [--roundings 1 0.5 0.25 0.125]

A rounding of 1 is the uniform quadratic B-spline whose coefficients are the vertices; `interpolating` is the one that
takes the values of the vertices. Lengths are those of the unit frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsdf.core.field import Jet, evaluate
from latentsdf.decoder import spline_volumes
from latentsdf.decoder.base import Conditioned
from latentsdf.decoder.spline_volumes import SplineVolumes
from latentsdf.space.store import load


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("space", type=Path)
    parser.add_argument("--shapes", type=int, default=10)
    parser.add_argument("--roundings", type=float, nargs="*", default=[1.0, 0.5, 0.25, 0.125])
    options = parser.parse_args()
    space = load(options.space)
    decoder, branch = space.decoder, space.decoder.branches[-1]
    names = np.random.default_rng(0).permutation(space.names)[: options.shapes]
    print("| read | mean distance | 90th percentile | largest | cosine of normals | median of abs Laplacian |")
    print("|---|---|---|---|---|---|")
    for read in [*options.roundings, "interpolating"]:
        spline_volumes.ROUNDING = 1.0 if read == "interpolating" else float(read)
        rows = []
        for number, name in enumerate(names):
            state = decoder.with_splines(decoder.prepare(space[name].code[None]), branch)
            if state is None:
                raise SystemExit(f"{options.space}: a decoder with ReLU units has no smooth reads")
            state = through_vertices(state) if read == "interpolating" else state
            rows.append(figures(space[name].decoded(), Conditioned(decoder, state, branch, smooth=True), number))
        distance, p90, largest, cosine, laplacian = np.mean(rows, 0)
        print(f"| {read} | {distance:.5f} | {p90:.5f} | {largest:.4f} | {cosine:.4f} | {laplacian:.1f} |")


def figures(trilinear: Conditioned, rounded: Conditioned, seed: int) -> list[float]:
    """First-order distances of the smooth field at the trilinear surface, agreement of normals, curvature."""
    points = 2 * torch.rand(60_000, 3, generator=torch.Generator().manual_seed(seed)) - 1
    points = points[evaluate(trilinear, points).abs() < 0.05]
    for _ in range(4):
        points = Jet(trilinear, points).project().detach().clamp(-1, 1)
    points = points[evaluate(trilinear, points).abs() < 1e-3][:4000]
    smooth, there = Jet(rounded, points), Jet(trilinear, points)
    distance = ((smooth.value - there.value).abs() / smooth.gradient.norm(dim=1).clamp_min(0.05)).detach()
    cosine = (smooth.normal * there.normal).sum(1).detach()
    laplacian = smooth.laplacian.detach().abs()
    return [
        float(distance.mean()), float(distance.quantile(0.9)), float(distance.max()), float(cosine.mean()),
        float(laplacian.median()),
    ]  # fmt: skip


def through_vertices(state: Any) -> Any:
    """A state whose splines take the values of their volumes at the vertices, constant beyond the ends."""
    if isinstance(state, SplineVolumes):
        return SplineVolumes(_coefficients(state.values))
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*map(through_vertices, state))
    return type(state)(map(through_vertices, state)) if isinstance(state, (tuple, list)) else state


def _coefficients(values: Tensor) -> Tensor:
    side = values.shape[1]
    ones = torch.ones(side - 1)
    system = 0.75 * torch.eye(side) + 0.125 * (torch.diag(ones, 1) + torch.diag(ones, -1))
    system[0, 0] += 0.125
    system[-1, -1] += 0.125
    inverse = torch.linalg.inv(system.double()).to(values.dtype)
    for axis in (1, 2, 3):
        values = (values.movedim(axis, -1) @ inverse.T).movedim(-1, axis)
    return values


if __name__ == "__main__":
    main()
