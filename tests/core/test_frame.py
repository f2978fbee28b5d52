"""The laws of similarity transforms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from latentsdf.core.frame import UNIT_RADIUS, Frame


def random_frame(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
    return Frame(rotation, float(np.exp(rng.normal())), rng.normal(size=3) * 100)


@pytest.mark.parametrize("seed", range(5))
def test_group_laws(seed: int) -> None:
    a, b, c = (random_frame(3 * seed + i) for i in range(3))
    points = np.random.default_rng(seed).normal(size=(20, 3)) * 10
    np.testing.assert_allclose((a @ b).to_unit(points), a.to_unit(b.to_unit(points)), atol=1e-9)
    np.testing.assert_allclose(a.to_source(a.to_unit(points)), points, atol=1e-9)
    np.testing.assert_allclose(a.inverse().to_unit(points), a.to_source(points), atol=1e-9)
    np.testing.assert_allclose((Frame.identity() @ a).to_unit(points), a.to_unit(points), atol=1e-9)
    left, right = ((a @ b) @ c).to_unit(points), (a @ (b @ c)).to_unit(points)
    np.testing.assert_allclose(left, right, atol=1e-8)


def test_distances_scale_as_the_frame_says() -> None:
    frame = random_frame(7)
    points = np.random.default_rng(0).normal(size=(2, 3))
    inside = frame.to_unit(points)
    between = float(np.linalg.norm(inside[0] - inside[1]))
    assert frame.to_source_distance(between) == pytest.approx(float(np.linalg.norm(points[0] - points[1])))


def test_around_fills_the_unit_sphere_far_from_the_origin() -> None:
    points = np.random.default_rng(1).uniform(-500, 500, (1000, 3)) + 1e4
    unit = Frame.around(points).to_unit(points)
    assert np.linalg.norm(unit, axis=1).max() == pytest.approx(UNIT_RADIUS, abs=1e-12)
    np.testing.assert_allclose(unit.min(0) + unit.max(0), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("rotation", "scale", "center", "text"),
    [
        (np.eye(3), 0.0, np.zeros(3), "positive"),
        (np.eye(3), np.nan, np.zeros(3), "finite"),
        (-np.eye(3), 1.0, np.zeros(3), "determinant"),
        (np.eye(2), 1.0, np.zeros(3), r"\(3, 3\)"),
    ],
)
def test_a_frame_that_is_no_similarity_is_refused(rotation, scale, center, text) -> None:
    with pytest.raises(ValueError, match=text):
        Frame(rotation, scale, center)


def test_coincident_points_span_no_frame() -> None:
    with pytest.raises(ValueError, match="coincide"):
        Frame.around(np.full((5, 3), 3.0))
    with pytest.raises(ValueError, match="M >= 1"):
        Frame.around(np.zeros((0, 3)))
