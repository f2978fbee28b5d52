"""Bias of the bounding sphere of a scan by noise, for `latentsdf.core.pose.FARTHEST`, and by what a view misses.

    python benchmarks/extent.py MESH_DIR [--every 6]
    python benchmarks/extent.py MESH_DIR --views 1 [--every 6]

Whole virtual scans (with `--views`: from so many positions) of meshes whose unit frame is known, with 1,000 to 20,000
points and noise up to 0.02. Printed for several factors: the median of the logarithm of the estimated scale over the
true one, and the share of scans for which it is wrong by more than 2 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import trimesh
from judging import true_mesh

from latentsdf.core import pose as extent
from latentsdf.core.frame import Frame
from latentsdf.core.pose import Pose
from latentsdf.mesh.folder import find_meshes
from latentsdf.scan.neighbourhoods import noise_level
from latentsdf.scan.virtual import virtual_scan

COUNTS, NOISES, FACTORS = (1000, 5000, 20_000), (0.0, 0.002, 0.005, 0.01, 0.02), (0.0, 1.0, 1.5, 2.0, 2.5)


def main() -> None:
    """Scan, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("--every", type=int, default=6, help="take every n-th mesh")
    parser.add_argument("--views", type=int, help="sensors of each scan (default: the whole surface)")
    options = parser.parse_args()
    errors: dict[tuple[int, float], list[list[float]]] = {}
    for number, (_, path) in list(enumerate(find_meshes(options.mesh_dir)[0]))[:: options.every]:
        whole = true_mesh(path)
        truth = trimesh.Trimesh(Frame.around(whole.vertices).to_unit(whole.vertices), whole.faces, process=False)
        for count in COUNTS:
            for noise in NOISES:
                try:
                    points = virtual_scan(truth, count=count, noise=noise, seed=number, views=options.views).points
                except ValueError as error:
                    print(f"{path}: {error}")
                    continue
                errors.setdefault((count, noise), []).append(log_scales(points))
    print("| points | noise | " + " | ".join(f"factor {factor}" for factor in FACTORS) + " |")
    print("|" + "---|" * (2 + len(FACTORS)))
    for (count, noise), rows in errors.items():
        table = np.array(rows)
        cells = [f"{np.median(column):+.4f}, {np.mean(np.abs(column) > 0.02):.0%}" for column in table.T]
        print(f"| {count:,} | {noise} | {' | '.join(cells)} |")


def log_scales(points: np.ndarray) -> list[float]:
    """Logarithm of the scale estimated for a scan in its true unit frame, by each factor."""
    level, like = noise_level(points), torch.zeros((), dtype=torch.float64)
    return [
        float(
            extent.bounding_sphere_pose(points, level * factor / extent.FARTHEST, like)(
                Pose.identity(1, like)
            ).log_scale
        )
        for factor in FACTORS
    ]


if __name__ == "__main__":
    main()
