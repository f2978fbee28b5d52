"""Choice between poses: distinct rotations, and surfaces in space that the sensor looked through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from latentsdf import extract_mesh
from latentsdf.core.field import SDF
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.core.optimize import Stop
from latentsdf.core.pose import Pose
from latentsdf.decoder import Decoder, build_decoder
from latentsdf.decoder.linear import LinearConfig
from latentsdf.inference.levenberg_marquardt import FitResult
from latentsdf.inference.objective import Guess
from latentsdf.inference.residuals import Residuals
from latentsdf.primitives import sphere, translate, union
from latentsdf.reconstruction.empty_space import POOL, SHARE, nearest_to_surfaces
from latentsdf.reconstruction.pose_selection import best_fit, distinct_rows, refuted_share
from latentsdf.reconstruction.scan_residuals import ScanResiduals
from latentsdf.scan.scan import Scan
from latentsdf.scan.virtual import virtual_scan

BALL = sphere(0.5)
EARED = union(BALL, translate(sphere(0.2), (0.0, 0.75, 0.0)))
"""A ball with a smaller one beside it, whose share of the surface is 0.04 / 0.29."""
SENSOR = np.array([0.0, 0.0, 4.0])


@pytest.fixture(scope="module")
def seen() -> Scan:
    """The upper half of the ball, from a sensor above."""
    points = virtual_scan(extract_mesh(BALL, resolution=48), count=6000, seed=0).points
    return Scan(points[points[:, 2] > 0.5**2 / 4.0], sensor=SENSOR)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    """Code (1, 0) is the ball, (0, 1) the ball with an ear."""
    places = lattice_vertices(33)
    built = build_decoder(LinearConfig(code_size=2, resolution=33)).eval().requires_grad_(False)
    built.state_dict()["basis"].copy_(torch.stack([BALL(places), EARED(places)]))
    return built


@pytest.mark.parametrize(("sdf", "share"), [(BALL, 0.0), (EARED, 0.138)])
def test_a_surface_beside_the_silhouette_is_refuted(seen: Scan, sdf: SDF, share: float) -> None:
    assert refuted_share(sdf, seen, torch.zeros(1)) == pytest.approx(share, abs=0.03)


def test_a_surface_in_front_of_the_points_is_refuted_and_none_is_wholly(seen: Scan) -> None:
    before = union(BALL, translate(sphere(0.2), (0.0, 0.0, 0.9)))
    assert refuted_share(before, seen, torch.zeros(1)) > 0.1
    behind = union(BALL, translate(sphere(0.2), (0.0, 0.0, -0.75)))
    assert refuted_share(behind, seen, torch.zeros(1)) < 0.03
    assert refuted_share(lambda x: torch.ones(len(x)), seen, torch.zeros(1)) == 1.0


def test_a_fit_with_refuted_surface_loses_to_one_without(seen: Scan, decoder: Decoder) -> None:
    codes = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    result = FitResult(Guess(codes, Pose.identity(2, codes)), torch.tensor([0.0100, 0.0105]), Stop.FINISHED)
    identity = Frame.identity()
    assert best_fit(result, decoder, seen, identity).guess.codes.tolist() == [[1.0, 0.0]]
    for scan in (replace(seen, sensor=None), replace(seen, cropped=True)):
        assert best_fit(result, decoder, scan, identity).guess.codes.tolist() == [[0.0, 1.0]]
    worse = result._replace(losses=torch.tensor([0.0100, 0.0130]))
    found = best_fit(worse, decoder, seen, identity)
    assert found.guess.codes.tolist() == [[0.0, 1.0]]
    assert found.losses.tolist() == pytest.approx([0.01])


def test_alike_rotations_are_one() -> None:
    angles = np.array([[0.0], [15.0], [40.0], [-30.0], [200.0]])
    turns = torch.from_numpy(Rotation.from_euler("y", angles, degrees=True).as_matrix())
    losses = torch.tensor([3.0, 2.0, 4.0, 5.0, 1.0])
    assert distinct_rows(turns, losses, 9).tolist() == [4, 1, 2, 3]
    assert distinct_rows(turns, losses, 2).tolist() == [4, 1]


def test_empty_queries_are_those_nearest_to_each_surface(decoder: Decoder) -> None:
    points = 2.0 * torch.rand(1, 3 * POOL, 3, generator=torch.Generator().manual_seed(0)) - 1.0
    points = points[:, points[0].norm(dim=1) > 0.6]
    empty = Residuals(points, points.norm(dim=2) - 0.5, "unsigned")
    guess = Guess(torch.eye(2), Pose.identity(2, points))
    group = nearest_to_surfaces(decoder, guess, empty, 10_000, torch.Generator().manual_seed(1))
    assert group.points.shape == (2, round(SHARE * POOL), 3)
    assert float((group.targets - (group.points.norm(dim=2) - 0.5)).abs().max()) < 1e-6
    # Those of the ball lie around it; those of the other one, in and around its ear.
    assert float(group.points[0].norm(dim=1).max()) < 0.7
    assert float(EARED(group.points[1]).abs().max()) < 0.16
    assert float((group.points[1] - torch.tensor([0.0, 0.75, 0.0])).norm(dim=1).min()) < 0.15
    assert group.loss(torch.stack([BALL(group.points[0]), BALL(group.points[1])]), 0.03)[0] < 1e-6
    assert group.loss(EARED(group.points[1])[None], 0.03) > 1e-3


def test_space_known_to_be_empty(seen: Scan) -> None:
    whole = ScanResiduals(virtual_scan(extract_mesh(BALL, resolution=48), count=3000, seed=0)).empty
    assert whole is not None
    assert whole.kind == "unsigned"
    assert float(((whole.points[0].norm(dim=1) - 0.5).abs() - whole.targets[0]).abs().max()) < 0.05
    partial = ScanResiduals(seen).empty
    assert partial is not None
    assert partial.kind == "outside"
    assert float(BALL(partial.points[0]).min()) > -0.01
    assert float(partial.points[0, :, 2].min()) < -0.5  # beside the ball, also below it
    assert ScanResiduals(replace(seen, sensor=None)).empty is None
    assert ScanResiduals(replace(seen, cropped=True)).empty is None
