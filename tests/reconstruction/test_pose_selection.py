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
from latentsdf.primitives import sphere, translate, union
from latentsdf.reconstruction.pose_selection import best_fit, distinct_rows, refuted_share
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
