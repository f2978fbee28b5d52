"""The scan of the demo: points of two sides with noise, completed by the space, and by the points alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import trimesh

from ..core.arrays import Array
from ..core.names import class_of
from ..fitting.direct_solve import solve_scan
from ..mesh.metrics import compare
from ..plot.sheet import ORIGINAL, Cell, class_colours, row_frames
from ..reconstruction.reconstruction import ReconstructConfig, reconstruct
from ..reconstruction.refinement import RefineConfig
from ..reconstruction.scan_fitting import ScanFitConfig
from ..scan.virtual import virtual_scan
from ..space.space import LatentSpace
from .arguments import write_mesh
from .demo_stages import Stage, surface_of
from .progress import Bar

SCANNED = "chair/child"
"""The shape that is scanned; where a collection lacks it, its first."""
POINTS, NOISE, VIEWS = 4000, 0.005, 2
"""Of the scan; the noise in units of the bounding-sphere radius."""


def scan(stage: Stage) -> tuple[dict[str, Any], list[Cell]]:
    """Reconstruct a noisy scan from two views, with the space and by the points alone."""
    name, seed = stage.name(SCANNED), stage.options.seed
    truth = stage.meshes[name]
    radius = float(np.linalg.norm(np.ptp(np.asarray(truth.vertices), axis=0))) / 2
    seen = virtual_scan(truth, count=POINTS, noise=NOISE * radius, views=VIEWS, seed=seed)
    trimesh.PointCloud(seen.points).export(str(stage.out / "scan.ply"))
    bare = replace(seen, normals=None)
    config = ReconstructConfig(fit=ScanFitConfig(seed=seed), refinement=RefineConfig(seed=seed))
    with Bar("scan", stage.options.quiet) as bar:
        result = reconstruct(
            _together(stage), bare, config=config, on_step=lambda step: bar.update(0.6 * step.progress)
        )
        surface = surface_of(result)
        bar.update(0.8, "by the points alone")
        alone = surface_of(solve_scan(bare, seed=seed))
        bar.update(1.0)
    if surface is not None:
        write_mesh(surface, stage.out / "scan_reconstructed.ply")
    figures, without = (None if item is None else compare(item, truth, seed=seed) for item in (surface, alone))
    report = {
        "name": name,
        "points": len(seen),
        "views": VIEWS,
        "noise": NOISE,
        "residual_mean": result.residual_mean,
        "chamfer_l1": None if figures is None else figures.chamfer_l1,
        "f_0.02": 0.0 if figures is None else figures.f_scores[0.02],
        "f_0.02_alone": 0.0 if without is None else without.f_scores[0.02],
    }
    frames = row_frames([np.asarray(truth.vertices)] * 4)
    pictures = (_dots(seen.points, 0.012 * radius), alone, surface, truth)
    lines = (
        (f"scan: {len(seen):,} points, {VIEWS} views",),
        ("the points alone", f"F at 0.02 {report['f_0.02_alone']:.2f}"),
        ("with the space; orange: unseen", f"F at 0.02 {report['f_0.02']:.2f}"),
        ("original",),
    )
    colour = class_colours(list(stage.meshes))[class_of(name)]
    colours = (ORIGINAL, ORIGINAL, colour, ORIGINAL)
    return report, [Cell(*each) for each in zip(pictures, lines, colours, frames, strict=True)]


def _together(stage: Stage) -> LatentSpace:
    """The shapes of the base and those of the collection."""
    both = LatentSpace(stage.base.decoder, history=stage.base.history)
    for number, shape in enumerate(stage.base.values()):
        both.add(replace(shape, name=f"base/{number}"))
    for shape in stage.space.values():
        both.add(shape)
    return both


def _dots(points: Array, radius: float) -> trimesh.Trimesh:
    """Small octahedra at points (M, 3)."""
    corners = radius * np.concatenate([np.eye(3), -np.eye(3)])
    sides = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    vertices = (points[:, None] + corners).reshape(-1, 3)
    faces = (sides + len(corners) * np.arange(len(points))[:, None, None]).reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces, process=False)
