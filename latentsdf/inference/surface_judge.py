"""F-score of a residual against a mesh from one lattice, many residuals on one decoded field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from torch import Tensor
from torch.nn import functional

from ..codec.residual import TRUNCATION, Residual
from ..core.arrays import Array
from ..core.field import SDF
from ..core.lattice import lattice_vertices
from ..mesh.block_splitting import cells_between
from ..mesh.distance import MeshSDF
from ..mesh.marching_cubes import march
from ..mesh.metrics import f_score
from ..mesh.surface_sampling import surface_samples

CELLS = 128
"""Cells an axis of the lattice that surfaces are judged on."""
SAMPLES = 5000
"""Samples of each surface; the standard error of an F-score of .95 is then .002."""
_COARSE = 64
_CHUNK = 1 << 16


class SurfaceJudge:
    """Fidelity of the zero level sets of residuals on one prior.

    The prior is decoded once: at the vertices of a coarse lattice, and at those of the fine one that lie near its
    surface; elsewhere it is clipped anyway. Marching cubes on the sum with a residual gives its surface.

    Args:
        prior: decoded field, unit frame.
        truth: mesh in the frame of the prior.
        seed: of the surface samples.
        unit: length there of one unit of the thresholds.
        like: a tensor whose device and dtype the query points take; float32 on the CPU if None.
    """

    def __init__(
        self, prior: SDF, truth: trimesh.Trimesh, seed: int = 0, unit: float = 1.0, like: Tensor | None = None
    ):
        self._unit = unit
        self._values = _clipped_lattice(prior, torch.zeros(0) if like is None else like)
        self._truth = MeshSDF(truth.vertices, truth.faces)
        self._points, _ = surface_samples(truth, SAMPLES, np.random.default_rng(seed))
        self._seed = seed + 1

    def f_score(self, residual: Residual | None, threshold: float) -> float:
        """F-score at a distance of a residual on the prior, or of the prior alone; 0 without a surface.

        Raises:
            ValueError: the threshold is not positive.
        """
        return self.f_scores(residual, [threshold])[0]

    def f_scores(self, residual: Residual | None, thresholds: Sequence[float], level: float = 0.0) -> list[float]:
        """F-scores at several distances, as `f_score`, of a level set."""
        surface = self._surface(residual, level)
        return [0.0] * len(thresholds) if surface is None else self.scores_of(surface, thresholds)

    def scores_of(self, surface: trimesh.Trimesh, thresholds: Sequence[float]) -> list[float]:
        """F-scores of a surface of the prior's frame at several distances."""
        samples, _ = surface_samples(surface, SAMPLES, np.random.default_rng(self._seed))
        forward = self._truth.distance(samples)
        backward = MeshSDF(surface.vertices, surface.faces).distance(self._points)
        return [f_score(forward, backward, threshold * self._unit) for threshold in thresholds]

    def _surface(self, residual: Residual | None, level: float) -> trimesh.Trimesh | None:
        values = self._values - np.float32(level)
        if residual is not None:
            values = values + _upsample(residual.lattice.float(), CELLS).numpy()
        values = np.pad(values, 1, constant_values=TRUNCATION)
        cells = cells_between(values)
        if not cells.low.size:
            return None
        vertices, faces = march(cells.low, cells.corners)
        mesh = trimesh.Trimesh((vertices - 1) * (2.0 / CELLS) - 1.0, faces, process=False)
        return mesh if mesh.area > 0 else None


def _clipped_lattice(prior: SDF, like: Tensor) -> Array:
    """The prior at the vertices of the fine lattice, clipped to `TRUNCATION`."""
    with torch.no_grad():
        coarse = _evaluate(prior, lattice_vertices(_COARSE + 1), like).view((_COARSE + 1,) * 3)
        fine = _upsample(coarse, CELLS).flatten()
        # Between vertices of the coarse lattice a distance changes by less than its spacing.
        near = torch.nonzero(fine.abs() < TRUNCATION + 2.0 / _COARSE).squeeze(1)
        fine[near] = _evaluate(prior, lattice_vertices(CELLS + 1)[near], like)
    return fine.clamp(-TRUNCATION, TRUNCATION).view((CELLS + 1,) * 3).numpy()


def _evaluate(prior: SDF, points: Tensor, like: Tensor) -> Tensor:
    return torch.cat([prior(part.to(like)).float().cpu() for part in points.split(_CHUNK)])


def _upsample(values: Tensor, cells: int) -> Tensor:
    """Trilinear values (cells + 1)^3 of a coarser lattice."""
    size = (cells + 1,) * 3
    return functional.interpolate(values[None, None], size, mode="trilinear", align_corners=True)[0, 0]
