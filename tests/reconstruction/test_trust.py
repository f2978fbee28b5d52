"""Trust in a prior: whole where slopes agree with the scan, none where they do not, and by region between."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.core.field import SDF
from latentsdf.core.frame import Frame
from latentsdf.decoder import Decoder
from latentsdf.fitting.direct_solve import solve_scan
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.mesh.metrics import compare
from latentsdf.primitives import sphere, translate, union
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.reconstruction.refinement import RefineConfig, Refinement, refine
from latentsdf.reconstruction.trust import Trust
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan
from latentsdf.solver.correction import Correction
from latentsdf.space.shape import Shape
from latentsdf.space.store import load

FAMILIES = Path(__file__).parents[2] / "checkpoints" / "families.h5"
SMALL = RefineConfig(resolution=32)
CENTRES = (-0.5, 0.5)
RADIUS = 0.35


class Fixed:
    """A stand-in for a decoder: one field whatever the code."""

    def __init__(self, field: SDF):
        self.field = field

    def condition(self, code: torch.Tensor, branch: str | None = None) -> SDF:
        return self.field


def shaped(field: SDF) -> Shape:
    return Shape("prior", torch.zeros(4), Frame.identity(), cast(Decoder, Fixed(field)))


def two_balls() -> SDF:
    return union(*(translate(sphere(RADIUS), (at, 0.0, 0.0)) for at in CENTRES))


def halves(turned: tuple[bool, bool] = (False, False)) -> Scan:
    """The upper halves of both balls, with normals; those of a ball may be turned round the x axis by a right angle."""
    found = np.random.default_rng(0).normal(size=(6000, 3))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found = found[found[:, 2] > 0]
    side = found[:, [0, 2, 1]] * [1.0, -1.0, 1.0]
    points = [RADIUS * found + [at, 0.0, 0.0] for at in CENTRES]
    return Scan(np.concatenate(points), np.concatenate([side if turn else found for turn in turned]))


def test_weights_follow_the_agreement_of_slopes() -> None:
    below = np.array([[at, 0.0, -RADIUS] for at in CENTRES])
    np.testing.assert_allclose(Trust(two_balls(), halves())(below), 1.0)
    scan = halves((True, True))
    trust = Trust(two_balls(), scan)
    assert trust.overall == 0.0
    np.testing.assert_allclose(trust(below), 0.0)
    assert scan.normals is not None
    tilted = Scan(scan.points, np.array([0.0, 0.0, 1.0]) + np.zeros_like(scan.points))
    assert Trust(two_balls(), tilted).agreement.mean() == pytest.approx(0.5, abs=0.02)  # of a hemisphere's heights


def test_a_part_that_disagrees_is_not_trusted_where_the_other_is() -> None:
    scan = halves()
    assert scan.normals is not None
    normals = scan.normals.copy()
    wrong = (scan.points[:, 0] > 0.5) & (scan.points[:, 2] < 0.15)  # less than a tenth of all points
    assert 0.05 < wrong.mean() < 0.2
    normals[wrong] = normals[wrong][:, [1, 0, 2]] * [-1.0, 1.0, 0.3]
    trust = Trust(two_balls(), Scan(scan.points, normals), closed=True)
    left, right = trust(np.array([[-0.5, 0.0, -RADIUS], [0.5 + RADIUS, 0.0, -0.05]]))
    assert left == pytest.approx(trust.overall)
    assert right < 0.5 * left


def surface(found: Refinement) -> trimesh.Trimesh:
    return extract_mesh(found.shape.sdf, 48)


def test_a_prior_that_agrees_completes_the_scan_and_one_that_does_not_is_dropped() -> None:
    kept = refine(shaped(two_balls()), halves(), config=SMALL)
    assert kept.trust == 1.0
    assert any("kept in 100%" in note for note in kept.notes)
    assert surface(kept).bounds[0, 2] == pytest.approx(-RADIUS, abs=5e-3)
    bumps: SDF = lambda points: 0.02 * torch.sin(40.0 * points).sum(1)  # noqa: E731
    dropped = refine(shaped(bumps), halves(), config=SMALL)
    assert dropped.trust == 0.0
    assert isinstance(dropped.shape.correction, Correction)
    assert dropped.shape.correction.alone
    assert any("the points alone" in note for note in dropped.notes)
    alone = solve_scan(halves())
    places = torch.from_numpy(halves().points)
    assert float(dropped.shape(places).abs().mean()) < 2e-3
    assert float(alone(places).abs().mean()) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize(("views", "noise"), [(None, 0.01), (2, 0.002)])
def test_a_space_of_other_kinds_makes_no_scan_worse(views: int | None, noise: float) -> None:
    """A knot, which no family of the space resembles."""
    path = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
    ring = 0.6 + 0.25 * np.cos(3 * path)
    line = np.stack([ring * np.cos(2 * path), ring * np.sin(2 * path), 0.25 * np.sin(3 * path)], 1)
    knot = trimesh.Trimesh(*tube(line, 0.1))
    scan = Scan(virtual_scan(knot, count=4000, noise=noise, views=views, seed=1).points)
    alone = compare(solve_scan(scan).mesh(96), knot, frame=Frame.identity())
    found = reconstruct(load(FAMILIES), scan)
    with_space = compare(found.shape.mesh(96), knot, frame=Frame.identity())
    assert with_space.f_scores[0.01] > alone.f_scores[0.01] - 0.02
    assert with_space.normal_consistency > alone.normal_consistency - 0.01
    assert found.refinement is not None
    assert found.refinement.trust < 0.5


def tube(line: np.ndarray, radius: float, sides: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a tube around a closed line (N, 3)."""
    tangent = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(tangent, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(across, tangent)
    angle = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)[None, :, None]
    rings = line[:, None] + radius * (np.cos(angle) * across[:, None] + np.sin(angle) * up[:, None])
    count = len(line)
    i, j = np.meshgrid(np.arange(count), np.arange(sides), indexing="ij")
    a, b = i * sides + j, i * sides + (j + 1) % sides
    c, d = ((i + 1) % count) * sides + j, ((i + 1) % count) * sides + (j + 1) % sides
    faces = np.concatenate([np.stack([a, c, b], 2).reshape(-1, 3), np.stack([b, c, d], 2).reshape(-1, 3)])
    mesh = trimesh.Trimesh(rings.reshape(-1, 3), faces, process=False)
    return mesh.vertices, mesh.faces if mesh.volume > 0 else mesh.faces[:, ::-1]
