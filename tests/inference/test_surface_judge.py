"""Judgement of surfaces by one lattice: F-scores of spheres, coarse first looks, fragments."""

from __future__ import annotations

import pytest
import torch
import trimesh
from torch import Tensor

from latentsdf.inference import surface_judge
from latentsdf.inference.surface_judge import SurfaceJudge

TRUTH = trimesh.creation.icosphere(5, 0.6)


def ball(points: Tensor, radius: float = 0.6) -> Tensor:
    return points.norm(dim=-1) - radius


def with_crumb(points: Tensor, radius: float) -> Tensor:
    """The ball, and a small one beside it."""
    return torch.minimum(ball(points), (points - points.new_tensor([0.85, 0.0, 0.0])).norm(dim=-1) - radius)


def test_spheres_of_other_radii_have_the_scores_of_their_distance() -> None:
    judge = SurfaceJudge(ball, TRUTH)
    assert judge.f_score(None, 0.01) == 1.0
    larger = SurfaceJudge(lambda points: ball(points, 0.615), TRUTH)
    assert larger.f_scores(None, [0.01, 0.02]) == [0.0, 1.0]
    assert larger.f_scores(None, [0.01], level=-0.015) == [pytest.approx(1.0, abs=0.01)]
    with pytest.raises(ValueError, match="threshold"):
        judge.f_score(None, 0.0)


def test_a_score_far_below_what_is_enough_is_that_of_the_coarse_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    march = SurfaceJudge._surface

    def seen(self: SurfaceJudge, residual: None, level: float, cells: int) -> trimesh.Trimesh | None:
        looked.append(cells)
        return march(self, residual, level, cells)

    monkeypatch.setattr(SurfaceJudge, "_surface", seen)
    assert SurfaceJudge(lambda points: ball(points, 0.64), TRUTH).f_scores(None, [0.01], enough=0.95) == [0.0]
    assert looked == [surface_judge.QUICK]
    assert SurfaceJudge(ball, TRUTH).f_scores(None, [0.01], enough=0.95)[0] > 0.99
    assert looked[1:] == [surface_judge.QUICK, surface_judge.CELLS]


def test_a_fragment_is_not_close_enough_whatever_the_f_score() -> None:
    judge = SurfaceJudge(lambda points: with_crumb(points, 0.06), TRUTH)
    plain, wanted = judge.f_score(None, 0.01), judge.f_scores(None, [0.01, 0.02], enough=0.95)
    assert plain > 0.98
    assert wanted[0] == pytest.approx(0.95 - surface_judge.SHORT)
    assert wanted[1] > 0.98
    assert SurfaceJudge(ball, TRUTH).f_scores(None, [0.01], enough=0.95)[0] > 0.99
