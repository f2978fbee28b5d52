"""Batches of similarity transforms obey the laws of frames."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import Frame
from latentsdf.core.pose import Pose, rotations, spread_rotations


def some_pose(count: int) -> Pose:
    random = torch.Generator().manual_seed(0)
    turns = rotations(torch.randn(count, 3, generator=random, dtype=torch.float64))
    return Pose(turns, torch.linspace(-0.3, 0.4, count).double(), torch.randn(count, 3, generator=random).double())


def test_rotation_vectors_are_scipys() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(rotations(torch.from_numpy(vectors)), Rotation.from_rotvec(vectors).as_matrix())


def test_a_motion_acts_after_the_pose() -> None:
    pose, points = some_pose(3), torch.rand(1, 7, 3, dtype=torch.float64)
    steps = 0.3 * torch.randn(3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    placed = pose.apply(points)
    turned = placed @ rotations(steps[:, :3]).transpose(1, 2)
    expected = steps[:, 3].exp()[:, None, None] * turned + steps[:, None, 4:]
    torch.testing.assert_close(pose.retract(steps).apply(points), expected)


def test_the_frame_of_a_pose_maps_alike() -> None:
    base = Frame(Rotation.from_rotvec([0.1, -0.4, 0.7]).as_matrix(), 12.0, np.array([3.0, 4.0, -5.0]))
    pose, source = some_pose(4), np.random.default_rng(2).normal(size=(6, 3))
    placed = pose.apply(torch.from_numpy(base.to_unit(source))[None])
    for row in range(4):
        np.testing.assert_allclose(pose.frame(row, base).to_unit(source), placed[row].numpy(), atol=1e-12)


def test_rows_are_picked_and_put_back() -> None:
    pose = some_pose(4)
    mixed = pose.replaced(torch.tensor([3, 0]), pose.select(torch.tensor([1, 2])))
    torch.testing.assert_close(mixed.shift, pose.shift[[2, 1, 2, 1]])
    torch.testing.assert_close(mixed.rotation, pose.rotation[[2, 1, 2, 1]])


def test_spread_rotations_are_proper_and_leave_no_gap() -> None:
    found = spread_rotations(600).double()
    torch.testing.assert_close(
        found @ found.transpose(1, 2), torch.eye(3).double().expand(600, 3, 3), atol=1e-5, rtol=0
    )
    assert float(torch.linalg.det(found).min()) > 0
    asked = torch.from_numpy(Rotation.random(500, rng=np.random.default_rng(0)).as_matrix())
    cosine = (torch.einsum("aij,bij->ab", asked, found).amax(1) - 1) / 2
    assert float(torch.rad2deg(cosine.clamp(-1, 1).acos()).max()) < 32.0
