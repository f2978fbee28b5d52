"""Registration of candidate fields: values as the candidates have them, and poses that made the scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import random_linear
from scipy.spatial.transform import Rotation

from latentsdf.core.pose import Pose, active_freedoms, spread_rotations
from latentsdf.decoder import build_decoder
from latentsdf.decoder.linear import LinearConfig
from latentsdf.inference.candidate_rotations import CandidateRotations
from latentsdf.inference.candidates import CandidateFields, LatticeColumns, LatticeFields
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import Residuals, SignedSamples
from latentsdf.reconstruction.registration import local_minima, lowest_losses, register_candidates


@pytest.fixture
def candidates() -> CandidateFields:
    """Two stored shapes: a plate with a fin that no rotation maps to itself, and a ball."""
    side = 33
    ticks = torch.linspace(-1.0, 1.0, side)
    places = torch.cartesian_prod(ticks, ticks, ticks)
    decoder = build_decoder(LinearConfig(code_size=2, resolution=side)).eval().requires_grad_(False)
    decoder.state_dict()["basis"].copy_(torch.stack([plate_and_fin(places), places.norm(dim=1) - 0.6]))
    return CandidateFields(LatticeColumns(decoder, side), torch.eye(2))


def box(points: torch.Tensor, middle: tuple[float, ...], half: tuple[float, ...]) -> torch.Tensor:
    apart = (points - torch.tensor(middle)).abs() - torch.tensor(half)
    return apart.clamp_min(0.0).norm(dim=-1) + apart.amax(-1).clamp_max(0.0)


def plate_and_fin(points: torch.Tensor) -> torch.Tensor:
    return torch.minimum(
        box(points, (0.0, 0.0, -0.2), (0.7, 0.4, 0.1)), box(points, (0.4, 0.25, 0.2), (0.15, 0.08, 0.35))
    )


def surface(count: int) -> torch.Tensor:
    """Points on the plate and its fin."""
    points = 2.0 * torch.rand(400_000, 3, generator=torch.Generator().manual_seed(0)) - 1.0
    return points[plate_and_fin(points).abs() < 0.004][:count]


def test_lattice_fields_have_the_values_of_the_candidates() -> None:
    decoder = random_linear(5, 9)
    codes = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    candidates = CandidateFields(LatticeColumns(decoder, 9), codes)
    fields = LatticeFields(candidates)
    points = (2.0 * torch.rand(4, 100, 3, generator=torch.Generator().manual_seed(2)) - 1.0).requires_grad_(True)
    rows = torch.tensor([[2.0], [0.0], [3.0], [3.0]])
    values = fields.query(fields.prepare(rows), points)
    for values_of, at, row in zip(values, points, (2, 0, 3, 3), strict=True):
        torch.testing.assert_close(values_of, candidates.fields(at)[:, row], atol=1e-5, rtol=1e-4)
    found = fields.linearizer()(rows, points.detach())
    torch.testing.assert_close(found.values, values.detach())
    torch.testing.assert_close(found.of_points, torch.autograd.grad(values.sum(), points)[0], atol=1e-4, rtol=1e-4)
    assert not found.of_codes.any()


def test_only_the_best_of_near_rotations_is_kept() -> None:
    angles = torch.tensor([0.0, 20.0, 50.0, 180.0])
    turns = torch.from_numpy(Rotation.from_euler("z", angles.numpy()[:, None], degrees=True).as_matrix()).float()
    losses = torch.tensor([[1.0, 4.0], [2.0, 3.0], [3.0, 2.0], [9.0, 1.0]])
    expected = torch.tensor([[1.0, torch.inf], [torch.inf, torch.inf], [torch.inf, 2.0], [9.0, 1.0]])
    torch.testing.assert_close(local_minima(losses, turns), expected)


@pytest.mark.parametrize("vector", [[0.3, -0.2, 0.25], [2.0, 1.0, -1.5], [0.0, 3.1, 0.4]])
def test_a_rotated_shape_is_registered(candidates: CandidateFields, vector: list[float]) -> None:
    truth = torch.from_numpy(Rotation.from_rotvec(vector).as_matrix()).float()
    points = surface(2000) @ truth  # truth takes them back
    samples, generator = SignedSamples(points[None], torch.zeros(1, len(points))), torch.Generator().manual_seed(3)
    turns = spread_rotations(150)
    active = torch.tensor([False, *active_freedoms("free")])
    objective = CodeObjective(LatticeFields(candidates), 0.0, active, pose_weight=1.0)
    poses, shared = Pose.from_rotations(turns), CandidateRotations.shared(turns, candidates)
    found = register_candidates(candidates, poses, shared, objective, samples, generator, 3)
    assert found.codes[0].tolist() == [1.0, 0.0]
    assert found.pose is not None
    off = Rotation.from_matrix((found.pose.rotation[0] @ truth.T).double().numpy()).magnitude()
    assert np.degrees(off) < 1.5
    assert abs(float(found.pose.log_scale[0])) < 0.01
    before = np.degrees((Rotation.from_matrix(turns.double().numpy()) * Rotation.from_rotvec(vector).inv()).magnitude())
    assert before.min() > 5.0


def test_the_lowest_come_first(candidates: CandidateFields) -> None:
    fields, points = LatticeFields(candidates), surface(200)
    poses = Pose.from_rotations(
        torch.from_numpy(Rotation.from_euler("z", [[60], [0], [20]], degrees=True).as_matrix()).float()
    )
    guess = lowest_losses(
        CodeObjective(fields, 0.0),
        Guess(torch.zeros(3, 1), poses),
        [Residuals(points[None], torch.zeros(1, 200))],
        0.3,
        2,
    )
    assert guess.pose is not None
    torch.testing.assert_close(guess.pose.rotation, poses.rotation[[1, 2]])
