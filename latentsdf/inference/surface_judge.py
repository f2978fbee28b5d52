"""F-score of a residual against a mesh from one lattice, many residuals on one decoded field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from torch import Tensor
from torch.nn import functional

from ..codec.residual import TRUNCATION, Residual
from ..core.field import SDF
from ..core.lattice import lattice_vertices
from ..mesh.block_splitting import cells_between
from ..mesh.distance import MeshSDF
from ..mesh.marching_cubes import march
from ..mesh.metrics import f_score
from ..mesh.surface_sampling import surface_samples

CELLS = 128
"""Cells an axis of the lattice that surfaces are judged on."""
QUICK, DOUBT = 64, 0.06
"""Cells of a first look, and how much its F-score may be short where the judgement is left to `CELLS`: of 24 held-out
shapes the two differ by .02 at most, but for one of wires (.91 and .94) and one that is torn (.20 and .32)."""
SAMPLES = 5000
"""Samples of each surface; the standard error of an F-score of .95 is then .002."""
STRAY, STRAYS, SHORT = 3.0, 0.002, 1e-3
"""Multiple of a distance beyond which a sample of a surface lies on a fragment, the share of such samples above which
the surface is not close enough whatever its F-score, and by how much its F-score then counts as short."""
_COARSEST = 32
_CHUNK = 1 << 16


class SurfaceJudge:
    """Fidelity of the zero level sets of residuals on one prior.

    The prior is decoded once, when it is first asked for: at the vertices of a coarse lattice, and at those of twice
    and four times as many cells that lie near its surface; elsewhere it is clipped anyway. Marching cubes on the sum
    with a residual gives its surface.

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
        self._unit, self._prior = unit, prior
        self._like = torch.zeros(0) if like is None else like
        self._lattices: dict[int, Tensor] = {}
        self._truth = MeshSDF(truth.vertices, truth.faces)
        self._points, _ = surface_samples(truth, SAMPLES, np.random.default_rng(seed))
        self._seed = seed + 1

    def f_score(self, residual: Residual | None, threshold: float) -> float:
        """F-score at a distance of a residual on the prior, or of the prior alone; 0 without a surface.

        Raises:
            ValueError: the threshold is not positive.
        """
        return self.f_scores(residual, [threshold])[0]

    def f_scores(
        self,
        residual: Residual | None,
        thresholds: Sequence[float],
        level: float = 0.0,
        enough: float | None = None,
    ) -> list[float]:
        """F-scores at several distances, as `f_score`, of a level set.

        Args:
            residual: judged; None is the prior alone.
            thresholds: distances.
            level: of the level set.
            enough: F-score at the first distance that matters; where a coarser lattice finds less by more than `DOUBT`,
                the F-scores are those of its surface, and where fragments lie about, the first is less than it.
        """
        for cells in (CELLS,) if enough is None else (QUICK, CELLS):
            surface = self._surface(residual, level, cells)
            scores = [0.0] * len(thresholds) if surface is None else self.scores_of(surface, thresholds, enough)
            if enough is not None and scores[0] < enough - DOUBT:
                break
        return scores

    def scores_of(
        self, surface: trimesh.Trimesh, thresholds: Sequence[float], enough: float | None = None
    ) -> list[float]:
        """F-scores of a surface of the prior's frame at several distances; `enough` as for `f_scores`."""
        samples, _ = surface_samples(surface, SAMPLES, np.random.default_rng(self._seed))
        forward = self._truth.distance(samples)
        backward = MeshSDF(surface.vertices, surface.faces).distance(self._points)
        scores = [f_score(forward, backward, threshold * self._unit) for threshold in thresholds]
        if enough is not None and (forward > STRAY * thresholds[0] * self._unit).mean() > STRAYS:
            scores[0] = min(scores[0], enough - SHORT)
        return scores

    def _surface(self, residual: Residual | None, level: float, cells: int) -> trimesh.Trimesh | None:
        values = self._lattice(cells).clamp(-TRUNCATION, TRUNCATION).numpy() - np.float32(level)
        if residual is not None:
            values = values + _upsample(residual.lattice.float(), cells).numpy()
        values = np.pad(values, 1, constant_values=TRUNCATION)
        crossed = cells_between(values)
        if not crossed.low.size:
            return None
        vertices, faces = march(crossed.low, crossed.corners)
        mesh = trimesh.Trimesh((vertices - 1) * (2.0 / cells) - 1.0, faces, process=False)
        return mesh if mesh.area > 0 else None

    def _lattice(self, cells: int) -> Tensor:
        """The prior at (cells + 1)^3 vertices of a lattice; far from the surface interpolated from a coarser one."""
        if cells not in self._lattices:
            points = lattice_vertices(cells + 1)
            with torch.no_grad():
                if cells <= _COARSEST:
                    values = _evaluate(self._prior, points, self._like)
                else:
                    values = _upsample(self._lattice(cells // 2), cells).flatten()
                    # Between vertices of the coarser lattice a distance changes by less than its spacing.
                    near = torch.nonzero(values.abs() < TRUNCATION + 4.0 / cells).squeeze(1)
                    values[near] = _evaluate(self._prior, points[near], self._like)
            self._lattices[cells] = values.view((cells + 1,) * 3)
        return self._lattices[cells]


def _evaluate(prior: SDF, points: Tensor, like: Tensor) -> Tensor:
    return torch.cat([prior(part.to(like)).float().cpu() for part in points.split(_CHUNK)])


def _upsample(values: Tensor, cells: int) -> Tensor:
    """Trilinear values (cells + 1)^3 of a coarser lattice."""
    size = (cells + 1,) * 3
    return functional.interpolate(values[None, None], size, mode="trilinear", align_corners=True)[0, 0]
