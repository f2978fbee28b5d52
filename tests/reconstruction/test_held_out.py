"""Held-out agreement: parts cover the scan, and a code that explains it predicts what another does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsdf.core.lattice import lattice_vertices
from latentsdf.core.pose import Pose
from latentsdf.decoder.linear import Linear, LinearConfig
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.primitives import sphere
from latentsdf.reconstruction.held_out import PARTS, _fitted, held_out_agreement, parts_of
from latentsdf.reconstruction.scan_residuals import ScanResiduals
from latentsdf.reconstruction.trust import Trust
from latentsdf.scan.scan import Scan


def balls_of_any_size() -> Linear:
    """One number: the radius of a ball is 0.5 minus the code."""
    decoder = Linear(LinearConfig(code_size=1, resolution=32))
    vertices = lattice_vertices(32)
    with torch.no_grad():
        decoder.mean.copy_(vertices.norm(dim=1) - 0.5)
        decoder.basis.fill_(1.0)
    return decoder


def problem() -> tuple[CodeObjective, Guess]:
    zero = torch.zeros(1, 1)
    objective = CodeObjective(balls_of_any_size(), 1e-3, torch.tensor([True] + [False] * 7))
    return objective, Guess(zero, Pose.identity(1, zero), zero)


def agreement(points: np.ndarray, normals: np.ndarray) -> float:
    return held_out_agreement(*problem(), Scan(points, normals))


def ball(radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    """The upper half."""
    normals = np.random.default_rng(0).normal(size=(3000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals[normals[:, 2] > 0]
    return radius * normals + centre, normals


def test_parts_are_compact_and_cover_the_scan() -> None:
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 3))
    parts = parts_of(points)
    assert len(parts) == PARTS
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(points)))
    centres = np.stack([points[part].mean(0) for part in parts])
    assert min(len(part) for part in parts) > 200
    for number, part in enumerate(parts):
        distances = np.linalg.norm(points[part][:, None] - centres, axis=2)
        assert (distances.argmin(1) == number).mean() > 0.95
    assert len(parts_of(np.zeros((50, 3)))) == 1


def test_what_the_decoder_knows_is_predicted_and_what_it_does_not_know_is_not() -> None:
    assert agreement(*ball(0.6)) > 0.98
    sides = [ball(0.2, (at, 0.0, 0.0)) for at in (-0.6, 0.0, 0.6)]
    points, normals = (np.concatenate(part) for part in zip(*sides, strict=True))
    assert agreement(points, normals) < 0.75


@pytest.mark.parametrize("sensor", [None, np.array([0.0, 0.0, 3.0])])
def test_scans_fitted_together_have_the_codes_of_each(sensor: np.ndarray | None) -> None:
    """Also where one has residuals of a kind that the other lacks."""
    scans = [Scan(*ball(0.6)), Scan(*ball(0.4), sensor=sensor)]
    residuals = [ScanResiduals(scan, 0) for scan in scans]
    assert (residuals[0].kinds == residuals[1].kinds) == (sensor is None)
    codes = _fitted(*problem(), residuals, 0)
    alone = torch.cat([_fitted(*problem(), [own], 0) for own in residuals])
    torch.testing.assert_close(codes, alone, rtol=0.02, atol=2e-3)
    torch.testing.assert_close(codes[:, 0], torch.tensor([-0.1, 0.1]), rtol=0.05, atol=0.01)


def test_a_prior_that_does_not_predict_is_not_trusted() -> None:
    points, normals = ball(0.5)
    scan = Scan(points, normals)
    weights = [Trust(sphere(0.5), scan, predicted=value).overall for value in (None, 0.9, 0.78, 0.5)]
    assert weights == [1.0, 1.0, pytest.approx(0.5), 0.0]
